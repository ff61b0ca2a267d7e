// Command release puts the image of a release together, pushes it, and serves a registry to rehearse that with. It is a
// module of its own: what it depends on is no part of the action.
//
//	release image --out DIR --version VERSION linux/amd64=FILE linux/arm64=FILE
//	release push --layout DIR --to HOST/NAME[:TAG]
//	release registry --address HOST:PORT
//
// image writes an OCI layout and prints the digest of its index. The same programs give the same digest, wherever and
// whenever it is run: every time in the image is 1970, every owner root, and the certificate authorities are those of
// a pinned module. push pushes a layout as it is and prints NAME@DIGEST.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release: error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("there is no command: image, push or registry")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	out := flags.String("out", "", "the layout's `DIRECTORY`, which is made")
	version := flags.String("version", "", "`VERSION` of the release, v1.2.3")
	from := flags.String("layout", "", "the layout's `DIRECTORY`")
	to := flags.String("to", "", "`HOST/NAME[:TAG]` to push to")
	address := flags.String("address", "127.0.0.1:5000", "`HOST:PORT` to serve on")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "image":
		return image(*out, *version, flags.Args())
	case "push":
		return push(*from, *to)
	case "registry":
		return serve(*address)
	}
	return fmt.Errorf("there is no command %q: image, push or registry", args[0])
}

// image writes the layout of an index with an image for each PLATFORM=FILE.
func image(out, version string, programs []string) error {
	if out == "" || version == "" || len(programs) == 0 {
		return errors.New("image wants --out, --version and a PLATFORM=FILE for each platform")
	}
	files := map[string]string{}
	for _, p := range programs {
		platform, file, found := strings.Cut(p, "=")
		if !found {
			return fmt.Errorf("%q is not PLATFORM=FILE", p)
		}
		files[platform] = file
	}
	index, err := assemble(version, files)
	if err != nil {
		return err
	}
	if _, err := layout.Write(out, index); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}

func push(from, to string) error {
	reference, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	path, err := layout.FromPath(from)
	if err != nil {
		return err
	}
	index, err := path.ImageIndex()
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(reference, index, remote.WithAuthFromKeychain(keychain())); err != nil {
		return err
	}
	fmt.Println(reference.Context().Digest(digest.String()))
	return nil
}

// serve is a registry in memory, for the rehearsal.
func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(os.Stderr, "registry: ", 0))), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}
