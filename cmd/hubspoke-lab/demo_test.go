package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// shown returns the lines of the demo for the environment variable COLUMNS.
func shown(t *testing.T, columns string, full bool) []string {
	t.Helper()
	var out bytes.Buffer
	p := newPrinter(&out, func(name string) string { return map[string]string{"COLUMNS": columns}[name] }, full)
	if err := demo(t.Context(), p, ""); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// The short form is at most 70 lines of 80 columns and ends with what was proved.
func TestDemo(t *testing.T) {
	t.Parallel()
	lines := shown(t, "", false)
	if len(lines) > 70 {
		t.Errorf("the demo has %d lines, want 70 at most", len(lines))
	}
	checkWidth(t, lines, 80)
	proved := slices.Index(lines, "What this proved")
	if proved < 0 {
		t.Fatal("the demo does not say what it proved")
	}
	points := 0
	for _, line := range lines[proved+1 : len(lines)-1] {
		if strings.HasPrefix(line, "  ✓ ") {
			points++
		} else if !strings.HasPrefix(line, "    ") {
			t.Errorf("an unexpected line after the heading: %q", line)
		}
	}
	if points != len(scenes)+2 {
		t.Errorf("%d points are proved, want %d", points, len(scenes)+2)
	}
	for _, begin := range []string{"  │   token    ", "  │   spoke    ", "  │   expires  ", "  │ Error: ", "  │    Fix: "} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, begin) }) {
			t.Errorf("no line begins with %q", begin)
		}
	}
}

func TestDemoWidth(t *testing.T) {
	t.Parallel()
	checkWidth(t, shown(t, "52", false), 52)
	full := shown(t, "80", true)
	checkWidth(t, full, 80)
	// In the full form, long ARNs are wrapped and not cut.
	text := strings.NewReplacer("\n", "", " ", "", "│", "").Replace(strings.Join(full, "\n"))
	for _, want := range []string{
		"spokearn:aws:sts::222222222222:assumed-role/deploy-staging/gh-9876543210-1,12sessiontags",
		"--claimjob_workflow_ref=octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/feature",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the full form lacks %q", want)
		}
	}
}

func checkWidth(t *testing.T, lines []string, width int) {
	t.Helper()
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > width {
			t.Errorf("a line has %d columns, want %d at most: %q", n, width, line)
		}
	}
}

func TestNewPrinter(t *testing.T) {
	t.Parallel()
	for columns, want := range map[string]int{"": 80, "x": 80, "0": 40, "-1": 40, "60": 60, "200": 80} {
		if got := newPrinter(nil, func(string) string { return columns }, false); got.width != want || got.colored {
			t.Errorf("COLUMNS=%s: got width %d, want %d; colored: %t", columns, got.width, want, got.colored)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		line  string
		width int
		want  []string
	}{
		{"", 10, []string{""}},
		{"one two", 7, []string{"one two"}},
		{"one two three", 7, []string{"one two", "  three"}},
		{"  hub      a b c", 14, []string{"  hub      a b", "           c"}},
		{"  hub      a/bb c", 13, []string{"  hub      a/", "           bb", "           c"}},
		{"1. one two", 7, []string{"1. one", "   two"}},
		{"    - one two", 9, []string{"    - one", "      two"}},
		{"abcdefghij", 4, []string{"abcd", "  ef", "  gh", "  ij"}},
		{"ééé ééé", 4, []string{"ééé", "  éé", "  é"}},
	} {
		if got := wrap(test.line, hanging(test.line), test.width); !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.line, got, test.want)
		}
	}
}

// Wrapping loses nothing but spaces, keeps to the width and ends.
func FuzzWrap(f *testing.F) {
	f.Add("  spoke    arn:aws:sts::222222222222:assumed-role/deploy-staging/gh-1, 12 session tags", uint8(40))
	f.Add("1. ééé                                                       é", uint8(0))
	f.Fuzz(func(t *testing.T, line string, more uint8) {
		if !utf8.ValidString(line) {
			return
		}
		width := minWidth - 4 + int(more)
		lines := wrap(line, hanging(line), width)
		checkWidth(t, lines, width)
		if got, want := strings.ReplaceAll(strings.Join(lines, ""), " ", ""), strings.ReplaceAll(line, " ", ""); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
