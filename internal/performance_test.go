package internal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPerformancePage holds docs/performance.md to the script that writes it: what the script says in fixed lines the page
// says too, in the same order, so that neither is changed alone. Every benchmark is on the page, and all has a figure.
func TestPerformancePage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	if !strings.Contains(page, "\n<!-- Written by: scripts/performance.sh -->\n") {
		t.Error("docs/performance.md was not written by a whole run of scripts/performance.sh")
	}
	script, err := os.ReadFile(filepath.Join(root, "scripts/performance.sh"))
	if err != nil {
		t.Fatal(err)
	}
	_, report, found := strings.Cut(string(script), "<<REPORT\n")
	report, _, ended := strings.Cut(report, "\nREPORT\n")
	if !found || !ended {
		t.Fatal("scripts/performance.sh has no text of the report")
	}
	rest, fixed := page, 0
	for line := range strings.Lines(report) {
		line = strings.ReplaceAll(line, "\\`", "`")
		if strings.Contains(line, "$") || strings.TrimSpace(line) == "" {
			continue
		}
		_, after, found := strings.Cut(rest, line)
		if !found {
			t.Errorf("docs/performance.md lacks the line %q, or has it elsewhere: scripts/performance.sh writes the page anew", line)
			continue
		}
		rest, fixed = after, fixed+1
	}
	if fixed < 50 {
		t.Errorf("only %d lines of the report are fixed", fixed)
	}
	for line := range strings.Lines(page) {
		if regexp.MustCompile(`\| (-|nan|inf|-nan)? *(ms|µs|MB|MiB|KiB)? \|`).MatchString(line) && strings.ContainsAny(line, "0123456789") {
			t.Errorf("docs/performance.md has a row without a figure: %q", line)
		}
	}
	for _, name := range benchmarks(t) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/performance.md does not name %s", name)
		}
	}
}

// benchmarks are the names of all of the repository.
func benchmarks(t *testing.T) []string {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (Benchmark\w+)\(`)
	var names []string
	if err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(names) < 8 {
		t.Errorf("only the benchmarks %q were found", names)
	}
	return names
}
