package storm

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/credproc"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
)

// These tests check that the storm's own checks find what they are for.

func TestRandomConditions(t *testing.T) {
	t.Parallel()
	for n := range 200 {
		if a, b := randomConditions(3, n), randomConditions(3, n); !reflect.DeepEqual(a, b) {
			t.Fatalf("hop %d has the conditions %s and then %s", n, a, b)
		}
	}
	if randomConditions(3, 1).String() == randomConditions(4, 1).String() {
		t.Error("the seed makes no difference")
	}
}

// The storm draws every fault that the lab has.
func TestFaults(t *testing.T) {
	t.Parallel()
	drawn := slices.Sorted(slices.Values(slices.Concat(both, lasting, onlyIssuer, onlySTS)))
	if !slices.Equal(drawn, lab.FaultKinds()) {
		t.Errorf("the storm draws %q, the lab has %q", drawn, lab.FaultKinds())
	}
}

const (
	token = "eyJhbGciOiJSUzI1NiJ9.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcdefghijklmnopqrstuvwxyz0123456789.sig"
	keyID = "ASIAAAAAAAAAAAAAAAAA"
)

// ends is when the sessions of these tests expire.
var ends = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// good returns the check of a successful hop.
func good(t *testing.T) check {
	t.Helper()
	j, err := newJob(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c := check{conditions: noFaults(), job: j, secrets: []string{token, keyID}, took: time.Second, timeout: time.Second,
		log: "::add-mask::" + token + "\n::add-mask::" + keyID + "\n  token    x\n",
		holder: func(id, _, _ string) (string, time.Time) {
			if id != keyID {
				return "", time.Time{}
			}
			return session(stagingRole) + "gh-1-1", ends
		}}
	variables, out := c.conditions.expected()
	c.write(t, "GITHUB_ENV", variables)
	c.write(t, "GITHUB_OUTPUT", out)
	return c
}

func (c check) write(t *testing.T, name string, set []string) {
	t.Helper()
	text := ""
	for _, n := range set {
		value := "x"
		if n == "AWS_ACCESS_KEY_ID" {
			value = keyID
		}
		if n == "aws-expiration" {
			value = ends.Format(time.RFC3339)
		}
		text += n + "=" + value + "\n"
	}
	if err := os.WriteFile(c.job.env[name], []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each check finds what it is for, and nothing in a good hop.
func TestChecks(t *testing.T) {
	t.Parallel()
	if problems := good(t).all(); len(problems) > 0 {
		t.Fatalf("a good hop: %q", problems)
	}
	failing := func(c *check) {
		c.status = 1
		c.conditions.job = "feature"
		c.log += "::error title=hubspoke-chain::no\n"
		for _, name := range commandFiles {
			os.WriteFile(c.job.env[name], nil, 0o644)
		}
	}
	c := good(t)
	failing(&c)
	if problems := c.all(); len(problems) > 0 {
		t.Fatalf("a hop that failed as it should: %q", problems)
	}
	for want, change := range map[string]func(*testing.T, *check){
		"the step took 2.5s, and its timeout is 1s":                                func(_ *testing.T, c *check) { c.took = 2500 * time.Millisecond },
		"the step wrote to stderr: panic: ":                                        func(_ *testing.T, c *check) { c.stderr = "panic: x" },
		`"x" is masked and is not a secret`:                                        func(_ *testing.T, c *check) { c.log += "::add-mask::x\n" },
		`"123456789012" is masked and is not a secret`:                             func(_ *testing.T, c *check) { c.log += "::add-mask::123456789012\n" },
		`the log has a command that is not the action's: "::set-output name=x::y"`: func(_ *testing.T, c *check) { c.log += "::set-output name=x::y\n" },
		`the log has a command that is not the action's: "  ##[error]y"`:           func(_ *testing.T, c *check) { c.log += "  ##[error]y\n" },
		`the credentials in GITHUB_ENV belong to "arn:aws:sts::222222222222:assumed-role/deploy-staging/gh-1-1", want arn:aws:sts::333333333333:assumed-role/deploy-production/`: func(_ *testing.T, c *check) { c.conditions.inputs["ROLE-TO-ASSUME"] = productionRole },
		"aws-expiration is 2026-03-01T12:00:00Z, and the sessions expire at 2026-03-01T13:00:00Z": func(_ *testing.T, c *check) {
			c.holder = func(_, _, _ string) (string, time.Time) { return session(stagingRole), ends.Add(time.Hour) }
		},
		"GITHUB_ENV.new is left among the command files":             func(_ *testing.T, c *check) { os.WriteFile(c.job.env["GITHUB_ENV"]+".new", nil, 0o644) },
		"the exit status is 2":                                       func(_ *testing.T, c *check) { failing(c); c.status = 2 },
		"the exit status is -1":                                      func(_ *testing.T, c *check) { failing(c); c.status = -1; c.interruption.signal = syscall.SIGTERM },
		"nothing went wrong, and the step failed":                    func(_ *testing.T, c *check) { failing(c); c.conditions = noFaults() },
		"a secret is in the log before its mask":                     func(_ *testing.T, c *check) { c.log = "  " + keyID + "\n" + c.log },
		"a part of a secret is in the log":                           func(_ *testing.T, c *check) { c.log += token[len(token)-60:len(token)-20] + "\n" },
		"the exit status is 1, and there are 0 error annotations":    func(_ *testing.T, c *check) { failing(c); c.log = "" },
		"the exit status is 1, and there are 2 error annotations":    func(_ *testing.T, c *check) { failing(c); c.log += "::error::again\n" },
		"the exit status is 0, and there are 1 error annotations":    func(_ *testing.T, c *check) { c.log += "::error::no\n" },
		`the step failed, and GITHUB_OUTPUT sets ["aws-expiration"]`: func(t *testing.T, c *check) { failing(c); c.write(t, "GITHUB_OUTPUT", []string{"aws-expiration"}) },
		`GITHUB_ENV sets [], want ["AWS_ACCESS_KEY_ID" "AWS_CREDENTIAL_EXPIRATION" "AWS_DEFAULT_REGION" "AWS_REGION" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN"]`: func(t *testing.T, c *check) { c.write(t, "GITHUB_ENV", nil) },
		`GITHUB_STATE sets ["folder"], want []`:                           func(t *testing.T, c *check) { c.write(t, "GITHUB_STATE", []string{"folder"}) },
		"GITHUB_ENV cannot be read by the runner: invalid format \"AWS\"": func(_ *testing.T, c *check) { os.WriteFile(c.job.env["GITHUB_ENV"], []byte("AWS\n"), 0o644) },
		"a secret is in the job summary": func(_ *testing.T, c *check) {
			os.WriteFile(c.job.env["GITHUB_STEP_SUMMARY"], []byte("x "+keyID), 0o644)
		},
		"GITHUB_OUTPUT holds a secret in oidc-subject":     func(_ *testing.T, c *check) { appendTo(c.job.env["GITHUB_OUTPUT"], "oidc-subject="+token+"\n") },
		"AWS_ACCESS_KEY_ID of GITHUB_ENV was never masked": func(_ *testing.T, c *check) { c.log = "" },
		"the temp directory has 1 entries, want 0":         func(_ *testing.T, c *check) { os.Mkdir(filepath.Join(c.job.temp, "x"), 0o700) },
		"config has mode -rw-r--r--": func(_ *testing.T, c *check) {
			os.MkdirAll(filepath.Join(c.job.temp, "x"), 0o700)
			os.WriteFile(filepath.Join(c.job.temp, "x", "config"), nil, 0o644)
		},
		`the step was killed, and GITHUB_OUTPUT sets ["aws-expiration"]: neither all nor nothing`: func(t *testing.T, c *check) {
			c.status, c.interruption.signal = -1, syscall.SIGKILL
			c.write(t, "GITHUB_OUTPUT", []string{"aws-expiration"})
		},
	} {
		c := good(t)
		change(t, &c)
		if got := strings.Join(c.all(), "\n"); !strings.Contains(got, want) {
			t.Errorf("want %s, got\n%s", want, got)
		}
	}
}

func appendTo(path, text string) {
	old, _ := os.ReadFile(path)
	os.WriteFile(path, append(old, text...), 0o644)
}

func TestAnswerProblem(t *testing.T) {
	t.Parallel()
	l := lab.New(exampleWorld(t), lab.Options{})
	job, err := l.Job("staging")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := l.Mint(job, "sts.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { servers.Close() })
	chain := filepath.Join(t.TempDir(), "chain.json")
	if err := credproc.Write(chain, hop.Plan{
		Region: "us-east-1", Hub: roleARN(hubRole), Spokes: []hop.ARN{roleARN(stagingRole)}, SessionName: "storm", Audience: "sts.amazonaws.com",
		DurationSeconds: 3600, Endpoint: servers.STSURL, MaxAttempts: 1, TimeoutSeconds: 60,
	}); err != nil {
		t.Fatal(err)
	}
	env := l.RequestEnv(servers.IssuerURL, job)
	var out, warnings strings.Builder
	if err := credproc.Run(t.Context(), chain, func(name string) string { return env[name] }, &out, &warnings); err != nil {
		t.Fatal(err)
	}
	answer, killed, none := out.String(), interruption{signal: syscall.SIGKILL}, interruption{}
	with := func(pattern, text string) string { return regexp.MustCompile(pattern).ReplaceAllString(answer, text) }
	for _, test := range []struct {
		stdout, stderr string
		status         int
		took           time.Duration
		interruption   interruption
		want           string
	}{
		{answer, "", 0, 0, none, ""},
		{"", "hubspoke-chain: error: no\n", 1, 0, none, ""},
		{answer, "", -1, 0, killed, ""},
		{"", "x " + secret, 1, 0, none, "a secret is on stderr"},
		{"", "", 1, 0, none, "the call failed and printed no error"},
		{"{", "no", 1, 0, none, "the call failed with status 1, and stdout has 1 bytes"},
		{"", "no", 2, 0, none, "the exit status is 2"},
		{"", "", -1, 0, none, "the exit status is -1"},
		{"", "no", -1, 0, interruption{signal: syscall.SIGTERM}, "the exit status is -1"},
		{answer, "", 0, 8 * time.Second, none, "the call took 8s, and its timeout is 3s"},
		{"", "", 0, 0, none, "the answer is not one line of version 1: unexpected end of JSON input"},
		{answer + "\n", "", 0, 0, none, "the answer is not one line of version 1: <nil>"},
		{with(`"Expiration":"[^"]*"`, `"Expiration":"2020-01-01T00:00:00Z"`), "", 0, 0, none, "the answer has expired: 2020-01-01T00:00:00Z"},
		{with(`"SessionToken":"..`, `"SessionToken":"xx`), "", 0, 0, none, `the answer belongs to the session "", want arn:aws:sts::222222222222:assumed-role/deploy-staging/`},
		{with(`222222222222`, `333333333333`), "", 0, 0, none, "the answer names account 333333333333"},
	} {
		got := callResult{test.stdout, test.stderr, test.status, time.Now(), test.took}.problem(l, test.interruption)
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.stdout, got, test.want)
		}
	}
	late := callResult{stdout: with(`"Expiration":"[^"]*"`, `"Expiration":"2099-01-01T00:00:00Z"`), began: time.Now()}
	if got, want := late.problem(l, none), "the answer says it expires at 2099-01-01T00:00:00Z, and the session expires at "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	dir := t.TempDir()
	for name, want := range map[string]string{"chain.json": "", "chain.cache": "", "chain.lock": "", "chain.cache.new": "chain.cache.new is left", "core": "core is left"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := dirProblem(dir, false); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		if want != "" {
			os.Remove(path)
		}
	}
}

// TestProfileSessions finds credentials in the wrong profile.
func TestProfileSessions(t *testing.T) {
	t.Parallel()
	c := good(t)
	c.conditions.spokes, c.conditions.inputs["SPOKES"] = 2, "staging = "+stagingRole+"\nproduction = "+productionRole+" eu-central-1\n"
	c.holder = func(id, key, token string) (string, time.Time) {
		if key != "k"+id || token != "t"+id {
			return "", time.Time{}
		}
		return map[string]string{"S": session(stagingRole), "P": session(productionRole)}[id], ends
	}
	write := func(staging, production string) {
		folder := filepath.Join(c.job.temp, "hubspoke-chain-x")
		os.MkdirAll(folder, 0o700)
		text := ""
		for _, p := range [][2]string{{"staging", staging}, {"production", production}} {
			text += "[" + p[0] + "]\naws_access_key_id = " + p[1] + "\naws_secret_access_key = k" + p[1] + "\naws_session_token = t" + p[1] + "\n"
		}
		if err := os.WriteFile(filepath.Join(folder, "credentials"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("S", "P")
	if got := c.sessionProblems(); len(got) > 0 {
		t.Errorf("each in its own profile: %q", got)
	}
	write("P", "S")
	if got := c.sessionProblems(); len(got) != 2 {
		t.Errorf("each in the other's profile: %q", got)
	}
}

// TestLeft finds a connection that the client has not closed.
func TestLeft(t *testing.T) {
	t.Parallel()
	e, err := newEndpoint()
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	c, err := net.Dial("tcp", e.plain)
	if err != nil {
		t.Fatal(err)
	}
	for e.opened() == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := e.left(); got != 1 {
		t.Errorf("%d connections are open, want 1", got)
	}
	c.Close()
	if got := e.left(); got != 0 {
		t.Errorf("%d connections are open, want none", got)
	}
}

func TestStageOf(t *testing.T) {
	t.Parallel()
	for log, want := range map[string]string{
		"x\n::error title=hubspoke-chain::assuming hub role arn: no\n":  "assuming hub role",
		"x\n::error title=hubspoke-chain::aws-region: is required\n":    reading,
		"::error title=hubspoke-chain::exporting the credentials: no\n": "exporting the credentials",
	} {
		if got := stageOf(1, log); got != want {
			t.Errorf("%q: got %q, want %q", log, got, want)
		}
	}
	if got := stageOf(0, ""); got != "" {
		t.Errorf("a successful hop failed at %q", got)
	}
}

func TestLate(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]time.Duration{
		9 * time.Millisecond: 0, 11 * time.Millisecond: 0, 12 * time.Millisecond: 2 * time.Millisecond, 30 * time.Millisecond: 20 * time.Millisecond, time.Second: 990 * time.Millisecond,
	} {
		if got := late(took); got != want {
			t.Errorf("a tick of %s is late by %s, want %s", took, got, want)
		}
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	go func() { <-stop }()
	if err := settle(0); err == nil || !strings.Contains(err.Error(), "there were 0 goroutines before and there are ") {
		t.Errorf("got %v", err)
	}
	close(stop)
}
