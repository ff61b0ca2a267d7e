package cli_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/cli"
)

// TestMain lets the test's binary be the program itself, which the shells' completions ask.
func TestMain(m *testing.M) {
	if os.Getenv("TOOL") != "" {
		os.Exit(cli.Run(context.Background(), program(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}))
	}
	os.Exit(m.Run())
}

// completions are words typed, the last one begun, and what is offered for it.
var completions = []struct {
	words []string
	want  string // :files stands for the names of files
}{
	{[]string{""}, "check make with completion"},
	{[]string{"ma"}, "make"},
	{[]string{"make", ""}, "one many"},
	{[]string{"make", "m"}, "many"},
	{[]string{"nothing", ""}, ""},
	{[]string{"check", ""}, ":files"},
	{[]string{"check", "--"}, "--format --limit --name --policy --strict"},
	{[]string{"check", "--s"}, "--strict"},
	{[]string{"check", "--format", ""}, "text json"},
	{[]string{"check", "--format", "j"}, "json"},
	{[]string{"check", "--policy", ""}, ":files"},
	{[]string{"check", "--limit", ""}, ""},
	{[]string{"check", "--strict", ""}, ":files"},
	{[]string{"check", "x", "--policy", "y", "--l"}, "--limit"},
	{[]string{"make", "one", ""}, ""},
	{[]string{"completion", ""}, "bash zsh fish"},
}

func TestNext(t *testing.T) {
	t.Parallel()
	more := append(completions[:len(completions):len(completions)], []struct {
		words []string
		want  string
	}{
		{[]string{"check", "--format=j"}, "--format=json"},
		{[]string{"check", "--format", "=", "j"}, "json"}, // as bash takes it apart
		{[]string{"check", "--format", "="}, "text json"},
		{[]string{"check", "--nonsense", ""}, ":files"},
	}...)
	for _, c := range more {
		status, stdout, stderr := run(append([]string{"completion", "next", "--"}, c.words...)...)
		var words []string
		for line := range strings.Lines(stdout) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			words = append(words, word)
		}
		if got := strings.Join(words, " "); status != 0 || got != c.want || stderr != "" {
			t.Errorf("%q: status %d, %q, want %q %s", c.words, status, got, c.want, stderr)
		}
	}
}

// shells say how each loads the completion, and how it completes words without a terminal.
var shells = map[string]struct {
	load     string
	complete func(words []string) string
}{
	"bash": {"source <(tool completion bash)", func(words []string) string {
		return fmt.Sprintf("COMP_WORDS=(tool %s); COMP_CWORD=%d; _tool; printf '%%s\n' \"${COMPREPLY[@]}\"", quoted(words), len(words))
	}},
	// zsh completes on a terminal only, so there is something in the place of what the script calls.
	"zsh": {`compdef() { : }
_files() { print -l :files }
_describe() { local x; for x in "${(@P)2}"; do print -r -- "${x%%:*}"; done }
source <(tool completion zsh)`, func(words []string) string {
		return fmt.Sprintf("words=(tool %s); CURRENT=%d; _tool", quoted(words), len(words)+1)
	}},
	"fish": {"tool completion fish | source", func(words []string) string {
		return fmt.Sprintf(`complete -C 'tool %s' | string replace -r '\t.*' ''`, strings.Join(words, " "))
	}},
}

func quoted(words []string) string { return "'" + strings.Join(words, "' '") + "'" }

// TestShells runs the scripts in the shells that this machine has; bash is always among them.
func TestShells(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "tool")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a file", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ran := 0
	for shell, how := range shells {
		program, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not installed", shell)
			continue
		}
		ran++
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			execute := func(args ...string) string {
				command := exec.Command(program, args...)
				command.Dir = dir
				command.Env = append(os.Environ(), "TOOL=yes", "HOME="+bin, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
				out, err := command.CombinedOutput()
				if err != nil {
					t.Fatalf("%s %q: %v\n%s", shell, args, err, out)
				}
				return string(out)
			}
			_, text, _ := run("completion", shell)
			file := filepath.Join(bin, "script."+shell)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if complaint := execute("-n", file); complaint != "" {
				t.Errorf("the script does not parse: %s", complaint)
			}
			all := how.load
			for _, c := range completions {
				all += "\n" + how.complete(c.words) + "\necho ---"
			}
			answers := strings.Split(execute("-c", all), "---\n")
			if len(answers) != len(completions)+1 {
				t.Fatalf("%d answers: %q", len(answers), answers)
			}
			for i, c := range completions {
				want := strings.Fields(c.want)
				switch {
				case c.want == ":files" && shell == "bash":
					want = nil // it completes files by itself where there is nothing else
				case c.want == ":files" && shell == "fish":
					want = []string{"a file", "other"}
				}
				got := strings.FieldsFunc(answers[i], func(r rune) bool { return r == '\n' })
				slices.Sort(got) // shells have an order of their own
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%q: %q, want %q", c.words, got, want)
				}
			}
		})
	}
	if ran == 0 {
		t.Error("there is no shell to try")
	}
}
