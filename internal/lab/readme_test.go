package lab

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/examples"
)

// TestReadme holds the README of the world against the fields that a world can have, and against the
// subjects of its jobs.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../examples/lab/README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	want := fields(reflect.TypeFor[worldFile](), "")
	var got []string
	for _, line := range strings.Split(readme[strings.Index(readme, "## Fields"):strings.Index(readme, "## Jobs")], "\n") {
		if cells := strings.Split(line, "`"); strings.HasPrefix(line, "| `") {
			got = append(got, cells[1])
		}
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("README.md has the fields\n%q\nand a world\n%q", got, want)
	}
	world, err := ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(world.jobs)) {
		if row := "| `" + name + "` | `" + world.jobs[name].Subject() + "` |"; !strings.Contains(readme, row) {
			t.Errorf("README.md has no row %s", row)
		}
	}
}

// fields returns the names of a type's leaves, accounts[].roles[].name for example.
func fields(t reflect.Type, prefix string) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, element := prefix+f.Tag.Get("json"), f.Type
		switch {
		case element.Kind() == reflect.Slice && element.Elem().Kind() == reflect.Struct:
			names = append(names, fields(element.Elem(), name+"[].")...)
		case element.Kind() == reflect.Map && element.Elem().Kind() == reflect.Struct:
			names = append(append(names, name), fields(element.Elem(), name+".*.")...)
		default:
			names = append(names, name)
		}
	}
	return names
}

// tagsOf makes tags of keys and values in turn.
func tagsOf(pairs ...string) (t tags) {
	for i := 0; i < len(pairs); i += 2 {
		t = append(t, tag{Key: pairs[i], Value: pairs[i+1]})
	}
	return t
}

// TestPackedSize has the sizes that are known of AWS, and tags as this action sends them.
func TestPackedSize(t *testing.T) {
	t.Parallel()
	usual := tagsOf(
		"GitHub", "Actions", "Repository", "octo-org/octo-repo", "Workflow", "deploy", "Action", "__org_hubspoke-chain", "Actor", "octocat",
		"Commit", "6dcb09b5b57875f334f61aebed695e2e4193db5e", "Branch", "refs/heads/main", "EventName", "push", "RunId", "9876543210",
		"Job", "deploy", "TriggeringActor", "octocat", "GitHubEnvironment", "production",
	)
	pod := tagsOf(
		"eks-cluster-arn", "arn:aws:eks:us-west-2:111122223333:cluster/production", "eks-cluster-name", "production", "kubernetes-namespace", "default",
		"kubernetes-service-account", "my-service-account", "kubernetes-pod-name", "my-service-7d4b9c6f5d-x2x9q", "kubernetes-pod-uid", "6dcb09b5-b578-45f3-b4f6-1aebed695e2e",
	)
	nine := tags{}
	for _, key := range []string{"key1", "key2", "key3", "key4", "key5", "key6", "key7", "key8", "key9"} {
		nine = append(nine, tag{Key: key, Value: strings.Repeat("a", 250)})
	}
	const narrow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Resource":["arn:aws:iam::222222222222:role/deploy-staging"]}]}`
	for name, test := range map[string]struct {
		sent, inherited tags
		policy          string
		low, high       int // percent
		refused         string
	}{
		"nothing":           {},
		"usual":             {sent: usual, low: 40, high: 80},
		"usual and policy":  {sent: usual, policy: narrow, low: 60, high: 100},
		"pod, inherited":    {inherited: pod, low: 50, high: 80},
		"policy":            {policy: narrow, low: 10, high: 40},
		"nine":              {sent: nine, refused: "Packed size of session tags consumes 498% of allotted space."},
		"nine, and policy":  {sent: nine, policy: "{", refused: "Packed size of session policy and session tags consumes 500% of allotted space."},
		"usual, on top pod": {sent: usual, inherited: pod, refused: "Packed size of session tags consumes 115% of allotted space."},
	} {
		c := call{params: params{policy: test.policy}, effective: effective{sent: test.sent, inherited: test.inherited}}
		refused := c.pack()
		switch {
		case test.refused != "" && (refused == nil || refused.message != test.refused || refused.code != "PackedPolicyTooLarge"):
			t.Errorf("%s: %v, want %s", name, refused, test.refused)
		case test.refused != "":
		case refused != nil:
			t.Errorf("%s: %v", name, refused)
		case test.high == 0:
			if c.effective.packed != nil {
				t.Errorf("%s: %d%%", name, *c.effective.packed)
			}
		case *c.effective.packed < test.low || *c.effective.packed > test.high:
			t.Errorf("%s: %d%%, want %d%% to %d%%", name, *c.effective.packed, test.low, test.high)
		default:
			t.Logf("%s: %d%%", name, *c.effective.packed)
		}
	}
}
