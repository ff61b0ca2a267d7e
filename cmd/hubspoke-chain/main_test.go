package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/cli"
)

// TestCommandLine has the forms of a command line that the action and all commands share.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	const prefix = "hubspoke-chain: error: "
	help := "Usage: hubspoke-chain COMMAND [FLAGS]\n\nAssume a role in another AWS account"
	for _, test := range []struct {
		args           string
		status         int
		stdout, stderr string // beginnings
	}{
		{"", 2, "", help},
		{"--help", 0, help, ""},
		{"-h", 0, help, ""},
		{"--version", 0, "hubspoke-chain dev\ncommit:   unknown\ngo:       go1", ""},
		{"walk", 2, "", prefix + "unknown command \"walk\"\nhubspoke-chain: hint: see hubspoke-chain --help\n"},
		{"action --nonsense", 2, "", prefix + "unknown flag --nonsense\nhubspoke-chain: hint: see hubspoke-chain action --help\n"},
		{"action --host-temp=_temp", 2, "", prefix + "--host-temp is not an absolute path\n"},
		{"action -host-temp=_temp", 2, "", "hubspoke-chain: notice: -host-temp is deprecated and will not work in the next release: use --host-temp\n" +
			prefix + "--host-temp is not an absolute path\n"},
		{"action --host-temp=/tmp x", 2, "", prefix + "unexpected argument \"x\"\n"},
		{"action --host-temp=", 1, "::error title=hubspoke-chain::aws-region: is required", ""},
		{"action --host-temp=/home/runner/work/_temp", 1, "::error title=hubspoke-chain::aws-region: is required", ""},
	} {
		var stdout, stderr bytes.Buffer
		s := cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}
		status := cli.Run(context.Background(), commandLine(noEnv), strings.Fields(test.args), s)
		if status != test.status || !begins(stdout.String(), test.stdout) || !begins(stderr.String(), test.stderr) {
			t.Errorf("%s: status %d\nstdout %s\nstderr %s", test.args, status, &stdout, &stderr)
		}
	}
}

func noEnv(string) string { return "" }

// begins reports whether s begins with prefix. If prefix is empty, s must be empty too.
func begins(s, prefix string) bool { return strings.HasPrefix(s, prefix) && (prefix != "" || s == "") }

// examplesOf are the command lines of a command's help, which an empty line separates.
func examplesOf(c *cobra.Command) []string { return strings.Split(c.Example, "\n\n") }

// TestHelp runs every example of every command's help in a shell, in a directory with the policies of examples/lab
// and a chain with a session. The step itself only reports what is missing without a job; the scripts run it with one.
func TestHelp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	policies, err := fs.Sub(examples.Lab, "lab")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, policies); err != nil {
		t.Fatal(err)
	}
	seedPlan(t, filepath.Join(dir, "chain.json"))
	// The AWS CLI stub prints the hub role, as get-role does.
	role := `{"Role": {"Arn": "arn:aws:iam::123456789012:role/github-actions-hub", "RoleName": "github-actions-hub", "AssumeRolePolicyDocument": `
	aws := "#!/bin/sh\n[ \"$1 $2\" = 'iam get-role' ] || exit 9\nprintf '%s' '" + role + "'\ncat '" + dir + "/hub-trust.json'\necho '}}'\n"
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(aws), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range cli.Leaves(commandLine(noEnv)) {
		var stdout, stderr bytes.Buffer
		s := cli.Streams{Out: &stdout, Err: &stderr}
		if status := cli.Run(context.Background(), commandLine(noEnv), append(strings.Fields(cli.Path(c)), "--help"), s); status != 0 || stderr.Len() > 0 {
			t.Errorf("%s --help: status %d %s", cli.Path(c), status, &stderr)
		}
		if c.Example == "" {
			t.Errorf("%s has no example", cli.Path(c))
		}
		for _, example := range examplesOf(c) {
			if !strings.Contains(stdout.String(), "\n  "+strings.ReplaceAll(example, "\n", "\n  ")+"\n") {
				t.Errorf("the help of %s does not show %s", cli.Path(c), example)
			}
			if !strings.Contains(example, "hubspoke-chain "+cli.Path(c)) {
				t.Errorf("the example of %s is of another command: %s", cli.Path(c), example)
			}
			command := exec.Command("bash", "-euo", "pipefail", "-c", example)
			command.Dir = dir
			command.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			out, err := command.CombinedOutput()
			if c.Name() == "action" {
				if !strings.HasPrefix(string(out), "::error title=hubspoke-chain::aws-region: is required") {
					t.Errorf("%s\n%s", example, out)
				}
			} else if err != nil || len(out) == 0 && !strings.Contains(example, "lint") {
				t.Errorf("%s\n%v\n%s", example, err, out)
			}
		}
	}
}

// TestCompletion holds that every flag of every command comes up.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, c := range cli.Leaves(commandLine(noEnv)) {
		want, got := []string{"--help"}, []string(nil)
		for _, f := range cli.Flags(c) {
			want = append(want, f.Name)
		}
		var stdout, stderr bytes.Buffer
		args := append(append([]string{cobra.ShellCompRequestCmd}, strings.Fields(cli.Path(c))...), "--")
		if status := cli.Run(context.Background(), commandLine(noEnv), args, cli.Streams{Out: &stdout, Err: &stderr}); status != 0 {
			t.Errorf("%q: status %d %s", args, status, &stderr)
		}
		for line := range strings.Lines(stdout.String()) {
			word, about, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if strings.HasPrefix(word, ":") { // the end, for the shell's script
				break
			}
			if got = append(got, word); about == "" {
				t.Errorf("%s %s has no description", cli.Path(c), word)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", cli.Path(c), got, want)
		}
	}
}
