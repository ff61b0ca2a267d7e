package lint

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/golden"
)

func TestRules(t *testing.T) {
	t.Parallel()
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	sentence := regexp.MustCompile(`^[A-Z*].*[^.]\.$`)
	// The message of these findings is what another program printed, and the fix depends on it.
	withoutFix := []string{"refused", "syntax"}
	seen := map[string]bool{}
	last := ""
	for _, r := range Rules() {
		if last >= r.Name {
			t.Errorf("%s is not sorted", r.Name)
		}
		last = r.Name
		if !kebab.MatchString(r.Name) || !sentence.MatchString(r.Why) || strings.HasSuffix(r.Fix, ".") ||
			(r.Fix == "") != slices.Contains(withoutFix, r.Name) ||
			!strings.HasPrefix(r.Doc, "https://docs.") || !r.Severity.AtLeast(Note) || r.Check == nil {
			t.Errorf("%+v is incomplete", r)
		}
		for _, name := range []string{r.Name, r.Old} {
			if found, ok := Explain(name); name != "" && (!ok || found != r || seen[name]) {
				t.Errorf("Explain(%q) is %v", name, found)
			}
			seen[name] = true
		}
	}
	for _, name := range []string{"", "no-such-rule"} {
		if r, found := Explain(name); found {
			t.Errorf("Explain(%q) is %s", name, r.Name)
		}
	}
}

// TestRegistered checks that the rules in use are those that the source declares.
func TestRegistered(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.CompositeLit); ok {
				if of, ok := literal.Type.(*ast.Ident); ok && of.Name == "Rule" {
					declared = append(declared, nameOf(t, literal))
				}
			}
			return true
		})
	}
	slices.Sort(declared)
	var registered []string
	for _, r := range Rules() {
		registered = append(registered, r.Name)
	}
	if len(declared) == 0 || !slices.Equal(declared, registered) {
		t.Errorf("declared are %q\nregistered are %q", declared, registered)
	}
}

// nameOf returns the Name of a Rule literal.
func nameOf(t *testing.T, literal *ast.CompositeLit) string {
	t.Helper()
	for _, element := range literal.Elts {
		if field, ok := element.(*ast.KeyValueExpr); ok && field.Key.(*ast.Ident).Name == "Name" {
			name, err := strconv.Unquote(field.Value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			return name
		}
	}
	t.Fatal("a Rule has no Name")
	return ""
}

// TestWriteRules checks that the listing contains every value of every rule.
func TestWriteRules(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := WriteRules(&b, Rules()...); err != nil {
		t.Fatal(err)
	}
	golden.File(t, "testdata/rules.golden", b.String())
	listed := strings.Split(b.String(), "\n\n")
	if len(listed) != len(Rules()) {
		t.Fatalf("%d rules are listed, want %d", len(listed), len(Rules()))
	}
	for i, r := range Rules() {
		if !strings.HasPrefix(listed[i], r.Name+" ("+string(r.Severity)+")\n") {
			t.Errorf("%s is listed as\n%s", r.Name, listed[i])
		}
		for _, text := range []string{r.Why, r.Fix, r.Old, r.Doc} {
			if !strings.Contains(listed[i], text) {
				t.Errorf("%s is listed without %q", r.Name, text)
			}
		}
	}
}
