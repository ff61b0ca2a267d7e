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

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
)

// TestMain lets the test's binary be the program itself, which the shells' completions ask.
func TestMain(m *testing.M) {
	if os.Getenv("TOOL") != "" {
		os.Exit(cli.Run(context.Background(), program(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// completions are words typed, the last one begun, and what is offered for it.
var completions = []struct {
	words []string
	want  string // :files stands for the names of files
}{
	{[]string{""}, "check completion help make version with"},
	{[]string{"ma"}, "make"},
	{[]string{"make", ""}, "many none one"},
	{[]string{"make", "m"}, "many"},
	{[]string{"nothing", ""}, ""},
	{[]string{"check", ""}, ":files"},
	{[]string{"check", "--"}, "--format --help --limit --name --policy --strict"},
	{[]string{"check", "--s"}, "--strict"},
	{[]string{"check", "--format", ""}, "json text"},
	{[]string{"check", "--format", "j"}, "json"},
	{[]string{"check", "--policy", ""}, ":files"},
	{[]string{"check", "--limit", ""}, ""},
	{[]string{"check", "--strict", ""}, ":files"},
	{[]string{"check", "x", "--policy", "y", "--l"}, "--limit"},
	{[]string{"make", "one", ""}, ""},
	{[]string{"completion", ""}, "bash fish powershell zsh"},
}

// TestComplete asks as the scripts do.
func TestComplete(t *testing.T) {
	t.Parallel()
	more := append(completions[:len(completions):len(completions)], []struct {
		words []string
		want  string
	}{
		{[]string{"check", "--format=j"}, "json"},
		{[]string{"help", ""}, "check completion make version with"},
		{[]string{"help", "make", ""}, "many none one"},
		{[]string{"help", "check", ""}, ""},
	}...)
	for _, c := range more {
		status, stdout, stderr := run(append([]string{cobra.ShellCompRequestCmd}, c.words...)...)
		lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
		// The last line has bits that tell the shell what to do; the shell filters by what was typed.
		var words []string
		_, typed, assigned := strings.Cut(c.words[len(c.words)-1], "=")
		if !assigned {
			typed = c.words[len(c.words)-1]
		}
		for _, line := range lines[:len(lines)-1] {
			if word, _, _ := strings.Cut(line, "\t"); strings.HasPrefix(word, typed) {
				words = append(words, word)
			}
		}
		directive := lines[len(lines)-1]
		if directive == fmt.Sprintf(":%d", cobra.ShellCompDirectiveDefault) && len(words) == 0 {
			words = []string{":files"}
		}
		slices.Sort(words)
		if got := strings.Join(words, " "); status != 0 || got != c.want || !strings.HasPrefix(stderr, "Completion ended with directive: ") {
			t.Errorf("%q: status %d, %q %s, want %q %s", c.words, status, got, directive, c.want, stderr)
		}
	}
}

// shells say how each loads the completion, and how it completes words without a terminal.
var shells = map[string]struct {
	load     string
	complete func(words []string) string
}{
	// The package bash-completion has what puts words together that bash has split; without it, none here is.
	"bash": {`source /usr/share/bash-completion/bash_completion 2>/dev/null ||
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}; }
source <(tool completion bash)
`, func(words []string) string {
		line := strings.Join(words, " ")
		return fmt.Sprintf("COMP_WORDS=(tool %s); COMP_CWORD=%d; COMP_LINE='tool %s'; COMP_POINT=%d; COMP_TYPE=37; COMPREPLY=(); "+
			"__start_tool 2>/dev/null; printf '%%s\n' \"${COMPREPLY[@]}\"", quoted(words), len(words), line, len(line)+5)
	}},
	// zsh completes on a terminal only, so there is something in the place of what the script calls.
	"zsh": {`compdef() { : }
_arguments() { print -l :files }
_describe() {
  local x found=1
  for x in "${(@P)2}"; do [[ $x == ${begun}* ]] && print -r -- "${x%%:*}" && found=0; done
  return found
}
source <(tool completion zsh)`, func(words []string) string {
		return fmt.Sprintf("words=(tool %s); begun=%s; CURRENT=%d; _tool || true", quoted(words), quoted(words[len(words)-1:]), len(words)+1)
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
