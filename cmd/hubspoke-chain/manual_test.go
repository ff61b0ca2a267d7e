package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/golden"
	"github.com/org/hubspoke-chain/internal/manual"
)

var (
	man        = flag.String("man", "", "write the man pages into the `DIRECTORY`")
	manVersion = flag.String("man-version", "dev", "`VERSION` that the man pages name")
)

// TestManual compares docs/cli.md with the commands.
func TestManual(t *testing.T) {
	t.Parallel()
	golden.Section(t, "../../docs/cli.md", "hubspoke-chain", manual.Markdown(commandLine(noEnv)))
}

// TestManPages writes a page for the program and one for each command. With -man, scripts/build-release.sh keeps them.
func TestManPages(t *testing.T) {
	t.Parallel()
	directory := *man
	if directory == "" {
		directory = t.TempDir()
	}
	root := commandLine(noEnv)
	pages := manual.ManPages(root, *manVersion)
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := len(cli.Leaves(root)) + 1; len(pages) != want {
		t.Errorf("%d pages, want %d", len(pages), want)
	}
	for _, c := range cli.Leaves(root) {
		page := pages["hubspoke-chain-"+strings.ReplaceAll(cli.Path(c), " ", "-")+".1"]
		for _, f := range cli.Flags(c) {
			if !strings.Contains(page, strings.ReplaceAll(f.Name, "-", `\-`)) {
				t.Errorf("the man page of %s does not have %s", cli.Path(c), f.Name)
			}
		}
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO"} {
			if !strings.Contains(page, "\n.SH "+section+"\n") {
				t.Errorf("the man page of %s has no section %s", cli.Path(c), section)
			}
		}
	}
}
