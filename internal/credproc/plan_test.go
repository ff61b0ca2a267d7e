package credproc

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/org/hubspoke-chain/internal/hop"
)

// whole is a plan in which every field is set.
func whole() hop.Plan {
	return hop.Plan{
		Region:      "us-east-1",
		Hub:         role("arn:aws:iam::123456789012:role/github-actions-hub"),
		Spokes:      []hop.ARN{role("arn:aws:iam::222222222222:role/deploy-staging")},
		SessionName: "gh-1-1", Audience: "sts.amazonaws.com", DurationSeconds: 3600,
		Tags:              []hop.Tag{{Key: "Repository", Value: "octo-org/octo-repo"}, {Key: "RunId", Value: "1", Droppable: true}},
		TransitiveTagKeys: []string{"Repository"},
		SourceIdentity:    "octocat", ExternalID: "external/1", Policy: `{"Version":"2012-10-17","Statement":[]}`,
		PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"},
		Endpoint:   "https://sts.example.com", Proxy: "http://user@proxy.example.com:3128", NoProxy: "localhost,.example.com",
		CABundle:    "plan.pem",
		MaxAttempts: 5, TimeoutSeconds: 60,
	}
}

func role(arn string) hop.ARN {
	role, err := hop.ParseRoleARN(arn)
	if err != nil {
		panic(err)
	}
	return role
}

func TestWhole(t *testing.T) {
	t.Parallel()
	plan := reflect.ValueOf(whole())
	for i := range plan.NumField() {
		if plan.Field(i).IsZero() {
			t.Errorf("whole() does not set %s, so no test here has it", plan.Type().Field(i).Name)
		}
	}
}

const wholeJSON = `{
  "version": 2,
  "region": "us-east-1",
  "hub": "arn:aws:iam::123456789012:role/github-actions-hub",
  "spokes": [
    "arn:aws:iam::222222222222:role/deploy-staging"
  ],
  "sessionName": "gh-1-1",
  "audience": "sts.amazonaws.com",
  "durationSeconds": 3600,
  "tags": [
    {
      "key": "Repository",
      "value": "octo-org/octo-repo"
    },
    {
      "key": "RunId",
      "value": "1",
      "droppable": true
    }
  ],
  "transitiveTagKeys": [
    "Repository"
  ],
  "sourceIdentity": "octocat",
  "externalId": "external/1",
  "policy": "{\"Version\":\"2012-10-17\",\"Statement\":[]}",
  "policyArns": [
    "arn:aws:iam::aws:policy/ReadOnlyAccess"
  ],
  "endpoint": "https://sts.example.com",
  "proxy": "http://user@proxy.example.com:3128",
  "noProxy": "localhost,.example.com",
  "caBundle": "plan.pem",
  "maxAttempts": 5,
  "timeoutSeconds": 60
}
`

// TestWrite writes a plan, in a directory that root may have made for another user, and reads it again.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	owner := os.Geteuid()
	if owner == 0 {
		owner = 12345
		if err := os.Chown(dir, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "plan.json")
	plan := whole()
	if err := Write(path, plan); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != wholeJSON {
		t.Errorf("%v\n%s", err, data)
	}
	if got, _, err := readPlan(path); err != nil || !reflect.DeepEqual(got, whole()) {
		t.Errorf("got %+v, %v", got, err)
	}
	checkFile(t, path, owner)
	if err := Write(path, whole()); err == nil || err.Error() != "writing the plan: open "+path+": file exists" {
		t.Errorf("over another one: %v", err)
	}
	const want = "writing the plan: durationSeconds: 0 is not from 900 to 3600"
	plan.DurationSeconds = 0
	if err := Write(filepath.Join(dir, "other.json"), plan); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if names := list(t, dir); !reflect.DeepEqual(names, []string{"plan.json"}) {
		t.Errorf("the directory holds %q", names)
	}
}

// checkFile checks that a file has mode 0600 and the expected owner.
func checkFile(t *testing.T, path string, owner int) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("%s has mode %s", path, info.Mode())
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; int(uid) != owner {
		t.Errorf("%s belongs to %d, not %d", path, uid, owner)
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestValidate reports every field of the plan that hop refuses, and more spokes than one.
func TestValidate(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*hop.Plan){
		"<nil>": func(*hop.Plan) {},
		"spokes: 2 are more than the one that a credential process returns credentials of": func(p *hop.Plan) {
			p.Spokes = append(p.Spokes, role("arn:aws:iam::333333333333:role/deploy"))
		},
		"proxy: a plan must not hold a password; leave it empty for HTTPS_PROXY of the environment": func(p *hop.Plan) { p.Proxy = "http://u:hunter2@proxy:3128" },
		"durationSeconds: 3601 is not from 900 to 3600\nmaxAttempts: 0 is not from 1 to 20":         func(p *hop.Plan) { p.DurationSeconds, p.MaxAttempts = 3601, 0 },
	} {
		plan := whole()
		change(&plan)
		if err := validate(plan); fmt.Sprint(err) != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestNoPlan has files that are no plans.
func TestNoPlan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            `reading the plan "PATH": EOF`,
		"{":                           `reading the plan "PATH": unexpected EOF`,
		"[]":                          `reading the plan "PATH": json: cannot unmarshal array into Go value of type credproc.planFile`,
		"{}":                          `reading the plan "PATH": version: 0 is not 2, the one that this program reads`,
		`{"version":2,"password":""}`: `reading the plan "PATH": json: unknown field "password"`,
		strings.Replace(wholeJSON, "arn:aws:iam::123456789012:role/github-actions-hub", "hub", 1): `reading the plan "PATH": "hub" is not the full ARN of an IAM role (arn:PARTITION:iam::ACCOUNT:role/NAME, with a 12-digit account)`,
		strings.Replace(wholeJSON, "us-east-1", "us-east", 1):                                     `reading the plan "PATH": region: "us-east" is not the name of an AWS region (for example us-east-1)`,
		wholeJSON + "{}":                         `reading the plan "PATH": there is more than one JSON value in it`,
		wholeJSON + strings.Repeat(" ", 128<<10): `reading the plan: "PATH" is larger than 131072 bytes`,
	} {
		path := filepath.Join(t.TempDir(), "plan.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := readPlan(path)
		if got := strings.ReplaceAll(fmt.Sprint(err), path, "PATH"); got != want {
			t.Errorf("%.40q\ngot  %s\nwant %s", text, got, want)
		}
	}
	dir := t.TempDir()
	link, pipe := filepath.Join(dir, "link.json"), filepath.Join(dir, "pipe.json")
	if err := os.Symlink("plan.json", link); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, pipe, dir} {
		if _, _, err := readPlan(path); err == nil || err.Error() != fmt.Sprintf("reading the plan: %q is not a regular file", path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
