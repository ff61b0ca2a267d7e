package action

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/runner"
)

const subject = "repo:o/r:ref:refs/heads/main"

var jwt = "eyJ." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"`+subject+`","aud":"sts.amazonaws.com","repository":"o/r"}`)) + ".sig"

// world is GitHub's token endpoint and AWS STS behind one address.
type world struct {
	getenv func(string) string
	read   func(string) string
	idle   chan struct{} // closed when GitHub's connection is
}

// newWorld returns the environment of a step with these inputs. spoke is STS's response for the spoke; "" means success.
func newWorld(t *testing.T, in given, env given, spoke string) world {
	t.Helper()
	idle := make(chan struct{})
	github := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"value":%q}`, jwt) }))
	github.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(idle)
		}
	}
	github.Start()
	t.Cleanup(github.Close)
	answer := func(action, arn, kind string) string {
		return fmt.Sprintf("<%[1]sResponse><%[1]sResult><AssumedRoleUser><Arn>%s</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIA%[3]s000000000000</AccessKeyId>"+
			"<SecretAccessKey>%[3]s-secret-key-0001</SecretAccessKey><SessionToken>%[3]s-session-token-01</SessionToken><Expiration>2099-01-02T03:04:05Z</Expiration></Credentials></%[1]sResult></%[1]sResponse>", action, arn, kind)
	}
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") == "AssumeRoleWithWebIdentity" {
			io.WriteString(w, answer("AssumeRoleWithWebIdentity", "arn:aws:sts::123456789012:assumed-role/hub/gh-17-2", "HUB"))
			return
		}
		if spoke != "" {
			w.WriteHeader(403)
			io.WriteString(w, spoke)
			return
		}
		io.WriteString(w, answer("AssumeRole", "arn:aws:sts::222222222222:assumed-role/deploy/gh-17-2", "SPOKE"))
	}))
	t.Cleanup(sts.Close)
	files, read := commandFiles(t, map[string]string{"GITHUB_ENV": "", "GITHUB_OUTPUT": "", "GITHUB_STEP_SUMMARY": ""})
	all := ofRun.with(env)
	if _, set := all["ACTIONS_ID_TOKEN_REQUEST_URL"]; !set {
		all["ACTIONS_ID_TOKEN_REQUEST_URL"], all["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = github.URL, "request-token"
	}
	for name, value := range required.with(given{"sts-endpoint": sts.URL}).with(in) {
		all["INPUT_"+strings.ToUpper(name)] = value
	}
	return world{read: read, idle: idle, getenv: func(name string) string {
		if path := files(name); path != "" {
			return path
		}
		return all[name]
	}}
}

// pairs reads a command file as the runner does.
func (w world) pairs(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := runner.ParseCommandFile(w.read(file))
	if err != nil {
		t.Fatal(err)
	}
	pairs := map[string]string{}
	for _, p := range parsed {
		pairs[p.Name] = p.Value
	}
	return pairs
}

var (
	exportedEnv = map[string]string{
		"AWS_ACCESS_KEY_ID": "ASIASPOKE000000000000", "AWS_SECRET_ACCESS_KEY": "SPOKE-secret-key-0001", "AWS_SESSION_TOKEN": "SPOKE-session-token-01",
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_CREDENTIAL_EXPIRATION": "2099-01-02T03:04:05Z",
	}
	exportedOutputs = map[string]string{
		"aws-account-id": "222222222222", "authenticated-arn": "arn:aws:sts::222222222222:assumed-role/deploy/gh-17-2", "aws-expiration": "2099-01-02T03:04:05Z", "oidc-subject": subject,
	}
	blank = map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_CREDENTIAL_EXPIRATION": ""}
)

const refused = `<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: x is not authorized to perform: sts:AssumeRole on resource: y</Message></Error><RequestId>1f2e</RequestId></ErrorResponse>`

func TestRun(t *testing.T) {
	t.Parallel()
	secrets := maps.Clone(exportedOutputs)
	maps.Copy(secrets, map[string]string{"aws-access-key-id": "ASIASPOKE000000000000", "aws-secret-access-key": "SPOKE-secret-key-0001", "aws-session-token": "SPOKE-session-token-01"})
	for _, test := range []struct {
		name    string
		in, env given
		spoke   string
		status  int
		vars    map[string]string
		outputs map[string]string
		says    []string
	}{
		{name: "good", vars: exportedEnv, outputs: exportedOutputs, says: []string{"  token    " + subject + " (legacy subject) for sts.amazonaws.com, in ", "  export   AWS_ACCESS_KEY_ID, "}},
		{name: "outputs only", in: given{"output-env-credentials": "false", "output-credentials": "true"}, vars: map[string]string{}, outputs: secrets, says: []string{"  export   outputs only"}},
		{name: "unset first", in: given{"unset-current-credentials": "true"}, vars: exportedEnv, outputs: exportedOutputs, says: []string{"  unset    "}},
		{name: "unset and no variables", in: given{"unset-current-credentials": "true", "output-env-credentials": "false"}, vars: blank, outputs: exportedOutputs},
		{name: "refused", spoke: refused, status: 1, vars: map[string]string{}, outputs: map[string]string{}, says: []string{
			"::error title=hubspoke-chain::assuming spoke role arn:aws:iam::222222222222:role/deploy: AccessDenied: User: x is not authorized to perform: sts:AssumeRole on resource: y (request 1f2e); likely: the trust policy of the spoke role does not name the hub role\n"}},
		{name: "unset and refused", in: given{"unset-current-credentials": "true"}, spoke: refused, status: 1, vars: blank, outputs: map[string]string{}},
		{name: "a profile is set", env: given{"AWS_PROFILE": "dev"}, vars: exportedEnv, outputs: exportedOutputs, says: []string{"::warning::AWS_PROFILE is set: the AWS SDK for JavaScript prefers that profile"}},
		{name: "capped", in: given{"role-duration-seconds": "7200"}, vars: exportedEnv, outputs: exportedOutputs, says: []string{"::notice::role-duration-seconds: 7200 is capped at 3600, "}},
		{name: "tags that are not sent", in: given{"role-skip-session-tagging": "true", "custom-tags": `{"a":"b"}`}, vars: exportedEnv, outputs: exportedOutputs, says: []string{
			"::notice::custom-tags and transitive-tag-keys are not sent because role-skip-session-tagging is true\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.in, test.env, test.spoke)
			var out bytes.Buffer
			if status := Run(context.Background(), &out, w.getenv, Options{Version: "v1.2.3"}); status != test.status {
				t.Errorf("status %d, want %d:\n%s", status, test.status, &out)
			}
			if got := w.pairs(t, "GITHUB_ENV"); !maps.Equal(got, test.vars) {
				t.Errorf("variables %q, want %q", got, test.vars)
			}
			if got := w.pairs(t, "GITHUB_OUTPUT"); !maps.Equal(got, test.outputs) {
				t.Errorf("outputs %q, want %q", got, test.outputs)
			}
			for _, text := range test.says {
				if strings.Count(out.String(), text) != 1 {
					t.Errorf("does not say once: %s\n%s", text, &out)
				}
			}
			masked(t, out.String())
			if summary := w.read("GITHUB_STEP_SUMMARY"); !strings.HasPrefix(summary, "### AWS credentials: ") || strings.Contains(summary, "secret-key") {
				t.Errorf("summary:\n%s", summary)
			}
			select {
			case <-w.idle:
			case <-time.After(10 * time.Second):
				t.Error("the connection to GitHub is still open")
			}
		})
	}
}

// masked checks that only add-mask lines contain a secret, and that the token is masked before any line
// that describes it.
func masked(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "::add-mask::") {
			continue
		}
		for _, secret := range []string{jwt, "secret-key", "session-token-01", "ASIA", "request-token"} {
			if strings.Contains(line, secret) {
				t.Errorf("shown: %s", line)
			}
		}
	}
	mask, logged := strings.Index(out, "::add-mask::"+jwt), strings.Index(out, "  token ")
	if mask < 0 || logged < mask {
		t.Errorf("the token is logged at %d and masked at %d", logged, mask)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	var requested atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requested.Store(true) }))
	defer server.Close()
	w := newWorld(t, given{"aws-region": "", "audience": "a b", "http-proxy": "http://user:hunter2@proxy", "mask-aws-account-id": "true", "sts-endpoint": server.URL},
		given{"ACTIONS_ID_TOKEN_REQUEST_URL": "http://github.example/x"}, "")
	var out bytes.Buffer
	status := Run(context.Background(), &out, w.getenv, Options{Version: "v1.2.3"})
	want := `::add-mask::hunter2
::add-mask::123456789012
::add-mask::222222222222
::error title=hubspoke-chain::aws-region: is required: the name of an AWS region, for example us-east-1%0Aaudience: "a b" is not 1 to 255 printable ASCII characters without a space%0AACTIONS_ID_TOKEN_REQUEST_URL: "http://github.example/x" is not an https URL (http is for loopback only)
No request was sent to GitHub or AWS, and nothing was exported.
`
	if status != 1 || out.String() != want {
		t.Errorf("status %d\ngot\n%s\nwant\n%s", status, &out, want)
	}
	if requested.Load() || w.read("GITHUB_ENV") != "" || w.read("GITHUB_OUTPUT") != "" {
		t.Error("a request was sent or a file was written")
	}
}

func TestOutsideOfActions(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if status := Run(context.Background(), &out, func(string) string { return "" }, Options{Version: "v1.2.3"}); status != 1 {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"GITHUB_ENV is not set: this is not running as a step of GitHub Actions", "GITHUB_OUTPUT is not set: this is not running as a step of GitHub Actions", "aws-region: is required", "role-to-assume: is required"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %s:\n%s", want, &out)
		}
	}
}

// TestEnds has the step cancelled, and its time run out.
func TestEnds(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancelCause(context.Background())
	cancel(fmt.Errorf("interrupt signal received%.0w", context.Canceled))
	w := newWorld(t, nil, nil, "")
	var out bytes.Buffer
	status := Run(cancelled, &out, w.getenv, Options{Version: "v1.2.3"})
	want := "::error title=hubspoke-chain::requesting the ID token: interrupt signal received"
	if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "\nCause: the runner stopped the step\n") || status != 1 || w.read("GITHUB_ENV")+w.read("GITHUB_OUTPUT") != "" {
		t.Errorf("status %d:\n%s\nwant %s", status, &out, want)
	}
	late, stop := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer stop()
	out.Reset()
	if Run(late, &out, w.getenv, Options{Version: "v1.2.3"}) != 1 || !strings.Contains(out.String(), "::error title=hubspoke-chain::requesting the ID token: context deadline exceeded") {
		t.Errorf("got %s", &out)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	evil := "x`|](https://evil.example)\n# <script>"
	in := defaults()
	in.plan.TransitiveTagKeys = []string{"team"}
	s := step{in: in, claims: claims(t, fmt.Sprintf(`{"sub":%q}`, "repo:o/r:ref:"+evil))}
	session := hop.Session{Role: in.plan.Spokes[0], Tags: []hop.Tag{{Key: "Branch", Value: evil}, {Key: "Team", Value: "pay"}}, Credentials: hop.Credentials{Expires: time.Unix(1750000000, 0).UTC()}}
	row := "x\\u0060\\u007c](https://evil.example)\\x0a# <script>`"
	want := "### AWS credentials: `deploy` in account `222222222222`\n\n| Chain |  |\n| --- | --- |\n| Subject | `repo:o/r:ref:" + row + " (legacy) |\n" +
		"| Hub | `arn:aws:iam::123456789012:role/hub` |\n| Spoke | `arn:aws:iam::222222222222:role/deploy` |\n| Session | `gh-17-2` |\n| Expires | `2025-06-15T15:06:40Z` |\n" +
		"| Session tags | `Branch=" + row + "<br>`Team=pay` (transitive) |\n\nCloudTrail events of this run, in the hub's account and the spoke's account:\n\n" +
		"    aws cloudtrail lookup-events --region us-east-1 --lookup-attributes '[{\"AttributeKey\":\"Username\",\"AttributeValue\":\"gh-17-2\"}]'\n\n"
	if got := s.summary([]hop.Session{session}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	session.Tags = nil
	if got := s.summary([]hop.Session{session}); !strings.Contains(got, "| Session tags | none (role-skip-session-tagging) |\n") {
		t.Errorf("got\n%s", got)
	}
	for range 50 {
		session.Tags = append(session.Tags, hop.Tag{Key: strings.Repeat("\x00", 400), Value: evil})
	}
	if n := len(s.summary([]hop.Session{session})); n > 1<<20/4 {
		t.Errorf("a summary of %d bytes, and the runner takes 1 MiB", n)
	}
}

// hostile is an explanation in which everything from outside tries to be something else.
func hostile() diagnose.Explanation {
	const evil = "x```\n## y\n```mermaid\n[z](https://evil.example) <img src=x> @org/team | $a$ ##[error]"
	return diagnose.Explanation{
		Cause: "assuming hub role: AccessDenied: " + evil,
		Causes: []diagnose.Cause{
			{
				Title: `it wants "a\"b` + "`" + `|](https://evil.example)", and *not* that`, Evidence: []string{"", `"` + evil, `it is "` + evil + `"`}, Fix: `set "x\\" <b>`,
				Snippet: diagnose.Snippet{Language: "json", Where: `policy of "` + evil + `"`, Text: "{\n````\n``\x1b[31m\n::error::x\n}"},
			},
			{Title: "::error::x"},
		},
		Decide: []string{"a '```", "::stop-commands::x"},
	}
}

func TestFailureSummary(t *testing.T) {
	t.Parallel()
	const evil = "x\\u0060\\u0060\\u0060\\x0a## y\\x0a\\u0060\\u0060\\u0060mermaid\\x0a[z](https://evil.example) <img src=x> @org/team \\u007c $a$ ##[error]"
	want := "### AWS credentials: the hop failed\n\n`assuming hub role: AccessDenied: " + evil + "`\n\n" +
		"AWS does not say which of these it was. Most likely first:\n\n" +
		"#### 1. it wants `a\"b\\u0060\\u007c](https://evil.example)`, and \\*not\\* that\n\n" +
		"- \n- `" + evil + "`\n- it is `" + evil + "`\n\n**Fix:** set `x\\` \\<b\\>\n\n" +
		"policy of `" + evil + "`:\n\n`````json\n{\n````\n``\\x1b[31m\n::error::x\n}\n`````\n\n#### 2. ::error::x\n\n" +
		"#### To find out which, run:\n\n````sh\na '```\n::stop-commands::x\n````\n\n"
	x := hostile()
	if got := failureSummary([]string{x.Cause}, []diagnose.Explanation{x}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := failureSummary([]string{"a\n# b"}, nil), "### AWS credentials: the hop failed\n\n`a\\x0a# b`\n\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "event.json")
	for text, want := range map[string]string{
		`{"pull_request": {"head": {"repo": {"full_name": "x/y"}}}}`: "x/y",
		`{"pull_request": {"head": {"repo": null}}}`:                 "", // a fork that was deleted
		`{"pull_request": {"head": {"repo": {"full_name": 7}}}}`:     "",
		`{}`: "",
		"x":  "",
		"":   "",
		`{"x": "` + strings.Repeat("x", 2*maxEvent) + `"}`: "",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := head(func(string) string { return file }); got != want {
			t.Errorf("%.100s: got %q", text, got)
		}
	}
	if got := head(func(string) string { return "" }); got != "" {
		t.Errorf("without an event: got %q", got)
	}
}

func TestTold(t *testing.T) {
	t.Parallel()
	l, out := newLog()
	s := step{in: defaults(), log: l}
	s.retrying(errors.New("no answer"), 1, 1500*time.Millisecond)
	s.dropped(s.in.plan.Spokes[0], []string{"RunId", "Job"})
	for n := range 3 {
		s.reached(hop.StageSpoke, hop.Session{ARN: "arn", Tags: make([]hop.Tag, n)}, 20*time.Millisecond)
	}
	want := `  retry    no answer; retrying in 1.5 s (attempt 2 of 5)
::notice::the session tags are too large for AWS (PackedPolicyTooLarge): assuming arn:aws:iam::222222222222:role/deploy without RunId, Job
  spoke    arn, no session tags, in 20 ms
  spoke    arn, 1 session tag, in 20 ms
  spoke    arn, 2 session tags, in 20 ms
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "-1 s", 0: "0 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min", time.Hour: "60 min",
		119*time.Minute + 40*time.Second: "2 h 0 min", 6*time.Hour + 20*time.Minute: "6 h 20 min",
	} {
		if got := remaining(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

func TestRequestURL(t *testing.T) {
	t.Parallel()
	files, _ := commandFiles(t, map[string]string{"GITHUB_ENV": "", "GITHUB_OUTPUT": ""})
	for value, want := range map[string][]string{
		"":                       nil, // reported later, with the fix
		"https://github.example": nil,
		"http://127.0.0.1:1":     nil,
		"http://github.example":  {`ACTIONS_ID_TOKEN_REQUEST_URL: "http://github.example" is not an https URL (http is for loopback only)`},
		"github.example":         {`ACTIONS_ID_TOKEN_REQUEST_URL: "github.example" is not an https URL (http is for loopback only)`},
		"https://a\x7f":          {"ACTIONS_ID_TOKEN_REQUEST_URL: \"https://a\x7f\" is not an https URL (http is for loopback only)"},
	} {
		got := checkRunner(func(name string) string {
			if name == "ACTIONS_ID_TOKEN_REQUEST_URL" {
				return value
			}
			return files(name)
		}, false)
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}
