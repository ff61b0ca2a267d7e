package main

import (
	"flag"
	"testing"

	"github.com/org/hubspoke-chain/internal/manual"
)

var update = flag.Bool("update", false, "write the generated pages")

// TestManual compares docs/cli.md with the commands.
func TestManual(t *testing.T) {
	t.Parallel()
	manual.Check(t, "../../docs/cli.md", commandLine(func(string) string { return "" }), *update)
}
