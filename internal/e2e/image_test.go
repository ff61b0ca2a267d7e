//go:build docker

package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxImage is the size in bytes that the image stays under: what a job waits for when it is pulled.
const maxImage = 13_000_000

func TestImage(t *testing.T) {
	t.Parallel()
	size, err := strconv.Atoi(must(t, "docker", "image", "inspect", "--format", "{{.Size}}", image))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the image has %.2f MB (%d bytes)", float64(size)/1e6, size)
	if size >= maxImage {
		t.Errorf("the image has %d bytes, which is not under %d", size, maxImage)
	}

	var config struct {
		User            string
		Entrypoint, Cmd []string
	}
	inspected := must(t, "docker", "image", "inspect", "--format", "{{json .Config}}", image)
	if err := json.Unmarshal([]byte(inspected), &config); err != nil {
		t.Fatal(err)
	}
	if config.User != "" { // the command files belong to another uid, and only root can append to them
		t.Errorf("the image has USER %s", config.User)
	}
	if !slices.Equal(config.Entrypoint, []string{"/hubspoke-chain"}) || !slices.Equal(config.Cmd, []string{"action"}) {
		t.Errorf("the image runs %q %q", config.Entrypoint, config.Cmd)
	}

	got := must(t, "docker", "run", "--rm", "--label", run, image, "--version")
	if want := "hubspoke-chain dev\ncommit:   unknown\n"; !strings.HasPrefix(got, want) {
		t.Errorf("--version printed %q, want %q first", got, want)
	}
}

// TestImageFiles looks at every file of the image: there is no shell, no package manager and no
// library that could need an update.
func TestImageFiles(t *testing.T) {
	t.Parallel()
	id := must(t, "docker", "create", "--label", run, image)
	t.Cleanup(func() { must(t, "docker", "rm", id) })
	files := map[string]string{} // of those with content, by name
	archive, err := exec.Command("docker", "export", id).Output()
	if err != nil {
		t.Fatal(err)
	}
	for entries := tar.NewReader(bytes.NewReader(archive)); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case entry.Name == "etc/mtab": // Docker's
		case entry.Typeflag == tar.TypeSymlink:
			files[fmt.Sprintf("%s -> %s", entry.Name, entry.Linkname)] = ""
		case entry.Typeflag == tar.TypeDir:
		case entry.Typeflag == tar.TypeReg && entry.Size == 0: // places at which Docker mounts files of its own
		default:
			files[fmt.Sprintf("%s %c %o", entry.Name, entry.Typeflag, entry.Mode&0o7777)] = string(content)
		}
	}
	// The post stage's name is a link: the program is there once.
	const program, certificates = "hubspoke-chain 0 755", "etc/ssl/certs/ca-certificates.crt 0 644"
	const post = "hubspoke-chain-post -> hubspoke-chain"
	for _, want := range []string{program, post} {
		if _, found := files[want]; !found {
			t.Errorf("the image lacks %q", want)
		}
		delete(files, want)
	}
	if roots := x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(files[certificates])) {
		t.Errorf("the image has no certificate in %q", certificates)
	}
	delete(files, certificates)
	for file := range files {
		t.Errorf("the image holds %q as well", file)
	}
}
