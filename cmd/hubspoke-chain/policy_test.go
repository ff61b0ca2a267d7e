package main

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/cli"
)

// TestPolicyExamples: the policies of examples/lab are what commands print that the help shows.
func TestPolicyExamples(t *testing.T) {
	t.Parallel()
	printed := map[string]string{} // text to command
	for _, c := range policyCommand().Commands() {
		for _, example := range examplesOf(c) {
			words := strings.Fields(strings.ReplaceAll(example, "\\\n", ""))
			var stdout, stderr bytes.Buffer
			s := cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}
			if status := cli.Run(context.Background(), commandLine(noEnv), words[1:], s); words[0] != "hubspoke-chain" || status != 0 || stderr.Len() > 0 {
				t.Errorf("%s\nstatus %d %s", example, status, &stderr)
			}
			printed[stdout.String()] = example
		}
	}
	for name, command := range map[string]string{
		"hub-trust.json": "hub-trust", "hub-permissions.json": "hub-permissions", "spoke-trust.json": "spoke-trust", "spoke-trust-untagged.json": "spoke-trust",
	} {
		want, err := fs.ReadFile(examples.Lab, "lab/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if example := printed[string(want)]; !strings.HasPrefix(example, "hubspoke-chain policy "+command+" ") {
			t.Errorf("%s is printed by %q; printed is\n%s", name, example, strings.Join(slices.Collect(maps.Keys(printed)), ""))
		}
	}
}
