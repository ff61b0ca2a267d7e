package internal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	pageTable   = regexp.MustCompile(`(?ms)^<!-- BEGIN (\S+) -->\n(.*?)^<!-- END (\S+) -->$`)
	scriptTable = regexp.MustCompile(`(?ms)^table (\S+) <<ROWS\n(.*?)^ROWS$`)
	emptyCell   = regexp.MustCompile(`\| (-|nan|inf|-nan)? *(ms|µs|MB|MiB|KiB) \||\| (-|nan|inf|-nan) \|`)
)

// TestPerformancePage checks the tables of docs/performance.md against scripts/performance.sh, which writes them:
// both have the same tables, in the same order, with the same heads and rows, and every row has a figure. The text
// names every benchmark.
func TestPerformancePage(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	page, script := read("docs/performance.md"), read("scripts/performance.sh")
	have, want := pageTable.FindAllStringSubmatch(page, -1), scriptTable.FindAllStringSubmatch(script, -1)
	if len(have) != len(want) || len(want) < 10 || strings.Count(page, "<!-- ") != 2*len(have) {
		t.Fatalf("docs/performance.md has %d tables, scripts/performance.sh writes %d", len(have), len(want))
	}
	fixed := 0
	for i, table := range have {
		name, rows := table[1], table[2]
		if name != want[i][1] || table[3] != name {
			t.Fatalf("table %d is %s to %s, scripts/performance.sh writes %s", i+1, name, table[3], want[i][1])
		}
		rest := rows
		for line := range strings.Lines(want[i][2]) {
			begin, _, _ := strings.Cut(strings.ReplaceAll(line, "\\`", "`"), "$")
			if begin == "" { // rows that a function of the script writes
				continue
			}
			_, after, found := strings.Cut(rest, begin)
			if !found {
				t.Errorf("table %s of docs/performance.md lacks %q, or has it elsewhere: run scripts/performance.sh", name, begin)
				continue
			}
			rest, fixed = after, fixed+1
		}
		lines := strings.Split(strings.TrimSuffix(rows, "\n"), "\n")
		if len(lines) < 3 {
			t.Errorf("table %s has no rows", name)
		}
		for _, line := range lines[min(2, len(lines)):] {
			if emptyCell.MatchString(line) || !strings.ContainsAny(line, "0123456789") {
				t.Errorf("table %s has a row without a figure: %q", name, line)
			}
		}
	}
	if fixed < 50 {
		t.Errorf("only %d lines of the tables are fixed", fixed)
	}
	if !strings.Contains(page, "\n| runs of each benchmark | 3 |\n") {
		t.Error("the tables of docs/performance.md are not from a whole run of scripts/performance.sh")
	}
	for _, name := range benchmarks(t) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/performance.md does not name %s", name)
		}
	}
}

// benchmarks returns the names of all benchmarks in the repository.
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
