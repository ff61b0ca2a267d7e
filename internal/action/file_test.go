package action

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/org/hubspoke-chain/internal/runner"
)

// commandFiles makes files with these contents and the environment that names them.
func commandFiles(t *testing.T, contents map[string]string) (getenv func(string) string, read func(string) string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	getenv = func(name string) string {
		if _, known := contents[name]; known {
			return filepath.Join(dir, name)
		}
		return ""
	}
	read = func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return getenv, read
}

func TestWriteFiles(t *testing.T) {
	t.Parallel()
	getenv, read := commandFiles(t, map[string]string{"GITHUB_ENV": "A=1\n", "GITHUB_OUTPUT": "B=2", "GITHUB_STATE": ""})
	err := writeFiles(getenv,
		commandFile{"GITHUB_ENV", []pair{{"X", "a=b<<c"}, {"Y", ""}}},
		commandFile{"GITHUB_OUTPUT", []pair{{"z", "%0A::add-mask::x"}}},
		commandFile{"GITHUB_STATE", nil})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]runner.Pair{
		"GITHUB_ENV":    {{Name: "A", Value: "1"}, {Name: "X", Value: "a=b<<c"}, {Name: "Y", Value: ""}},
		"GITHUB_OUTPUT": {{Name: "B", Value: "2"}, {Name: "z", Value: "%0A::add-mask::x"}}, // the line without an end stays a line
		"GITHUB_STATE":  nil,
	} {
		got, err := runner.ParseCommandFile(read(name))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: the runner reads %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestDelimiterIsRandom(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		text, err := encode([]pair{{"X", "v"}, {"Y", "v"}})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			if _, delimiter, found := strings.Cut(strings.TrimSpace(line), "<<"); found {
				if seen[delimiter] || len(delimiter) < len("hubspoke_")+26 {
					t.Errorf("the delimiter %s is short or was used before", delimiter)
				}
				seen[delimiter] = true
			}
		}
	}
	if len(seen) != 200 {
		t.Errorf("%d delimiters for 200 pairs", len(seen))
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pair pair
		want string
	}{
		{pair{"", "v"}, `the name "" is not valid in a command file`},
		{pair{"A=B", "v"}, `the name "A=B" is not valid in a command file`},
		{pair{"A<<B", "v"}, `the name "A<<B" is not valid in a command file`},
		{pair{"A\nB", "v"}, `the name "A\nB" is not valid in a command file`},
		{pair{"A", "secret\nNODE_OPTIONS=x"}, "the value of A holds a line end or a NUL"},
		{pair{"A", "secret\r"}, "the value of A holds a line end or a NUL"},
		{pair{"A", "secret\x00"}, "the value of A holds a line end or a NUL"},
	} {
		if text, err := encode([]pair{{"OK", "v"}, test.pair}); text != "" || err == nil || err.Error() != test.want {
			t.Errorf("%q: got %q, %v, want %s", test.pair, text, err, test.want)
		}
	}
}

// TestNothingOrAll has the second file fail; the first is as it was.
func TestNothingOrAll(t *testing.T) {
	t.Parallel()
	good := commandFile{"GITHUB_OUTPUT", []pair{{"x", "v"}}}
	for _, test := range []struct {
		name  string
		env   string // what GITHUB_ENV names, made in dir
		make  func(path string) error
		pairs []pair
		want  string // with PATH in place of the path
	}{
		{"not set", "", nil, []pair{{"A", "v"}}, "GITHUB_ENV is not set: this is not running as a step of GitHub Actions"},
		{"missing, and not made", "f", func(string) error { return nil }, []pair{{"A", "v"}}, "opening GITHUB_ENV: stat PATH: no such file or directory"},
		{"a directory", "f", func(path string) error { return os.Mkdir(path, 0o700) }, []pair{{"A", "v"}}, "opening GITHUB_ENV: PATH is not a regular file"},
		{"a pipe without a reader", "f", func(path string) error { return syscall.Mkfifo(path, 0o600) }, []pair{{"A", "v"}}, "opening GITHUB_ENV: PATH is not a regular file"},
		{"a device", "f", func(path string) error { return os.Symlink("/dev/full", path) }, []pair{{"A", "v"}}, "opening GITHUB_ENV: PATH is not a regular file"},
		{"a line end in a value", "f", func(path string) error { return os.WriteFile(path, nil, 0o600) }, []pair{{"A", "v\nB=w"}}, "the value of A holds a line end or a NUL"},
	} {
		getenv, read := commandFiles(t, map[string]string{"GITHUB_OUTPUT": "before"})
		path := ""
		if test.env != "" {
			path = filepath.Join(t.TempDir(), test.env)
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
		}
		err := writeFiles(func(name string) string {
			if name == "GITHUB_ENV" {
				return path
			}
			return getenv(name)
		}, good, commandFile{"GITHUB_ENV", test.pairs})
		if want := strings.ReplaceAll(test.want, "PATH", path); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", test.name, err, want)
		}
		if got := read("GITHUB_OUTPUT"); got != "before" {
			t.Errorf("%s: the other file holds %q", test.name, got)
		}
		if test.name == "missing, and not made" {
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("%s: %v", test.name, err)
			}
		}
	}
}

// TestWriteFails makes a write fail halfway, as on a full disk: all changes are undone. It uses a limit
// on the file size. The limit applies to the whole process, so the test does not run in parallel.
func TestWriteFails(t *testing.T) {
	getenv, read := commandFiles(t, map[string]string{"GITHUB_OUTPUT": "before\n", "GITHUB_ENV": "before\n"})
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	err := writeFiles(getenv, commandFile{"GITHUB_OUTPUT", []pair{{"x", "v"}}}, commandFile{"GITHUB_ENV", []pair{{"A", strings.Repeat("v", 8000)}}})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("writing a command file: write %s: file too large", getenv("GITHUB_ENV")); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_ENV"} {
		if got := read(name); got != "before\n" {
			t.Errorf("%s holds %d bytes, want what it held before", name, len(got))
		}
	}
}

func TestAppendSummary(t *testing.T) {
	t.Parallel()
	getenv, read := commandFiles(t, map[string]string{"GITHUB_STEP_SUMMARY": "before\n"})
	if err := appendSummary(getenv, "after\n"); err != nil || read("GITHUB_STEP_SUMMARY") != "before\nafter\n" {
		t.Errorf("got %q, %v", read("GITHUB_STEP_SUMMARY"), err)
	}
	err := appendSummary(func(string) string { return "" }, "x")
	if want := "GITHUB_STEP_SUMMARY is not set: this is not running as a step of GitHub Actions"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// FuzzCommandFile holds the writer against the runner's grammar: what was put in comes out, after
// whatever the file held, or it is refused.
func FuzzCommandFile(f *testing.F) {
	f.Add("AWS_REGION", "us-east-1", "")
	f.Add("A", "B<<C", "X=1")
	f.Add("A", "hubspoke_AAAA", "X<<E\nv\nE\n")
	f.Add("A<<B", "v", "")
	f.Add("A", "v\nNODE_OPTIONS=x", "")
	f.Add("=", "\r", "\n\n")
	f.Add("A\u2028", "\u2028\x85\v\f", "X=\r\n")
	f.Fuzz(func(t *testing.T, name, value, before string) {
		earlier, err := runner.ParseCommandFile(before)
		if err != nil {
			return // the step had failed before we wrote
		}
		text, err := encode([]pair{{name, value}, {"LAST", "v"}})
		if err != nil {
			if !strings.ContainsAny(name, "=<\r\n\x00") && name != "" && !strings.ContainsAny(value, "\r\n\x00") {
				t.Errorf("%q, %q: %v", name, value, err)
			}
			return
		}
		if before != "" && !strings.HasSuffix(before, "\n") {
			before += "\n"
		}
		got, err := runner.ParseCommandFile(before + text)
		if want := append(earlier, runner.Pair{Name: name, Value: value}, runner.Pair{Name: "LAST", Value: "v"}); err != nil || !slices.Equal(got, want) {
			t.Errorf("the runner reads %q, %v, want %q", got, err, want)
		}
	})
}
