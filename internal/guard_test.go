// Package internal_test checks the design rules of the whole module: the direction of imports, which packages
// may read a secret, which may exit the process.
package internal_test

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/org/hubspoke-chain/"

// root is the module's directory, seen from this package.
const root = ".."

// shared are the small packages that everything may import. They import the standard library, one another and the
// named modules.
var shared = map[string][]string{
	"internal/pattern":   nil,
	"internal/plain":     nil,
	"internal/transport": {"golang.org/x/net"},
}

// core lists the small packages. Besides the standard library and the shared packages, they may import only the modules
// listed here.
var core = map[string][]string{
	"internal/hop":    {"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"},
	"internal/policy": nil,
}

// listed is a package as go list prints it.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	command := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports"}, args...)...)
	command.Dir = root
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := decoder.Decode(&p)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestImports checks what the shared and the core packages import, and that only commands, tests and what drives the
// action in a test import the action. The compiler refuses cycles.
func TestImports(t *testing.T) {
	t.Parallel()
	standard, seen := map[string]bool{}, map[string]bool{}
	all := list(t, "-deps", "./...")
	for _, p := range all {
		standard[p.ImportPath] = p.Standard
	}
	for _, p := range all {
		path, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		seen[path] = true
		modules, small := core[path]
		if more, is := shared[path]; is {
			modules, small = more, true
		}
		for _, i := range p.Imports {
			name := strings.TrimPrefix(i, module)
			_, helper := shared[name]
			within := func(m string) bool { return i == m || strings.HasPrefix(i, m+"/") }
			if small && !standard[i] && !helper && !slices.ContainsFunc(modules, within) {
				t.Errorf("%s imports %s", path, i)
			}
			if name == "internal/action" && !strings.HasPrefix(path, "cmd/") && path != "internal/simulate" {
				t.Errorf("%s imports %s", path, i)
			}
		}
	}
	for _, packages := range []map[string][]string{shared, core} {
		for path := range packages {
			if !seen[path] {
				t.Errorf("there is no package %s", path)
			}
		}
	}
}

// TestShipped looks at everything in the image's binary, not at direct imports alone. Of the module that testscript
// is from, the file lock is shipped.
func TestShipped(t *testing.T) {
	t.Parallel()
	found := false
	for _, p := range list(t, "-deps", "./cmd/hubspoke-chain") {
		found = found || p.ImportPath == module+"internal/hop"
		for _, kept := range []string{module + "internal/lab", module + "internal/runner", module + "internal/moto", module + "internal/selfsigned", module + "internal/manual", module + "internal/golden", module + "internal/e2e", module + "examples", "testing", "go.yaml.in/", "github.com/rogpeppe/go-internal/testscript", "github.com/spf13/cobra/doc"} {
			if p.ImportPath == kept || strings.HasSuffix(kept, "/") && strings.HasPrefix(p.ImportPath, kept) {
				t.Errorf("the shipped binary holds %s", p.ImportPath)
			}
		}
	}
	if !found {
		t.Error("the shipped binary holds no hop")
	}
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(ignored), "\n")
	for _, want := range []string{"*", "internal/lab", "internal/runner", "internal/moto", "internal/selfsigned", "internal/manual", "internal/golden", "internal/e2e", "**/*_test.go", "**/testdata"} {
		if !slices.Contains(lines, want) {
			t.Errorf(".dockerignore does not hold back %s", want)
		}
	}
	if slices.Contains(lines, "!cmd") || slices.Contains(lines, "!cmd/hubspoke-lab") {
		t.Error(".dockerignore lets cmd/hubspoke-lab through")
	}
}

// The rules for the text of Go files. An expression is put together from two parts where this file would
// match it otherwise.
var rules = []struct {
	what    string
	pattern *regexp.Regexp
	tests   bool     // applies to tests too
	allowed []string // files, or directories that end in /
}{
	{"reveals a secret", regexp.MustCompile(`\.Reveal\(`), false, []string{"internal/action/export.go", "internal/action/profile.go", "internal/credproc/", "internal/hop/sts.go"}},
	{"ends the process, reads its environment or its signals", regexp.MustCompile(`\bos\.(Exit|Getenv|LookupEnv|Environ)\b|\bsignal\.Notify`), false, []string{"cmd/", "scripts/release/", "internal/moto/", "internal/e2e/testdata/goconsumer/"}},
	{"reads the SDK's configuration from the environment", regexp.MustCompile(`Load` + `DefaultConfig\(`), true, []string{"internal/e2e/testdata/goconsumer/"}}, // it is a user's tool
	{"was left for later", regexp.MustCompile(`TO` + `DO|FIX` + `ME|XX` + `X:`), true, nil},
	{"silences a linter", regexp.MustCompile(`no` + `lint`), true, nil},
	{"skips a test", regexp.MustCompile(`\.Skip` + `(f|Now)?\(`), true, nil},
}

func TestRules(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, rule := range rules {
			if !rule.tests && strings.HasSuffix(name, "_test.go") {
				continue
			}
			within := func(a string) bool { return name == a || strings.HasSuffix(a, "/") && strings.HasPrefix(name, a) }
			if at := rule.pattern.FindIndex(text); at != nil && !slices.ContainsFunc(rule.allowed, within) {
				t.Errorf("%s:%d %s: %s", name, 1+strings.Count(string(text[:at[0]]), "\n"), rule.what, text[at[0]:at[1]])
			}
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Errorf("%d Go files read: %v", files, err)
	}
}

// TestGoVersion checks the Go version in README.md against go.mod and the Go that the image is built with.
func TestGoVersion(t *testing.T) {
	t.Parallel()
	find := func(name, pattern string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s has no %s", name, pattern)
		}
		return string(m[1])
	}
	required := find("README.md", `needs only Go ([0-9.]+[0-9])`)
	if language := find("go.mod", `(?m)^go ([0-9]+\.[0-9]+)`); required != language {
		t.Errorf("README.md requires Go %s, go.mod %s", required, language)
	}
	if built := find("Dockerfile", `(?m)^ARG GO_IMAGE=golang:([0-9]+\.[0-9]+)`); built != required {
		t.Errorf("the image is built with Go %s, README.md requires %s", built, required)
	}
}

// TestSecurityPage checks that every test named in docs/security.md exists.
func TestSecurityPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z]+|(?:script|failures)/[a-z-]+\\.txtar)`").FindAllStringSubmatch(string(page), -1)
	for _, n := range named {
		if strings.HasSuffix(n[1], ".txtar") {
			if _, err := os.Stat(filepath.Join(root, "cmd", "hubspoke-chain", "testdata", n[1])); err != nil {
				t.Error(err)
			}
		} else if !strings.Contains(tests.String(), "\nfunc "+n[1]+"(") {
			t.Errorf("there is no test %s", n[1])
		}
	}
	if sections, shown := strings.Count(string(page), "\n### "), strings.Count(string(page), "\nShown by: "); len(named) < 30 || shown != sections {
		t.Errorf("%d tests are named, and %d of %d attackers are shown by any", len(named), shown, sections)
	}
}

// TestDependencies compares the direct dependencies in go.mod with the reasons in docs/architecture.md.
func TestDependencies(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Dependencies\n")
	table, _, _ = strings.Cut(table, "\n## ")
	direct := 0
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		direct++
		short := strings.TrimPrefix(m[1], "github.com/aws/aws-sdk-go-v2/")
		if !strings.Contains(table, "`"+short+"`") {
			t.Errorf("docs/architecture.md has no reason for %s", m[1])
		}
	}
	if rows := strings.Count(table, "\n| `"); direct < 5 || rows == 0 {
		t.Errorf("%d direct dependencies and %d rows", direct, rows)
	}
}
