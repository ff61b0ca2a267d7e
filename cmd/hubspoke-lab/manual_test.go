package main

import (
	"testing"

	"github.com/org/hubspoke-chain/internal/golden"
	"github.com/org/hubspoke-chain/internal/manual"
)

// TestManual compares docs/cli.md with the commands.
func TestManual(t *testing.T) {
	t.Parallel()
	golden.Section(t, "../../docs/cli.md", "hubspoke-lab", manual.Markdown(commandLine(func(string) string { return "" })))
}
