package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/cli"
)

// program is one with every kind of flag and operand; its commands print what they are given.
func program() cli.Program {
	return cli.Program{
		Name: "tool", Summary: "tool is for this test.", About: "Exit status: 0.", Version: "v1.2.3",
		Commands: []cli.Command{
			{Name: "check", Summary: "check files", Operands: "FILE...", About: "It checks.", Examples: []string{"tool check a b"}, Setup: check},
			{Name: "make one", Summary: "make one", Examples: []string{"tool make one"}, Setup: fails(cli.Status(1))},
			{Name: "make many", Summary: "make many", Examples: []string{"tool make many"}, Setup: fails(errors.New("the first\nthe second"))},
			{Name: "with", Summary: "run a command", Operands: "-- COMMAND...", Examples: []string{"tool with -- true"}, Setup: check},
		},
	}
}

func check(flags *flag.FlagSet) func(context.Context, []string, cli.Streams) error {
	format := flags.String("format", "text", "how it is written: `text|json`")
	policy := flags.String("policy", "", "the policy's `FILE`")
	strict := flags.Bool("strict", false, "take it seriously")
	limit := flags.Int("limit", 0, "`NUMBER` of findings")
	var names []string
	flags.Func("name", "a `NAME`; repeatable", func(s string) error {
		if s == "bad" {
			return errors.New("not this one")
		}
		names = append(names, s)
		return nil
	})
	return func(_ context.Context, operands []string, s cli.Streams) error {
		_, err := fmt.Fprintf(s.Out, "%s %q %t %d %q %q\n", *format, *policy, *strict, *limit, names, operands)
		return err
	}
}

func fails(err error) func(*flag.FlagSet) func(context.Context, []string, cli.Streams) error {
	return func(*flag.FlagSet) func(context.Context, []string, cli.Streams) error {
		return func(context.Context, []string, cli.Streams) error { return err }
	}
}

func run(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = cli.Run(context.Background(), program(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &err, Getenv: os.Getenv})
	return status, out.String(), err.String()
}

func TestRun(t *testing.T) {
	t.Parallel()
	const seeCheck = "tool: hint: see tool check --help\n"
	for _, test := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"check a b", 0, "text \"\" false 0 [] [\"a\" \"b\"]\n", ""},
		{"check a --strict b --format json -", 0, "json \"\" true 0 [] [\"a\" \"b\" \"-\"]\n", ""},
		{"check -format=json --name x --name=y -- --strict", 0, "json \"\" false 0 [\"x\" \"y\"] [\"--strict\"]\n", ""},
		{"with --strict -- ls --format", 0, "text \"\" true 0 [] [\"ls\" \"--format\"]\n", ""},
		{"with ls --format", 0, "text \"\" false 0 [] [\"ls\" \"--format\"]\n", ""},
		{"version", 0, "tool v1.2.3\n", ""},
		{"make one", 1, "", ""},
		{"make many", 2, "", "tool: error: the first\ntool: error: the second\n"},

		{"check --formt json", 2, "", "tool: error: there is no flag --formt (did you mean --format?)\n" + seeCheck},
		{"check --zzzzzzz", 2, "", "tool: error: there is no flag --zzzzzzz\n" + seeCheck},
		{"check --format xml", 2, "", "tool: error: --format: \"xml\" is none of text, json\n" + seeCheck},
		{"check --policy", 2, "", "tool: error: there is no value for --policy\n" + seeCheck},
		{"check --limit many", 2, "", "tool: error: invalid value \"many\" for --limit: parse error\n" + seeCheck},
		{"check --strict=perhaps", 2, "", "tool: error: invalid boolean value \"perhaps\" for --strict: parse error\n" + seeCheck},
		{"check --name bad", 2, "", "tool: error: invalid value \"bad\" for --name: not this one\n" + seeCheck},
		{"make one more", 2, "", "tool: error: unexpected argument \"more\"\ntool: hint: see tool make one --help\n"},
		{"chek", 2, "", "tool: error: there is no command \"chek\" (did you mean check?)\ntool: hint: see tool --help\n"},
		{"nothing-like-it", 2, "", "tool: error: there is no command \"nothing-like-it\"\ntool: hint: see tool --help\n"},
		{"make", 2, "", "tool: error: make is several commands: make one, make many\ntool: hint: see tool --help\n"},
		{"make man", 2, "", "tool: error: there is no command \"make man\" (did you mean make many?)\ntool: hint: see tool --help\n"},
		{"--format json check", 2, "", "tool: error: there is no flag --format before a command\ntool: hint: see tool --help\n"},
		{"completion tcsh", 2, "", "tool: error: it takes one of bash, zsh, fish\ntool: hint: see tool completion --help\n"},
	} {
		status, stdout, stderr := run(strings.Fields(test.args)...)
		if status != test.status || stdout != test.stdout || stderr != test.stderr {
			t.Errorf("%s: status %d\nstdout %sstderr %s", test.args, status, stdout, stderr)
		}
	}
}

const checkHelp = `check files

Usage: tool check [--flag VALUE...] FILE...

It checks.

Flags:
  --format text|json
      how it is written: text|json (default text)
  --limit NUMBER
      NUMBER of findings
  --name NAME
      a NAME; repeatable
  --policy FILE
      the policy's FILE
  --strict
      take it seriously

Examples:
  tool check a b
`

const programHelp = `tool is for this test.

Usage: tool COMMAND [--flag VALUE...]

Commands:
  check       check files
  make one    make one
  make many   make many
  with        run a command
  completion  print the completion for a shell

tool COMMAND --help shows flags and examples, --version the version.

Exit status: 0.
`

const groupHelp = `tool is for this test.

Usage: tool COMMAND [--flag VALUE...]

Commands:
  make one   make one
  make many  make many

tool COMMAND --help shows flags and examples, --version the version.

Exit status: 0.
`

func TestHelp(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--help": programHelp, "-h": programHelp, "help": programHelp,
		"check --help": checkHelp, "check a -h": checkHelp, "help check": checkHelp,
		"make --help": groupHelp, "help make": groupHelp,
	} {
		if status, stdout, stderr := run(strings.Fields(args)...); status != 0 || stdout != want || stderr != "" {
			t.Errorf("%s: status %d\n%s%s", args, status, stdout, stderr)
		}
	}
	if status, stdout, stderr := run(); status != 2 || stdout != "" || stderr != programHelp {
		t.Errorf("without arguments: status %d\n%s%s", status, stdout, stderr)
	}
}

// broken is where nothing can be written any more.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestBrokenOutput(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--help", "check --help", "version", "check a", "completion bash"} {
		var stderr bytes.Buffer
		status := cli.Run(context.Background(), program(), strings.Fields(args), cli.Streams{Out: broken{}, Err: &stderr})
		if status != 2 || stderr.String() != "tool: error: no space left\n" {
			t.Errorf("%s: status %d, %s", args, status, &stderr)
		}
	}
}
