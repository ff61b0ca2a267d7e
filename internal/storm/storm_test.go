package storm

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
)

// TestStorm walks some hops of a seed. The command walks thousands.
func TestStorm(t *testing.T) {
	t.Parallel()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	// In place of the program that auto-refresh leaves, one that is there and says its version.
	o := Options{Hops: 150, Seed: 7, Workers: 16, Dir: t.TempDir(), Program: "/bin/true", World: world}
	s, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Hops != o.Hops || s.Good+s.Failed+s.Cancelled != o.Hops || s.Good < 10 || s.Failed < 10 || s.Cancelled < 3 || len(s.Faults) < 20 || s.Requests < o.Hops || s.Retries < 10 {
		t.Errorf("the weather was too mild: %+v", s)
	}
}

func TestDrawn(t *testing.T) {
	t.Parallel()
	for n := range 200 {
		if a, b := drawn(3, n), drawn(3, n); !reflect.DeepEqual(a, b) {
			t.Fatalf("hop %d is %s once and %s then", n, a, b)
		}
	}
	if drawn(3, 1).String() == drawn(4, 1).String() {
		t.Error("the seed changes nothing")
	}
}

const (
	token = "eyJhbGciOiJSUzI1NiJ9.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcdefghijklmnopqrstuvwxyz0123456789.sig"
	keyID = "ASIAAAAAAAAAAAAAAAAA"
)

// good is a hop that worked, as its check sees it.
func good(t *testing.T) check {
	t.Helper()
	j, err := newJob(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := check{weather: calm(), job: j, secrets: []string{token, keyID}, took: time.Second, timeout: time.Second,
		log: "::add-mask::" + token + "\n::add-mask::" + keyID + "\n  token    x\n"}
	variables, out := c.weather.wanted()
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
		text += n + "=" + value + "\n"
	}
	if err := os.WriteFile(c.job.env[name], []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestChecks has each check find what it is for.
func TestChecks(t *testing.T) {
	t.Parallel()
	if problems := good(t).all(); len(problems) > 0 {
		t.Fatalf("a good hop: %q", problems)
	}
	failing := func(c *check) {
		c.status = 1
		c.weather.job = "feature"
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
		"the step took 2.5s, and its timeout is 1s":                  func(_ *testing.T, c *check) { c.took = 2500 * time.Millisecond },
		"the exit status is 2":                                       func(_ *testing.T, c *check) { failing(c); c.status = 2 },
		"the exit status is -1":                                      func(_ *testing.T, c *check) { failing(c); c.status = -1; c.death.signal = syscall.SIGTERM },
		"nothing went wrong, and the step failed":                    func(_ *testing.T, c *check) { failing(c); c.weather = calm() },
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
			c.status, c.death.signal = -1, syscall.SIGKILL
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
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(world, lab.Options{})
	job, err := l.Job("staging")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := l.Mint(job, "sts.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	answer := func(key, expires, account string) string {
		return `{"Version":1,"AccessKeyId":"` + key + `","SecretAccessKey":"` + key + `","SessionToken":"` + key + `","Expiration":"` + expires + `","AccountId":"` + account + `"}` + "\n"
	}
	const later = "2099-01-01T00:00:00Z"
	for _, test := range []struct {
		stdout, stderr string
		status         int
		want           string
	}{
		{answer(secret, later, "222222222222"), "", 0, ""},
		{"", "hubspoke-chain: error: no\n", 1, ""},
		{"", "x " + secret, 1, "a secret is on stderr"},
		{"", "", 1, "the call failed and does not say why"},
		{"{", "no", 1, "the call failed with status 1, and stdout has 1 bytes"},
		{"", "", 0, "the answer is not one line of version 1: unexpected end of JSON input"},
		{answer(secret, "2020-01-01T00:00:00Z", "222222222222"), "", 0, "the answer has expired: 2020-01-01T00:00:00Z"},
		{answer("other", later, "222222222222"), "", 0, "the answer is of no session that the lab gave"},
		{answer(secret, later, "333333333333"), "", 0, "the answer is of account 333333333333"},
	} {
		if got := answerProblem(l, test.stdout, test.stderr, test.status, false); got != test.want {
			t.Errorf("%s: got %q, want %q", test.stdout, got, test.want)
		}
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

func TestSettle(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	go func() { <-stop }()
	if err := settle(0); err == nil || !strings.Contains(err.Error(), "0 goroutines were there before and ") {
		t.Errorf("got %v", err)
	}
	close(stop)
}
