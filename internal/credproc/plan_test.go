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

// whole is a chain in which every field is set.
func whole() Chain {
	return Chain{
		Version: 1, Region: "us-east-1",
		Hub:         "arn:aws:iam::123456789012:role/github-actions-hub",
		Spoke:       "arn:aws:iam::222222222222:role/deploy-staging",
		SessionName: "gh-1-1", Audience: "sts.amazonaws.com", DurationSeconds: 3600,
		Tags:              []hop.Tag{{Key: "Repository", Value: "octo-org/octo-repo"}, {Key: "RunId", Value: "1", Droppable: true}},
		TransitiveTagKeys: []string{"Repository"},
		SourceIdentity:    "octocat", ExternalID: "external/1", Policy: `{"Version":"2012-10-17","Statement":[]}`,
		PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"},
		Endpoint:   "https://sts.example.com", Proxy: "http://user@proxy.example.com:3128", NoProxy: "localhost,.example.com",
		CABundle:    "chain.pem",
		MaxAttempts: 5, TimeoutSeconds: 60,
	}
}

func TestWhole(t *testing.T) {
	t.Parallel()
	chain := reflect.ValueOf(whole())
	for i := range chain.NumField() {
		if chain.Field(i).IsZero() {
			t.Errorf("whole() does not set %s, so no test here has it", chain.Type().Field(i).Name)
		}
	}
}

const wholeJSON = `{
  "version": 1,
  "region": "us-east-1",
  "hub": "arn:aws:iam::123456789012:role/github-actions-hub",
  "spoke": "arn:aws:iam::222222222222:role/deploy-staging",
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
  "caBundle": "chain.pem",
  "maxAttempts": 5,
  "timeoutSeconds": 60
}
`

// TestWrite writes a chain, in a directory that root may have made for another user, and reads it again.
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
	path := filepath.Join(dir, "chain.json")
	chain := whole()
	chain.Version = 0 // Write sets it
	if err := chain.Write(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != wholeJSON {
		t.Errorf("%v\n%s", err, data)
	}
	if got, _, err := readChain(path); err != nil || !reflect.DeepEqual(got, whole()) {
		t.Errorf("got %+v, %v", got, err)
	}
	checkFile(t, path, owner)
	if err := whole().Write(path); err == nil || err.Error() != "writing the chain: open "+path+": file exists" {
		t.Errorf("over another one: %v", err)
	}
	const want = "writing the chain: durationSeconds: 0 is not from 900 to 3600"
	chain.DurationSeconds = 0
	if err := chain.Write(filepath.Join(dir, "other.json")); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if names := list(t, dir); !reflect.DeepEqual(names, []string{"chain.json"}) {
		t.Errorf("the directory holds %q", names)
	}
}

// checkFile holds a file to mode 0600 and its owner.
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

// TestFields changes one field at a time.
func TestFields(t *testing.T) {
	t.Parallel()
	const notARole = " is not the full ARN of an IAM role (arn:PARTITION:iam::ACCOUNT:role/NAME, with a 12-digit account)"
	const name = " is not 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -"
	long := strings.Repeat("a", 400)
	cut := `"` + strings.Repeat("a", 300) + `... (400 bytes)"`
	for want, change := range map[string]func(*Chain){
		`region: "" is not the name of an AWS region (for example us-east-1)`:            func(c *Chain) { c.Region = "" },
		`region: "US-EAST-1\n" is not the name of an AWS region (for example us-east-1)`: func(c *Chain) { c.Region = "US-EAST-1\n" },
		`region: ` + cut + ` is not of the form that it must have`:                       func(c *Chain) { c.Region = long },
		`hub: "hub"` + notARole: func(c *Chain) { c.Hub = "hub" },
		`spoke: "arn:aws:iam::222222222222:role/` + strings.Repeat("*", 510) + `/r" is too long: the session policy that names it has 2425 characters, and AWS allows 2048; use a role with a shorter path`: func(c *Chain) {
			c.Spoke = "arn:aws:iam::222222222222:role/" + strings.Repeat("*", 510) + "/r"
		},
		`spoke: ""` + notARole: func(c *Chain) { c.Spoke = "" },
		`hub: "arn:aws-cn:iam::123456789012:role/hub" is in partition aws-cn, but region us-east-1 is in aws; hub, spoke and region must be in one partition`:         func(c *Chain) { c.Hub = "arn:aws-cn:iam::123456789012:role/hub" },
		`spoke: "arn:aws-us-gov:iam::1234567890:role/x" is not the full ARN of an IAM role (arn:PARTITION:iam::ACCOUNT:role/NAME, with a 12-digit account)`:           func(c *Chain) { c.Spoke = "arn:aws-us-gov:iam::1234567890:role/x" },
		`spoke: "arn:aws-us-gov:iam::222222222222:role/x" is in partition aws-us-gov, but region us-east-1 is in aws; hub, spoke and region must be in one partition`: func(c *Chain) { c.Spoke = "arn:aws-us-gov:iam::222222222222:role/x" },
		`sessionName: ""` + name:     func(c *Chain) { c.SessionName = "" },
		`sessionName: "a b"` + name:  func(c *Chain) { c.SessionName = "a b" },
		`sessionName: ` + cut + name: func(c *Chain) { c.SessionName = long },
		`audience: "" is not 1 to 255 printable ASCII characters without a space`: func(c *Chain) { c.Audience = "" },
		`sourceIdentity: "x"` + name: func(c *Chain) { c.SourceIdentity = "x" },
		`externalId: "x y" is not 2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -`:                                                              func(c *Chain) { c.ExternalID = "x y" },
		`durationSeconds: 3601 is not from 900 to 3600`:                                                                                               func(c *Chain) { c.DurationSeconds = 3601 },
		`maxAttempts: 0 is not from 1 to 20`:                                                                                                          func(c *Chain) { c.MaxAttempts = 0 },
		`timeoutSeconds: 3601 is not from 1 to 3600`:                                                                                                  func(c *Chain) { c.TimeoutSeconds = 3601 },
		`tags: 51 are more than the 50 that AWS takes`:                                                                                                func(c *Chain) { c.Tags = make([]hop.Tag, 51) },
		`tags: the key "" is not 1 to 128 letters, digits, spaces and _ . : / = + - @`:                                                                func(c *Chain) { c.Tags = []hop.Tag{{}} },
		`tags: "AWS:x" begins with aws:, which AWS keeps for itself`:                                                                                  func(c *Chain) { c.Tags[0].Key = "AWS:x" },
		`tags: the value "a;b" of "RunId" is not up to 256 letters, digits, spaces and _ . : / = + - @`:                                               func(c *Chain) { c.Tags[1].Value = "a;b" },
		`tags: "RUNID" stands in it twice (AWS compares tag keys without case)`:                                                                       func(c *Chain) { c.Tags = append(c.Tags, hop.Tag{Key: "RUNID"}) },
		`transitiveTagKeys: 51 are more than the 50 that AWS takes`:                                                                                   func(c *Chain) { c.TransitiveTagKeys = make([]string, 51) },
		"transitiveTagKeys: the key \"a\x00\" is not 1 to 128 letters, digits, spaces and _ . : / = + - @":                                            func(c *Chain) { c.TransitiveTagKeys = []string{"a\x00"} },
		`policy: "[]" is not a JSON object of up to 2048 characters`:                                                                                  func(c *Chain) { c.Policy = "[]" },
		`policy: "null" is not a JSON object of up to 2048 characters`:                                                                                func(c *Chain) { c.Policy = "null" },
		`policyArns: 11 are more than the 10 that AWS takes`:                                                                                          func(c *Chain) { c.PolicyARNs = make([]string, 11) },
		`policyArns: "ReadOnlyAccess" is not the ARN of a managed policy (arn:aws:iam::aws:policy/NAME or arn:aws:iam::ACCOUNT:policy/NAME)`:          func(c *Chain) { c.PolicyARNs = []string{"ReadOnlyAccess"} },
		`endpoint: "http://sts.example.com" is not https (http is for 127.0.0.1, [::1] and localhost only)`:                                           func(c *Chain) { c.Endpoint = "http://sts.example.com" },
		`endpoint: an endpoint holds no user and no password (https://HOST or https://HOST:PORT)`:                                                     func(c *Chain) { c.Endpoint = "https://u:hunter2@sts.example.com" },
		`proxy: the value is not the URL of a proxy (http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if it asks for them)`: func(c *Chain) { c.Proxy = "socks5://u:hunter2@proxy" },
		`proxy: it holds a password, which a file that stays must not; leave it empty for HTTPS_PROXY of the environment`:                             func(c *Chain) { c.Proxy = "http://u:hunter2@proxy:3128" },
		`noProxy: "a\nb" is not a list of hosts of up to 4096 bytes`:                                                                                  func(c *Chain) { c.NoProxy = "a\nb" },
		`caBundle: "../ca.pem" is not the name of a file in the chain's folder`:                                                                       func(c *Chain) { c.CABundle = "../ca.pem" },
		`caBundle: "/ca.pem" is not the name of a file in the chain's folder`:                                                                         func(c *Chain) { c.CABundle = "/ca.pem" },
		`caBundle: ".." is not the name of a file in the chain's folder`:                                                                              func(c *Chain) { c.CABundle = ".." },
	} {
		chain := whole()
		change(&chain)
		if err := chain.Check(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	for _, change := range []func(*Chain){
		func(*Chain) {},
		func(c *Chain) {
			*c = Chain{Version: 1, Region: "us-gov-west-1", Hub: "arn:aws-us-gov:iam::123456789012:role/hub", Spoke: "arn:aws-us-gov:iam::222222222222:role/a/b",
				SessionName: "ab", Audience: "a", DurationSeconds: 900, MaxAttempts: 1, TimeoutSeconds: 1}
		},
		func(c *Chain) { c.TransitiveTagKeys = []string{"NotSentThisTime"} },
		func(c *Chain) { c.Endpoint = "http://127.0.0.1:8080" },
	} {
		chain := whole()
		change(&chain)
		if err := chain.Check(); err != nil {
			t.Errorf("%+v: %v", chain, err)
		}
	}
}

// TestNoChain has files that are no chains.
func TestNoChain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                       `reading the chain "PATH": EOF`,
		"{":                                      `reading the chain "PATH": unexpected EOF`,
		"[]":                                     `reading the chain "PATH": json: cannot unmarshal array into Go value of type credproc.Chain`,
		"{}":                                     `reading the chain "PATH": version: 0 is not 1, the one that this program reads`,
		`{"version":1,"password":""}`:            `reading the chain "PATH": json: unknown field "password"`,
		wholeJSON + "{}":                         `reading the chain "PATH": there is more than one JSON value in it`,
		wholeJSON + strings.Repeat(" ", 128<<10): `reading the chain: "PATH" is larger than 131072 bytes`,
	} {
		path := filepath.Join(t.TempDir(), "chain.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := readChain(path)
		if got := strings.ReplaceAll(fmt.Sprint(err), path, "PATH"); got != want {
			t.Errorf("%.40q\ngot  %s\nwant %s", text, got, want)
		}
	}
	dir := t.TempDir()
	link, pipe := filepath.Join(dir, "link.json"), filepath.Join(dir, "pipe.json")
	if err := os.Symlink("chain.json", link); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, pipe, dir} {
		if _, _, err := readChain(path); err == nil || err.Error() != fmt.Sprintf("reading the chain: %q is not a regular file", path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
