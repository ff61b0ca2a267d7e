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

// faces reads action.yml and README.md.
func faces(t *testing.T) (m manifest, readme string) {
	t.Helper()
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return m, string(page)
}

// TestAgree holds the inputs that the code reads and the outputs that it sets against action.yml and the
// tables of README.md.
func TestAgree(t *testing.T) {
	t.Parallel()
	manifest, readme := faces(t)

	var read []string
	_, problems := readInputs(func(name string) string { read = append(read, name); return "" }, ofRun.get)
	read = names(append(read, "host-temp")...) // passed as an argument, since the runner translates paths in variables
	var set []string
	step := step{in: inputs{exportOutputs: true}}
	for _, p := range step.outputs([]hop.Session{{}}) {
		set = append(set, p.name)
	}
	set = names(set...)
	for what, got := range map[string][]string{
		"the inputs of action.yml": names(slices.Collect(maps.Keys(manifest.Inputs))...),
		"the inputs of README.md":  names(table(readme, "## Inputs")...),
	} {
		if !slices.Equal(got, read) {
			t.Errorf("%s are\n%q, the code reads\n%q", what, got, read)
		}
	}
	for what, got := range map[string][]string{
		"the outputs of action.yml": names(slices.Collect(maps.Keys(manifest.Outputs))...),
		"the outputs of README.md":  names(table(readme, "## Outputs")...),
	} {
		if !slices.Equal(got, set) {
			t.Errorf("%s are\n%q, the code sets\n%q", what, got, set)
		}
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

var (
	inputRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]*)\\| (.*) \\|$")
	numbers  = regexp.MustCompile(`[0-9]+ to [0-9]+`)
)

// TestReadmeInputs holds the defaults and the ranges in README.md's table to action.yml, and the ranges to what the code
// says of a value that is out of them.
func TestReadmeInputs(t *testing.T) {
	t.Parallel()
	manifest, readme := faces(t)
	_, section, _ := strings.Cut(readme, "\n## Inputs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	defaults, ranges := 0, 0
	for _, row := range inputRow.FindAllStringSubmatch(section, -1) {
		name, byDefault, meaning := row[1], strings.TrimSpace(row[2]), row[3]
		input := manifest.Inputs[name]
		if required := byDefault == "required"; required != input.Required {
			t.Errorf("%s: README.md has %q, and required is %v in action.yml", name, byDefault, input.Required)
		}
		if input.Default != "" && !strings.Contains(input.Default, "${{") {
			defaults++
			if first, _, _ := strings.Cut(byDefault, ","); first != "`"+input.Default+"`" {
				t.Errorf("%s: README.md has the default %s, action.yml %s", name, byDefault, input.Default)
			}
		}
		for _, r := range numbers.FindAllString(meaning, -1) {
			ranges++
			if !strings.Contains(strings.Join(strings.Fields(input.Description), " "), r) {
				t.Errorf("%s: README.md says %s, action.yml %q", name, r, input.Description)
			}
			_, problems := readInputs(given{name: "!"}.get, ofRun.get)
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, name+": ") && strings.Contains(p, r) }) {
				t.Errorf("%s: README.md says %s, the code %q", name, r, problems)
			}
		}
	}
	if defaults < 5 || ranges < 4 {
		t.Errorf("found %d defaults and %d ranges", defaults, ranges)
	}
}

var firstCell = regexp.MustCompile("(?m)^\\| `([^`]+)` ")

// table gives the names in the first column of the table under a heading.
func table(markdown, heading string) []string {
	_, section, _ := strings.Cut(markdown, "\n"+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var names []string
	for _, cell := range firstCell.FindAllStringSubmatch(section, -1) {
		names = append(names, cell[1])
	}
	return names
}
