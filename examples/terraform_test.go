package examples_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// The forms that terraform fmt leaves, which is all of HCL that these files have.
var (
	moduleCall = regexp.MustCompile(`(?ms)^module "(\w+)" \{\n(.*?)^\}`)
	source     = regexp.MustCompile(`(?m)^  source += "(\./[\w./-]+)"$`)
	argument   = regexp.MustCompile(`(?m)^  (\w+) += `)
	variable   = regexp.MustCompile(`(?ms)^variable "(\w+)" \{\n(.*?)^\}`)
	defaults   = regexp.MustCompile(`(?m)^  default += (.*)$`)
)

// TestTerraformWiring looks at what Terraform could tell only with the AWS provider at hand: that every module
// is called with what it declares and with all that it requires, and that a default which a module passes
// on is the one below it.
func TestTerraformWiring(t *testing.T) {
	t.Parallel()
	calls := 0
	for _, dir := range []string{"terraform", "terraform/modules/hub", "terraform/modules/spoke"} {
		own := variables(t, dir)
		for _, call := range moduleCall.FindAllStringSubmatch(readAll(t, dir), -1) {
			calls++
			from := source.FindStringSubmatch(call[2])
			if from == nil {
				t.Fatalf("%s: the module %s has no source", dir, call[1])
			}
			declared := variables(t, filepath.Join(dir, from[1]))
			given := map[string]bool{}
			for _, a := range argument.FindAllStringSubmatch(call[2], -1) {
				given[a[1]] = true
			}
			delete(given, "source")
			delete(given, "providers")
			for name := range given {
				value, known := declared[name]
				if !known {
					t.Errorf("%s: the module %s is called with %s, which %s does not declare", dir, call[1], name, from[1])
				}
				if mine, passed := own[name]; passed && mine != value {
					t.Errorf("%s: the default of %s is %q, and %q in %s", dir, name, mine, value, from[1])
				}
			}
			for name, value := range declared {
				if value == "" && !given[name] {
					t.Errorf("%s: the module %s is called without %s", dir, call[1], name)
				}
			}
		}
	}
	if calls != 5 {
		t.Errorf("%d module calls, want 5", calls)
	}
}

// variables returns the variables of a module with their defaults; empty for a required one.
func variables(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, v := range variable.FindAllStringSubmatch(readAll(t, dir), -1) {
		all[v[1]] = ""
		if d := defaults.FindStringSubmatch(v[2]); d != nil {
			all[v[1]] = d[1]
		}
	}
	return all
}

// readAll returns the text of all files of a module.
func readAll(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no module in %s: %v", dir, err)
	}
	all := ""
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text) + "\n"
	}
	return all
}

// TestVariablesAreChecked checks that every variable that becomes text in a policy has a validation.
func TestVariablesAreChecked(t *testing.T) {
	t.Parallel()
	unchecked := []string{}
	for _, dir := range []string{"terraform/modules/hub/policies", "terraform/modules/spoke/policies"} {
		for _, v := range variable.FindAllStringSubmatch(readAll(t, dir), -1) {
			if isText := regexp.MustCompile(`type += (bool|number)`).FindString(v[2]) == ""; isText && !regexp.MustCompile(`(?m)^  validation \{`).MatchString(v[2]) {
				unchecked = append(unchecked, fmt.Sprintf("%s in %s", v[1], dir))
			}
		}
	}
	slices.Sort(unchecked)
	if len(unchecked) > 0 {
		t.Errorf("these variables have no validation: %q", unchecked)
	}
}
