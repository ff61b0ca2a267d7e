package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// What is in the image, as in the Dockerfile.
const (
	program      = "hubspoke-chain"
	postProgram  = "hubspoke-chain-post"
	certificate  = "etc/ssl/certs/ca-certificates.crt"
	source       = "https://github.com/org/hubspoke-chain"
	descriptions = "GitHub Action: credentials of a role in another AWS account, over a hub role that trusts GitHub's OIDC provider"
)

// keychain is that of docker login.
func keychain() authn.Keychain { return authn.DefaultKeychain }

// assemble gives the index of the images; a platform is linux/ARCHITECTURE.
func assemble(version string, programs map[string]string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		platform, err := v1.ParsePlatform(name)
		if err != nil {
			return nil, err
		}
		binary, err := os.ReadFile(programs[name])
		if err != nil {
			return nil, err
		}
		image, err := one(version, *platform, binary)
		if err != nil {
			return nil, fmt.Errorf("the image for %s: %w", name, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index, nil
}

// one is the image of one platform: a layer with the program and a layer with the authorities.
func one(version string, platform v1.Platform, binary []byte) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	roots, err := layer(
		directory("etc/"), directory("etc/ssl/"), directory("etc/ssl/certs/"),
		entry{tar.Header{Name: certificate, Mode: 0o644}, certificates()})
	if err != nil {
		return nil, err
	}
	programs, err := layer(
		entry{tar.Header{Name: program, Mode: 0o755}, binary},
		entry{tar.Header{Name: postProgram, Mode: 0o777, Typeflag: tar.TypeSymlink, Linkname: program}, nil})
	if err != nil {
		return nil, err
	}
	if image, err = mutate.AppendLayers(image, roots, programs); err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.History = nil
	config.Config = v1.Config{
		Entrypoint: []string{"/" + program},
		Cmd:        []string{"action"},
		Env:        []string{"PATH=/"},
		Labels: map[string]string{
			"org.opencontainers.image.source":      source,
			"org.opencontainers.image.version":     version,
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.description": descriptions,
		},
	}
	return mutate.ConfigFile(image, config)
}

// entry is a file of a layer.
type entry struct {
	header tar.Header
	text   []byte
}

func directory(name string) entry {
	return entry{tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeDir}, nil}
}

// layer is a tar archive in which nothing depends on when or by whom it is made.
func layer(entries ...entry) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, e := range entries {
		e.header.Size, e.header.ModTime, e.header.Format = int64(len(e.text)), time.Unix(0, 0).UTC(), tar.FormatUSTAR
		if err := w.WriteHeader(&e.header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
}

// certificates are Mozilla's authorities in PEM, of the version that go.mod pins.
func certificates() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		// An authority that is believed under a condition cannot be given as a file; what it is for is not ours.
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			panic(err) // a buffer takes everything
		}
	}
	return text.Bytes()
}
