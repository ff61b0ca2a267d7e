package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args           string
		status         int
		stdout, stderr string // beginnings
	}{
		{"", 2, "", usage},
		{"--help", 0, usage, ""},
		{"-h", 0, usage, ""},
		{"--version", 0, "hubspoke-chain dev\n", ""},
		{"walk", 2, "", "hubspoke-chain: unknown command \"walk\"\n" + usage},
		{"action --nonsense", 2, "", "flag provided but not defined: -nonsense\n"},
		{"action --host-temp=_temp", 2, "", "hubspoke-chain action: --host-temp is not an absolute path\n"},
		{"action --host-temp=/tmp x", 2, "", "hubspoke-chain action: unexpected argument \"x\"\n"},
		{"action --host-temp=", 1, "::error title=hubspoke-chain::aws-region: is required", ""},
		{"action --host-temp=/home/runner/work/_temp", 1, "::error title=hubspoke-chain::aws-region: is required", ""},
	} {
		var stdout, stderr bytes.Buffer
		status := run(context.Background(), strings.Fields(test.args), func(string) string { return "" }, &stdout, &stderr)
		if status != test.status || !begins(stdout.String(), test.stdout) || !begins(stderr.String(), test.stderr) {
			t.Errorf("%s: status %d\nstdout %s\nstderr %s", test.args, status, &stdout, &stderr)
		}
	}
}

// begins tells whether s begins with prefix, and is empty when that is.
func begins(s, prefix string) bool { return strings.HasPrefix(s, prefix) && (prefix != "" || s == "") }
