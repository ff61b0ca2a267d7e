package main

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/cli"
)

// TestCommandLine has the forms of a command line that the action and all commands share.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	const prefix = "hubspoke-chain: error: "
	help := "hubspoke-chain turns a GitHub Actions ID token into"
	for _, test := range []struct {
		args           string
		status         int
		stdout, stderr string // beginnings
	}{
		{"", 2, "", help},
		{"--help", 0, help, ""},
		{"-h", 0, help, ""},
		{"--version", 0, "hubspoke-chain dev\n", ""},
		{"walk", 2, "", prefix + "there is no command \"walk\"\nhubspoke-chain: hint: see hubspoke-chain --help\n"},
		{"action --nonsense", 2, "", prefix + "there is no flag --nonsense\nhubspoke-chain: hint: see hubspoke-chain action --help\n"},
		{"action --host-temp=_temp", 2, "", prefix + "--host-temp is not an absolute path\n"},
		{"action --host-temp=/tmp x", 2, "", prefix + "unexpected argument \"x\"\n"},
		{"action --host-temp=", 1, "::error title=hubspoke-chain::aws-region: is required", ""},
		{"action --host-temp=/home/runner/work/_temp", 1, "::error title=hubspoke-chain::aws-region: is required", ""},
	} {
		var stdout, stderr bytes.Buffer
		s := cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Getenv: func(string) string { return "" }}
		status := cli.Run(context.Background(), commandLine(), strings.Fields(test.args), s)
		if status != test.status || !begins(stdout.String(), test.stdout) || !begins(stderr.String(), test.stderr) {
			t.Errorf("%s: status %d\nstdout %s\nstderr %s", test.args, status, &stdout, &stderr)
		}
	}
}

// begins tells whether s begins with prefix, and is empty when that is.
func begins(s, prefix string) bool { return strings.HasPrefix(s, prefix) && (prefix != "" || s == "") }

// TestHelp runs every example of every command's help in a shell, beside the policies of examples/lab
// and a chain with a session. The step itself is another matter: without a job it says what it lacks, and the
// scripts run it with one.
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
	// What stands for the AWS CLI prints the hub role, as get-role does.
	role := `{"Role": {"Arn": "arn:aws:iam::123456789012:role/github-actions-hub", "RoleName": "github-actions-hub", "AssumeRolePolicyDocument": `
	aws := "#!/bin/sh\n[ \"$1 $2\" = 'iam get-role' ] || exit 9\nprintf '%s' '" + role + "'\ncat '" + dir + "/hub-trust.json'\necho '}}'\n"
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(aws), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range commandLine().Commands {
		var stdout, stderr bytes.Buffer
		s := cli.Streams{Out: &stdout, Err: &stderr}
		if status := cli.Run(context.Background(), commandLine(), append(strings.Fields(c.Name), "--help"), s); status != 0 || stderr.Len() > 0 {
			t.Errorf("%s --help: status %d %s", c.Name, status, &stderr)
		}
		if len(c.Examples) == 0 {
			t.Errorf("%s has no example", c.Name)
		}
		for _, example := range c.Examples {
			if !strings.Contains(stdout.String(), "\n  "+example+"\n") {
				t.Errorf("the help of %s does not show %s", c.Name, example)
			}
			if !strings.Contains(example, "hubspoke-chain "+c.Name) {
				t.Errorf("the example of %s is of another command: %s", c.Name, example)
			}
			command := exec.Command("bash", "-euo", "pipefail", "-c", example)
			command.Dir = dir
			command.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			out, err := command.CombinedOutput()
			if c.Name == "action" {
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
	for _, c := range commandLine().Commands {
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		c.Setup(flags)
		var want, got []string
		flags.VisitAll(func(f *flag.Flag) { want = append(want, "--"+f.Name) })
		var stdout, stderr bytes.Buffer
		args := append(append([]string{"completion", "next", "--"}, strings.Fields(c.Name)...), "--")
		if status := cli.Run(context.Background(), commandLine(), args, cli.Streams{Out: &stdout, Err: &stderr}); status != 0 {
			t.Errorf("%q: status %d %s", args, status, &stderr)
		}
		for line := range strings.Lines(stdout.String()) {
			word, about, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if got = append(got, word); about == "" {
				t.Errorf("%s %s says nothing of itself", c.Name, word)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.Name, got, want)
		}
	}
}
