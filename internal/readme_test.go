package internal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/org/hubspoke-chain/internal/golden"
)

// TestReadmeTables generates the tables of inputs and outputs in README.md from action.yml, in its order.
func TestReadmeTables(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Inputs, Outputs yaml.Node }
	if err := yaml.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	readme := filepath.Join(root, "README.md")
	golden.Section(t, readme, "inputs", table(t, manifest.Inputs, "| Input | Default | Description |\n|---|---|---|\n", true))
	golden.Section(t, readme, "outputs", table(t, manifest.Outputs, "| Output | Description |\n|---|---|\n", false))
}

// table is a Markdown table with a row for each key of the node, below this head.
func table(t *testing.T, node yaml.Node, head string, defaults bool) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(head)
	for i := 0; i < len(node.Content); i += 2 {
		var value struct {
			Description, Default string
			Required             bool
		}
		if err := node.Content[i+1].Decode(&value); err != nil {
			t.Fatal(err)
		}
		description, byDefault := cells(value.Description)
		switch {
		case value.Required:
			byDefault = "required"
		case value.Default != "":
			byDefault = "`" + value.Default + "`"
		}
		b.WriteString("| `" + node.Content[i].Value + "` ")
		if defaults {
			b.WriteString("| " + byDefault + " ")
		}
		b.WriteString("| " + description + " |\n")
	}
	if strings.Count(b.String(), "\n") < 2+len(node.Content)/2 || len(node.Content) == 0 {
		t.Fatalf("the table has too few rows:\n%s", &b)
	}
	return b.String()
}

// cells splits a description of action.yml, whose last lines may begin with "Default: " and "Example: ".
func cells(description string) (text, byDefault string) {
	var sentences []string
	for line := range strings.SplitSeq(strings.ReplaceAll(description, "|", `\|`), "\n") {
		if value, ok := strings.CutPrefix(line, "Default: "); ok {
			byDefault = value
		} else if value, ok := strings.CutPrefix(line, "Example: "); ok {
			sentences = append(sentences, "Example: `"+value+"`")
		} else {
			sentences = append(sentences, line)
		}
	}
	return strings.Join(sentences, " "), byDefault
}

var figures = regexp.MustCompile(`N ms|TIME`)

// TestReadmeLog checks the log in README.md against that of the script for the hop. What differs between runs is an example.
func TestReadmeLog(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join(root, "cmd/hubspoke-chain/testdata/script/hop.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	log := ""
	for _, f := range archive.Files {
		if f.Name == "want-log" {
			log = string(f.Data)
		}
	}
	examples := []string{"11 ms", "7 ms", "3 ms", "2026-11-24T05:06:01Z", "24 ms"}
	if got := len(figures.FindAllString(log, -1)); got != len(examples) {
		t.Fatalf("the log has %d figures, want %d:\n%s", got, len(examples), log)
	}
	log = figures.ReplaceAllStringFunc(log, func(string) string {
		example := examples[0]
		examples = examples[1:]
		return example
	})
	golden.Section(t, filepath.Join(root, "README.md"), "log", "```text\n"+log+"```\n")
}

// TestGoldenTarget checks that the Makefile's target golden runs every package whose tests have the flag -update.
func TestGoldenTarget(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, target, _ := strings.Cut(string(makefile), "\ngolden:\n")
	target, _, _ = strings.Cut(target, "\n\n")
	packages := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if flagged := regexp.MustCompile(`internal/golden"\n|flag\.Bool\("update"`); flagged.Match(text) {
			packages["./"+filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), root+"/"))] = true
		}
		return err
	})
	if err != nil || len(packages) < 3 {
		t.Fatalf("%d packages have the flag: %v", len(packages), err)
	}
	for name := range packages {
		if !slices.Contains(strings.Fields(target), name) {
			t.Errorf("the tests of %s have the flag -update, and make golden does not run them", name)
		}
	}
}
