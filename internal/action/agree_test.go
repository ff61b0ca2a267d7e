package action

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/org/hubspoke-chain/internal/hop"
)

// names are sorted and stand once.
func names(all ...string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}

// manifest is action.yml.
type manifest struct {
	Inputs map[string]struct {
		Description, Default string
		Required             bool
	}
	Outputs map[string]struct{ Description string }
}

func readManifest(t *testing.T) (m manifest) {
	t.Helper()
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAgree checks the inputs that the code reads and the outputs that it sets against action.yml, from which README.md's
// tables are generated.
func TestAgree(t *testing.T) {
	t.Parallel()
	manifest := readManifest(t)

	var read []string
	_, problems := readInputs(func(name string) string { read = append(read, name); return "" }, ofRun.get)
	read = names(append(read, "host-temp")...) // passed as an argument, since the runner translates paths in variables
	var set []string
	step := step{in: inputs{exportOutputs: true}}
	for _, p := range step.outputs([]hop.Session{{}}) {
		set = append(set, p.name)
	}
	set = names(set...)
	if got := names(slices.Collect(maps.Keys(manifest.Inputs))...); !slices.Equal(got, read) {
		t.Errorf("the inputs of action.yml are\n%q, the code reads\n%q", got, read)
	}
	if got := names(slices.Collect(maps.Keys(manifest.Outputs))...); !slices.Equal(got, set) {
		t.Errorf("the outputs of action.yml are\n%q, the code sets\n%q", got, set)
	}

	// What action.yml says is required, and its defaults, are the code's too.
	var required []string
	for name, input := range manifest.Inputs {
		if input.Description == "" {
			t.Errorf("%s has no description", name)
		}
		if input.Required {
			required = append(required, name)
		}
	}
	var missing []string
	for _, problem := range problems {
		name, _, _ := strings.Cut(problem, ": ")
		missing = append(missing, name)
	}
	required = append(required, "role-to-assume") // which spokes may stand in for
	if !slices.Equal(names(required...), names(missing...)) {
		t.Errorf("action.yml requires %q, the code %q", required, missing)
	}
	withDefaults := given{}
	for name, input := range manifest.Inputs {
		withDefaults[name] = input.Default
	}
	without, _ := readInputs(given{}.get, ofRun.get)
	with, _ := readInputs(withDefaults.get, ofRun.get)
	if !reflect.DeepEqual(without.plan, with.plan) || without.skipTagging != with.skipTagging ||
		without.maskAccountID != with.maskAccountID || without.exportEnv != with.exportEnv || without.exportOutputs != with.exportOutputs || without.autoRefresh != with.autoRefresh || without.overwriteProfile != with.overwriteProfile || without.unsetCurrent != with.unsetCurrent {
		t.Errorf("with action.yml's defaults the inputs are\n%+v, with none\n%+v", with, without)
	}
}

var numbers = regexp.MustCompile(`[0-9]+ to [0-9]+`)

// TestRanges checks the ranges in action.yml's descriptions against the errors for a value that is out of range.
func TestRanges(t *testing.T) {
	t.Parallel()
	ranges := 0
	for name, input := range readManifest(t).Inputs {
		for _, r := range numbers.FindAllString(input.Description, -1) {
			ranges++
			_, problems := readInputs(given{name: "!"}.get, ofRun.get)
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, name+": ") && strings.Contains(p, r) }) {
				t.Errorf("%s: action.yml has the range %s, the code reports %q", name, r, problems)
			}
		}
	}
	if ranges < 6 {
		t.Errorf("found %d ranges", ranges)
	}
}
