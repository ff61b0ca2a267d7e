package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
)

// program is one with every kind of flag and operand; its commands print what they are given.
func program() *cobra.Command {
	return cli.Program(
		&cobra.Command{
			Use: "tool", Short: "be tested", Long: "Be tested.\nThat is all.",
			Annotations: map[string]string{cli.ExitStatus: "0  success\n2  anything else"},
		},
		cli.Build{Version: "v1.2.3", Commit: strings.Repeat("0123456789", 4)},
		check("check FILE...", "check files"),
		cli.Group("make", "make things",
			fails("one", cli.Status(1)), fails("many", errors.New("the first\nthe ##[second]")), fails("none", nil)),
		check("with -- COMMAND...", "run a command"),
	)
}

func check(use, short string) *cobra.Command {
	var format, policy string
	var strict bool
	var limit int
	var names []string
	c := &cobra.Command{
		Use: use, Short: short, Long: strings.Repeat("Check them. ", 8) + "\n\n  as it is,   spaces and all",
		Example:     "tool check a b\n\ntool check \\\n    a",
		Annotations: map[string]string{cli.ExitStatus: "0  none is bad\n1  one is"},
		RunE: func(c *cobra.Command, args []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s %q %t %d %q %q\n", format, policy, strict, limit, names, args)
			return err
		},
	}
	flags := c.Flags()
	cli.Choice(flags, &format, "format", "text", []string{"text", "json"}, "how to write")
	flags.StringVar(&policy, "policy", "", "`FILE` of the policy, with a usage that is longer than what fits on one line of the screen")
	flags.BoolVar(&strict, "strict", false, "be strict")
	flags.IntVar(&limit, "limit", 7, "`NUMBER` of findings")
	flags.Func("name", "a `NAME`; repeatable", func(s string) error {
		if s == "bad" {
			return errors.New("not this one")
		}
		names = append(names, s)
		return nil
	})
	return c
}

func fails(name string, err error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: "make " + name, Example: "tool make " + name, Args: cli.NoArgs,
		RunE: func(*cobra.Command, []string) error { return err },
	}
}

func run(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = cli.Run(context.Background(), program(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &err})
	return status, out.String(), err.String()
}

var versionText = "tool v1.2.3\ncommit:   0123456789012345678901234567890123456789\ngo:       " +
	runtime.Version() + "\nplatform: " + runtime.GOOS + "/" + runtime.GOARCH + "\n"

func TestRun(t *testing.T) {
	t.Parallel()
	const see, seeCheck, seeMake = "tool: hint: see tool --help\n", "tool: hint: see tool check --help\n", "tool: hint: see tool make --help\n"
	deprecated := func(name string) string {
		return fmt.Sprintf("tool: notice: -%s is deprecated and will not work in the next release: use --%[1]s\n", name)
	}
	for _, test := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"check a b", 0, "text \"\" false 7 [] [\"a\" \"b\"]\n", ""},
		{"check", 0, "text \"\" false 7 [] []\n", ""},
		{"check a --strict b --format json -", 0, "json \"\" true 7 [] [\"a\" \"b\" \"-\"]\n", ""},
		{"check --format= --strict=false a", 0, " \"\" false 7 [] [\"a\"]\n", ""},
		{"check --format=json --name x --name=y -- --strict -strict", 0, "json \"\" false 7 [\"x\" \"y\"] [\"--strict\" \"-strict\"]\n", ""},
		{"with --strict -- ls --format", 0, "text \"\" true 7 [] [\"ls\" \"--format\"]\n", ""},
		{"with ls --format -format", 0, "text \"\" false 7 [] [\"ls\" \"--format\" \"-format\"]\n", ""},
		{"version", 0, versionText, ""},
		{"--version", 0, versionText, ""},
		{"make one", 1, "", ""},
		{"make none", 0, "", ""},
		{"make many", 2, "", "tool: error: the first\ntool: error: the ##\\u005bsecond]\n"},

		{"-version", 0, versionText, deprecated("version")},
		{"check -format=json a -strict", 0, "json \"\" true 7 [] [\"a\"]\n", deprecated("format") + deprecated("strict")},
		{"check -format json -name -strict --name -limit", 0, "json \"\" false 7 [\"-strict\" \"-limit\"] []\n", deprecated("format") + deprecated("name")},
		{"with -name x -- ls -format", 0, "text \"\" false 7 [\"x\"] [\"ls\" \"-format\"]\n", deprecated("name")},

		{"check --formt json", 2, "", "tool: error: unknown flag --formt (did you mean --format?)\n" + seeCheck},
		{"check -formt=json", 2, "", "tool: error: unknown flag -formt (did you mean --format?)\n" + seeCheck},
		{"check --formt=json", 2, "", "tool: error: unknown flag --formt (did you mean --format?)\n" + seeCheck},
		{"check --zzzzzzz", 2, "", "tool: error: unknown flag --zzzzzzz\n" + seeCheck},
		{"check --format xml", 2, "", "tool: error: invalid value \"xml\" for --format: must be one of text, json\n" + seeCheck},
		{"check --policy", 2, "", "tool: error: --policy needs a value\n" + seeCheck},
		{"check --limit many", 2, "", "tool: error: invalid value \"many\" for --limit: must be an integer\n" + seeCheck},
		{"check --strict=perhaps", 2, "", "tool: error: invalid value \"perhaps\" for --strict: must be true or false\n" + seeCheck},
		{"check --name bad", 2, "", "tool: error: invalid value \"bad\" for --name: not this one\n" + seeCheck},
		{"make one more", 2, "", "tool: error: unexpected argument \"more\"\ntool: hint: see tool make one --help\n"},
		{"chek", 2, "", "tool: error: unknown command \"chek\" (did you mean check?)\n" + see},
		{"chek --help", 2, "", "tool: error: unknown command \"chek\" (did you mean check?)\n" + see},
		{"nothing-like-it", 2, "", "tool: error: unknown command \"nothing-like-it\"\n" + see},
		{"make", 2, "", "tool: error: make needs a command: many, none, one\n" + seeMake},
		{"make man", 2, "", "tool: error: unknown command \"make man\" (did you mean make many?)\n" + seeMake},
		{"make non", 2, "", "tool: error: unknown command \"make non\" (did you mean make none or make one?)\n" + seeMake},
		{"help chek", 2, "", "tool: error: unknown command \"chek\" (did you mean check?)\ntool: hint: see tool help --help\n"},
		{"--formt json check", 2, "", "tool: error: unknown flag --formt (did you mean --format?)\n" + seeCheck},
		{"--verbose", 2, "", "tool: error: unknown flag --verbose\n" + see},
		{"completion tcsh", 2, "", "tool: error: name one shell: bash, zsh, fish, powershell\ntool: hint: see tool completion --help\n"},
		{"completion", 2, "", "tool: error: name one shell: bash, zsh, fish, powershell\ntool: hint: see tool completion --help\n"},
	} {
		status, stdout, stderr := run(strings.Fields(test.args)...)
		if status != test.status || stdout != test.stdout || stderr != test.stderr {
			t.Errorf("%s: status %d\nstdout %sstderr %s", test.args, status, stdout, stderr)
		}
	}
}

const checkHelp = `Usage: tool check [FLAGS] FILE...

Check them. Check them. Check them. Check them. Check them. Check them. Check
them. Check them.

  as it is,   spaces and all

Flags:
  --format text|json
      how to write (default text)
  --limit NUMBER
      NUMBER of findings (default 7)
  --name NAME
      a NAME; repeatable
  --policy FILE
      FILE of the policy, with a usage that is longer than what fits on one line
      of the screen
  --strict
      be strict

Examples:
  tool check a b

  tool check \
      a

Exit status:
  0  none is bad
  1  one is
`

const programHelp = `Usage: tool COMMAND [FLAGS]

Be tested. That is all.

Commands:
  check       check files
  completion  print the completion script of a shell
  make many   make many
  make none   make none
  make one    make one
  version     print version, commit, Go version and platform
  with        run a command

Flags:
  --version
      print the version

Exit status:
  0  success
  2  anything else

Run "tool COMMAND --help" for the flags and examples of a command.
`

const groupHelp = `Usage: tool make COMMAND [FLAGS]

make things.

Commands:
  make many  make many
  make none  make none
  make one   make one

Exit status:
  0  success
  2  anything else

Run "tool COMMAND --help" for the flags and examples of a command.
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
	if status, stdout, stderr := run("check", "-help"); status != 0 || stdout != checkHelp || !strings.Contains(stderr, "use --help\n") {
		t.Errorf("check -help: status %d\n%s%s", status, stdout, stderr)
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
	for _, args := range []string{"--help", "help", "check --help", "version", "--version", "check a", "completion bash"} {
		var stderr bytes.Buffer
		status := cli.Run(context.Background(), program(), strings.Fields(args), cli.Streams{Out: broken{}, Err: &stderr})
		if status != 2 || stderr.String() != "tool: error: no space left\n" {
			t.Errorf("%s: status %d, %s", args, status, &stderr)
		}
	}
}
