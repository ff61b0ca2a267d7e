package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The cases are those of actions/runner's own tests of its file commands (src/Test/L0/Worker,
// SetEnvFileCommandL0.cs), in our words.
func TestParseCommandFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []Pair
		err  string
	}{
		"empty":                         {"", nil, ""},
		"blank lines":                   {"\n\n", nil, ""},
		"simple":                        {"A=1\nB=2\n", []Pair{{"A", "1"}, {"B", "2"}}, ""},
		"no end of line":                {"A=1", []Pair{{"A", "1"}}, ""},
		"value with equals":             {"A=b=c\n", []Pair{{"A", "b=c"}}, ""},
		"value with heredoc sign":       {"A=b<<c\n", []Pair{{"A", "b<<c"}}, ""},
		"empty value":                   {"A=\n", []Pair{{"A", ""}}, ""},
		"nothing is trimmed":            {" A = 1 \n", []Pair{{" A ", " 1 "}}, ""},
		"carriage return stays":         {"A=1\r\n", []Pair{{"A", "1\r"}}, ""},
		"heredoc":                       {"A<<E\nx\ny\nE\n", []Pair{{"A", "x\ny"}}, ""},
		"heredoc at the end":            {"A<<E\nx\nE", []Pair{{"A", "x"}}, ""},
		"heredoc without lines":         {"A<<E\nE\n", []Pair{{"A", ""}}, ""},
		"heredoc of one empty line":     {"A<<E\n\nE\n", []Pair{{"A", ""}}, ""},
		"heredoc keeps inner line ends": {"A<<E\n\n\nx\n\nE\n", []Pair{{"A", "\n\nx\n"}}, ""},
		"delimiter with equals":         {"A<<E=F\nx\nE=F\n", []Pair{{"A", "x"}}, ""},
		"delimiter inside a line":       {"A<<E\nxE\nE x\nE\n", []Pair{{"A", "xE\nE x"}}, ""},
		"delimiter with a return":       {"A<<E\nE\r\nE\n", []Pair{{"A", "E\r"}}, ""},
		"after an error":                {"A=1\nbad\nB=2\n", []Pair{{"A", "1"}}, `invalid format "bad"`},
		"empty name":                    {"=1\n", nil, `invalid format "=1": the name is empty`},
		"empty heredoc name":            {"<<E\nE\n", nil, `invalid format "<<E": name and delimiter must not be empty`},
		"empty delimiter":               {"A<<\n\n", nil, `invalid format "A<<": name and delimiter must not be empty`},
		"no delimiter":                  {"A<<E\nx\n", nil, `invalid value: matching delimiter not found "E"`},
		"delimiter line is cut":         {"A<<EOF\nx\nEO", nil, `invalid value: matching delimiter not found "EOF"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseCommandFile(c.text)
			if !slices.Equal(got, c.want) || fmt.Sprint(err) != orNil(c.err) {
				t.Errorf("got %q, %v; want %q, %s", got, err, c.want, orNil(c.err))
			}
		})
	}
}

func orNil(s string) string {
	if s == "" {
		return "<nil>"
	}
	return s
}

func TestMasks(t *testing.T) {
	t.Parallel()
	var m Masks
	m.Add("top/secret+value==")
	m.Add("two\nlines of it")
	for _, text := range []string{
		"top/secret+value==", "top%2Fsecret%2Bvalue%3D%3D", "dG9wL3NlY3JldCt2YWx1ZT09", "two", "lines of it",
	} {
		if got := m.Hide("<" + text + ">"); !strings.HasPrefix(got, "<***") {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
	for _, text := range []string{"TOP/SECRET+VALUE==", "top/secret", "of it"} {
		if got := m.Hide(text); got != text {
			t.Errorf("%q is hidden as %q, which the runner does not do", text, got)
		}
	}
	m.Add("a")
	if got := m.Hide("banana"); got != "b***n***n***" {
		t.Errorf("a mask of one character gave %q", got)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var m Masks
	l := &Log{masks: &m}
	fmt.Fprint(l, "hello hunter22\n::add-mask::hunter22\nhello hunter22\n  ::error title=t,file=f::bad%0Ahunter22\n",
		"text ##[warning]hun", "ter22\n::unknown::x\n::set-output name=x::y\nlast")
	want := "hello hunter22\nhello ***\nError: bad\n***\nWarning: ***\n::unknown::x\n::set-output name=x::y\nlast\n"
	if got := l.Shown(); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got, want := fmt.Sprint(l.Annotations()), "[{error t bad\n***} {warning  ***}]"; got != want {
		t.Errorf("got annotations %q, want %q", got, want)
	}
}

func TestStep(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "action.yml")
	err := os.WriteFile(path, []byte(`
inputs:
  given: {default: "no"}
  standard: {default: "yes"}
  nothing: {description: none}
  host-temp: {default: "${{ runner.temp }}"}
runs: {using: docker, image: Dockerfile, args: [run, "--host-temp=${{ inputs.host-temp }}"]}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	action, err := ReadAction(path)
	if err != nil {
		t.Fatal(err)
	}
	job, err := NewJob(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	step, err := job.Start(action, map[string]string{"Given": ""}, []Pair{{"kept", "1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"INPUT_GIVEN=", "INPUT_STANDARD=yes", "INPUT_NOTHING=", "STATE_kept=1", "RUNNER_TEMP=" + job.Temp} {
		if !slices.Contains(step.Env(), want) {
			t.Errorf("the environment lacks %q", want)
		}
	}
	if args, err := step.Args(); err != nil || !slices.Equal(args, []string{"run", "--host-temp=" + job.Temp}) {
		t.Errorf("got arguments %q, %v", args, err)
	}
	for env, text := range map[string]string{"GITHUB_ENV": "A=1\nNODE_OPTIONS=x\nbad", "GITHUB_OUTPUT": "o=2\n", "GITHUB_STEP_SUMMARY": "# hi\n"} {
		if err := os.WriteFile(step.Path(env), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := step.End()
	if err != nil {
		t.Fatal(err)
	}
	if r.Err == nil || r.Err.Error() != `GITHUB_ENV: invalid format "bad"` {
		t.Errorf("the file's error is %v", r.Err)
	}
	if job.Env["A"] != "1" || job.Env["NODE_OPTIONS"] != "" || r.Summary != "# hi\n" || !slices.Equal(r.Output, []Pair{{"o", "2"}}) {
		t.Errorf("got %+v and the job's environment %v", r, job.Env)
	}
}
