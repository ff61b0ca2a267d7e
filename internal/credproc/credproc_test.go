package credproc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
)

// scene is a lab, a job of it, and a plan into staging.
type scene struct {
	lab  *lab.Lab
	env  map[string]string
	plan hop.Plan
	file string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(world, lab.Options{})
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { servers.Close() })
	job, err := l.Job("staging")
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{lab: l, env: l.RequestEnv(servers.IssuerURL, job), file: filepath.Join(t.TempDir(), "plan.json")}
	s.plan = hop.Plan{
		Region: "us-east-1", Hub: role("arn:aws:iam::123456789012:role/github-actions-hub"), Spokes: []hop.ARN{role("arn:aws:iam::222222222222:role/deploy-staging")},
		SessionName: "gh-1-1", Audience: "sts.amazonaws.com", DurationSeconds: 3600,
		Tags:     []hop.Tag{{Key: "Repository", Value: "octo-org/octo-repo"}},
		Endpoint: servers.STSURL, MaxAttempts: 1, TimeoutSeconds: 60,
	}
	if err := Write(s.file, s.plan); err != nil {
		t.Fatal(err)
	}
	return s
}

// printed is what an SDK reads.
type printed struct {
	Version                                   int
	AccessKeyID                               string `json:"AccessKeyId"`
	SecretAccessKey, SessionToken, Expiration string
	AccountID                                 string `json:"AccountId"`
}

func (s *scene) run(ctx context.Context) (printed, string, error) {
	var stdout, stderr bytes.Buffer
	err := Run(ctx, s.file, func(name string) string { return s.env[name] }, &stdout, &stderr)
	if err != nil {
		if stdout.Len() > 0 {
			return printed{}, stderr.String(), fmt.Errorf("%w, and stdout has %d bytes", err, stdout.Len())
		}
		return printed{}, stderr.String(), err
	}
	var p printed
	if err := decode(stdout.Bytes(), &p); err != nil {
		return printed{}, "", fmt.Errorf("%w: %s", err, stdout.Bytes())
	}
	return p, stderr.String(), nil
}

// mustRun is a call that prints credentials of the lab and nothing else.
func (s *scene) mustRun(t *testing.T) printed {
	t.Helper()
	p, stderr, err := s.run(t.Context())
	if err != nil || stderr != "" {
		t.Fatalf("%v\n%s", err, stderr)
	}
	s.check(t, p)
	return p
}

func (s *scene) check(t *testing.T, p printed) {
	t.Helper()
	expires, err := time.Parse(time.RFC3339, p.Expiration)
	secrets := s.lab.Secrets()
	for _, value := range []string{p.AccessKeyID, p.SecretAccessKey, p.SessionToken} {
		if !slices.Contains(secrets, value) {
			t.Errorf("the lab has not issued %q", value)
		}
	}
	if p.Version != 1 || p.AccountID != "222222222222" || err != nil || !expires.After(time.Now()) || !strings.HasSuffix(p.Expiration, "Z") {
		t.Errorf("version %d, account %q, expiration %q", p.Version, p.AccountID, p.Expiration)
	}
}

// hops returns the number of hops, successful or not: each requests one token.
func (s *scene) hops() int { return s.lab.Counts()["issuer"].Requests }

func (s *scene) checkHops(t *testing.T, want int) {
	t.Helper()
	if got := s.hops(); got != want {
		t.Errorf("%d hops, want %d", got, want)
	}
}

// checkFiles checks that the directory contains only the expected files.
func (s *scene) checkFiles(t *testing.T) {
	t.Helper()
	dir := filepath.Dir(s.file)
	if names := list(t, dir); !reflect.DeepEqual(names, []string{"plan.cache", "plan.json", "plan.lock"}) {
		t.Errorf("the directory holds %q", names)
	}
	for _, name := range list(t, dir) {
		checkFile(t, filepath.Join(dir, name), os.Geteuid())
	}
}

// edit changes the cache's JSON.
func (s *scene) edit(t *testing.T, change func(*file)) {
	t.Helper()
	data, err := os.ReadFile(cachePath(s.file))
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	change(&f)
	if data, err = json.Marshal(f); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cachePath(s.file), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// age moves the times in the cache into the past.
func (s *scene) age(t *testing.T, d time.Duration) {
	t.Helper()
	s.edit(t, func(f *file) {
		if f.Session != nil {
			f.Session.Issued, f.Session.Expires = f.Session.Issued.Add(-d), f.Session.Expires.Add(-d)
		}
		if f.Failure != nil {
			f.Failure.At = f.Failure.At.Add(-d)
		}
	})
}

func fault(t *testing.T, text string) lab.Fault {
	t.Helper()
	f, err := lab.ParseFault(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRun follows a chain from its first call over the renewing of its session.
func TestRun(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := s.mustRun(t)
	s.checkHops(t, 1)
	s.checkFiles(t)
	if again := s.mustRun(t); again != first {
		t.Errorf("got %+v, and then %+v", first, again)
	}
	// The real end, less five minutes.
	held := s.held(t)
	if expires := held.Session.Expires.Add(-margin).Format(time.RFC3339); expires != first.Expiration {
		t.Errorf("Expiration = %s, want %s", first.Expiration, expires)
	}
	// No request is sent, and the job's environment is not read.
	env := s.env
	s.env = nil
	s.age(t, 39*time.Minute)
	if again := s.mustRun(t); again.AccessKeyID != first.AccessKeyID {
		t.Error("the session was not kept")
	}
	s.env = env
	s.checkHops(t, 1)
	s.age(t, time.Minute)
	if again := s.mustRun(t); again.AccessKeyID == first.AccessKeyID {
		t.Error("the session was not renewed")
	}
	s.checkHops(t, 2)
	s.checkFiles(t)
	// Neither the hub's credentials nor a token are kept.
	held = s.held(t)
	data, err := os.ReadFile(cachePath(s.file))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range s.lab.Secrets() {
		ours := secret == held.Session.AccessKeyID || secret == held.Session.SecretAccessKey || secret == held.Session.SessionToken
		if strings.Contains(string(data), secret) && !ours {
			t.Error("the cache holds a secret that does not belong there")
		}
	}
}

func (s *scene) held(t *testing.T) (f file) {
	t.Helper()
	s.edit(t, func(held *file) { f = *held })
	return f
}

// TestSeed returns a session that the step obtained.
func TestSeed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.env = nil
	seeded := hop.Session{ARN: "arn:aws:sts::222222222222:assumed-role/deploy-staging/gh-1-1", Credentials: hop.Credentials{
		AccessKeyID: hop.NewSecret("ASIAEXAMPLEEXAMPLE22"), SecretAccessKey: hop.NewSecret("a-secret-access-key"), SessionToken: hop.NewSecret("a-session-token-of-some-length"),
		Expires: time.Now().Add(30 * time.Minute).Truncate(time.Second),
	}}
	if err := Seed(s.file, seeded); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t)
	p, stderr, err := s.run(t.Context())
	want := printed{1, "ASIAEXAMPLEEXAMPLE22", "a-secret-access-key", "a-session-token-of-some-length", p.Expiration, "222222222222"}
	if err != nil || stderr != "" || p != want {
		t.Errorf("%+v, %v, %s", p, err, stderr)
	}
	seeded.ARN = "arn:aws:sts::333333333333:assumed-role/other/gh-1-1"
	const refused = `the session "arn:aws:sts::333333333333:assumed-role/other/gh-1-1" is not the plan's, arn:aws:sts::222222222222:assumed-role/deploy-staging/gh-1-1`
	if err := Seed(s.file, seeded); err == nil || err.Error() != refused {
		t.Errorf("got %v, want %s", err, refused)
	}
}

// TestFailure has hops that fail without a session that is good, and with one.
func TestFailure(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for range 2 { // a later call tries again
		s.lab.Fail(fault(t, "sts:AssumeRoleWithWebIdentity:region-disabled"))
		_, stderr, err := s.run(t.Context())
		var failed *Error
		if !errors.As(err, &failed) || stderr != "" ||
			!strings.HasPrefix(failed.Cause, "assuming hub role arn:aws:iam::123456789012:role/github-actions-hub: RegionDisabledException: ") ||
			len(failed.Hints) < 3 || !strings.HasPrefix(failed.Hints[0], `cause: STS is not activated in "us-east-1"`) {
			t.Fatalf("%v\n%s", err, stderr)
		}
	}
	s.checkFiles(t)
	first := s.mustRun(t)
	s.checkHops(t, 3)

	s.age(t, 45*time.Minute)
	s.lab.Fail(fault(t, "sts:AssumeRoleWithWebIdentity:503:-1"))
	for range 3 { // once, then not for a minute
		p, stderr, err := s.run(t.Context())
		if err != nil || p.AccessKeyID != first.AccessKeyID || strings.Count(stderr, "\n") != 1 ||
			!strings.HasPrefix(stderr, "hubspoke-chain: warning: the session was not renewed; the cached one is returned, valid until "+p.Expiration+": assuming hub role ") {
			t.Errorf("%+v, %v, %s", p, err, stderr)
		}
	}
	s.checkHops(t, 4)
	s.age(t, time.Minute)
	if _, _, err := s.run(t.Context()); err != nil {
		t.Error(err)
	}
	s.checkHops(t, 5)
	s.age(t, 10*time.Minute)
	if _, _, err := s.run(t.Context()); err == nil {
		t.Error("an expired session was returned")
	}
	s.checkHops(t, 6)
}

// TestEnvironment makes calls that cannot request a token. This affects only those calls, so the failure is not cached.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	env := s.env
	for _, test := range []struct{ name, value, want, hint string }{
		{requestURL, "", "requesting the ID token: missing ACTIONS_ID_TOKEN_REQUEST_URL (ensure the job has permissions: id-token: write)",
			"credentials are renewed only inside the job: run the tool in a step of the job that has permissions: id-token: write"},
		{requestToken, "", "requesting the ID token: missing ACTIONS_ID_TOKEN_REQUEST_TOKEN (ensure the job has permissions: id-token: write)",
			"credentials are renewed only inside the job: run the tool in a step of the job that has permissions: id-token: write"},
		{requestURL, "http://issuer.example.com/\n::error::", `ACTIONS_ID_TOKEN_REQUEST_URL: "http://issuer.example.com/\x0a::error::" is not an https URL (http is for loopback only)`, ""},
		{"HTTPS_PROXY", "socks5://u:hunter2@proxy", "HTTPS_PROXY: the value is not the URL of a proxy (http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if it requires them)", ""},
	} {
		s.env = maps.Clone(env)
		s.env[test.name] = test.value
		_, stderr, err := s.run(t.Context())
		var failed *Error
		if !errors.As(err, &failed) || err.Error() != test.want || stderr != "" {
			t.Errorf("got  %v, %s\nwant %s", err, stderr, test.want)
			continue
		}
		if (test.hint != "") != (len(failed.Hints) == 2) || test.hint != "" && failed.Hints[0] != test.hint {
			t.Errorf("%s: hints %q", test.name, failed.Hints)
		}
		if _, err := os.Stat(cachePath(s.file)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	s.checkHops(t, 0)
}

// TestLock waits for a lock that somebody holds, until the call's time is up or it is stopped.
func TestLock(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.plan.TimeoutSeconds = 1
	if err := os.Remove(s.file); err != nil {
		t.Fatal(err)
	}
	if err := Write(s.file, s.plan); err != nil {
		t.Fatal(err)
	}
	held, err := lock(t.Context(), lockPath(s.file))
	if err != nil {
		t.Fatal(err)
	}
	const want = "waiting for the call that renews the session: the call timed out after 1 s: context deadline exceeded"
	if _, _, err := s.run(t.Context()); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.run(ctx); err == nil || err.Error() != "waiting for the call that renews the session: context canceled" {
		t.Errorf("stopped: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	s.mustRun(t) // those that gave up hold no lock
	s.checkHops(t, 1)

	// With a session that is good, to wait in vain is no failure: not until the call's time is up, which a step that
	// runs a thousand calls would feel, and without a word.
	s = newScene(t)
	first := s.mustRun(t)
	s.age(t, 45*time.Minute)
	if held, err = lock(t.Context(), lockPath(s.file)); err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if p := s.mustRun(t); p != s.current(t, first) {
		t.Errorf("%+v, want the session that was there", p)
	}
	s.checkHops(t, 1)
}

// current returns what was printed for the session, with its current expiration in the cache.
func (s *scene) current(t *testing.T, p printed) printed {
	p.Expiration = s.held(t).Session.Expires.Add(-margin).Format(time.RFC3339)
	return p
}

// TestEnvironmentID runs a step whose token is rejected, and a correct step of the same job. The failure applies only to
// the first one, whose later calls do not send a request to GitHub for a while.
func TestEnvironmentID(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	right := s.env
	first := s.mustRun(t)
	for name, value := range map[string]string{requestToken: "refused", "NO_PROXY": "other.example.com", "SSL_CERT_FILE": "/other.pem", "SSL_CERT_DIR": "/other"} {
		s.age(t, 45*time.Minute-time.Since(s.held(t).Session.Issued))
		wrong := maps.Clone(right)
		wrong[name] = value
		if name != requestToken {
			s.lab.Fail(fault(t, "issuer:token:403"))
		}
		s.env = wrong
		hops := s.hops()
		for range 3 {
			p, stderr, err := s.run(t.Context())
			if err != nil || p.AccessKeyID != first.AccessKeyID || !strings.Contains(stderr, ": requesting the ID token: ") {
				t.Errorf("%s: %+v, %v, %s", name, p, err, stderr)
			}
		}
		s.checkHops(t, hops+1)
		s.env = right
		renewed := s.mustRun(t)
		if renewed.AccessKeyID == first.AccessKeyID {
			t.Errorf("%s: the failure of another step kept this one from renewing", name)
		}
		s.checkHops(t, hops+2)
		first = renewed
	}
}

// TestStopped stops the call that walks the hop: that is no failure of the others.
func TestStopped(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.lab.Fail(fault(t, "sts:AssumeRoleWithWebIdentity:hang"))
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() {
		_, _, err := s.run(ctx)
		stopped <- err
	}()
	for s.lab.Counts()["sts"].Requests == 0 {
		time.Sleep(time.Millisecond)
	}
	waiting := make(chan error)
	go func() {
		_, _, err := s.run(t.Context())
		waiting <- err
	}()
	time.Sleep(300 * time.Millisecond) // until it waits for the lock, which is not observable
	cancel()
	if err := <-stopped; err == nil {
		t.Error("the call that was stopped has credentials")
	}
	if err := <-waiting; err != nil {
		t.Errorf("the other one: %v", err)
	}
}

// TestThousand starts a thousand calls, 200 at a time, which make one hop; and 200 that fail with the one that
// walks, which takes until all of them have begun.
func TestThousand(t *testing.T) {
	t.Parallel()
	const atOnce = 200
	for _, test := range []struct {
		calls  int
		faults []string
	}{
		{1000, []string{"sts:AssumeRoleWithWebIdentity:delay:1:100ms"}},
		{atOnce, []string{"issuer:token:delay:1:3s", "sts:AssumeRoleWithWebIdentity:throttle"}},
	} {
		s := newScene(t)
		for _, text := range test.faults {
			s.lab.Fail(fault(t, text))
		}
		answers := make([]string, test.calls)
		var calls sync.WaitGroup
		running := make(chan struct{}, atOnce)
		for i := range answers {
			running <- struct{}{}
			calls.Go(func() {
				p, stderr, err := s.run(t.Context())
				answers[i] = fmt.Sprintf("%v %v %s", p, err, stderr)
				<-running
			})
		}
		calls.Wait()
		s.checkHops(t, 1)
		s.checkFiles(t)
		slices.Sort(answers)
		if distinct := slices.Compact(answers); len(distinct) != 1 {
			t.Errorf("%q: %d answers: %q", test.faults, len(distinct), distinct)
		}
	}
}

// TestCache replaces the cache with content that must not be returned. The call must overwrite it.
func TestCache(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := cachePath(s.file)
	s.mustRun(t)
	good := s.held(t)
	text, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(t *testing.T, data string) {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	with := func(change func(*file)) func(*testing.T) {
		return func(t *testing.T) {
			write(t, string(text))
			s.edit(t, change)
		}
	}
	session := func(change func(*fileSession)) func(*testing.T) {
		return with(func(f *file) { change(f.Session) })
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, text, 0o600); err != nil {
		t.Fatal(err)
	}
	hops := 1
	for name, put := range map[string]func(*testing.T){
		"empty":              func(t *testing.T) { write(t, "") },
		"cut":                func(t *testing.T) { write(t, string(text[:len(text)/2])) },
		"garbage":            func(t *testing.T) { write(t, "\x00\xff") },
		"two values":         func(t *testing.T) { write(t, string(text)+string(text)) },
		"an unknown field":   func(t *testing.T) { write(t, `{"x":1,`+string(text[1:])) },
		"large":              func(t *testing.T) { write(t, string(text)+strings.Repeat(" ", maxFile)) },
		"no session":         with(func(f *file) { f.Session = nil }),
		"of another plan":    with(func(f *file) { f.Plan = strings.Repeat("0", 64) }),
		"of another role":    session(func(s *fileSession) { s.ARN = "arn:aws:sts::222222222222:assumed-role/other/gh-1-1" }),
		"a short key id":     session(func(s *fileSession) { s.AccessKeyID = "ASIA" }),
		"a key of two lines": session(func(s *fileSession) { s.SecretAccessKey += "\n::error::" }),
		"no token":           session(func(s *fileSession) { s.SessionToken = "" }),
		"without an end":     session(func(s *fileSession) { s.Expires = time.Time{} }),
		"for ever":           session(func(s *fileSession) { s.Expires = s.Expires.Add(24 * time.Hour) }),
		"of tomorrow":        session(func(s *fileSession) { s.Issued, s.Expires = s.Issued.Add(24*time.Hour), s.Expires.Add(24*time.Hour) }),
		"over":               session(func(s *fileSession) { s.Issued, s.Expires = s.Issued.Add(-time.Hour), s.Expires.Add(-time.Hour) }),
		"a failure to come":  with(func(f *file) { f.Session, f.Failure = nil, &fileFailure{At: time.Now().Add(time.Hour), Cause: "no"} }),
		"a link": func(t *testing.T) {
			if err := os.Symlink(elsewhere, path); err != nil {
				t.Fatal(err)
			}
		},
		"a directory": func(t *testing.T) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"what a killed writer left": func(t *testing.T) {
			if err := os.WriteFile(path+".new", text[:10], 0o644); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			put(t)
			if p := s.mustRun(t); p.AccessKeyID == good.Session.AccessKeyID {
				t.Error("the invalid cache content was returned")
			}
			hops++
			s.checkHops(t, hops)
			s.checkFiles(t)
		})
	}
	if data, err := os.ReadFile(elsewhere); err != nil || !bytes.Equal(data, text) {
		t.Errorf("the link's target was changed: %v", err)
	}
}

// TestUnwritable uses a cache that cannot be written. The credentials must be returned anyway.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	if err := os.MkdirAll(filepath.Join(cachePath(s.file), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, stderr, err := s.run(t.Context())
	if err != nil || stderr != "hubspoke-chain: warning: writing the cache: remove "+cachePath(s.file)+": directory not empty\n" {
		t.Fatalf("%v\n%s", err, stderr)
	}
	s.check(t, p)
}

// TestStdout has a stdout that is gone.
func TestStdout(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	reader, writer := io.Pipe()
	reader.Close()
	err := Run(t.Context(), s.file, func(name string) string { return s.env[name] }, writer, io.Discard)
	if err == nil || err.Error() != "writing the credentials: io: read/write on closed pipe" {
		t.Error(err)
	}
}

// FuzzCache holds that what is read has the form that it must have, and can be written again.
func FuzzCache(f *testing.F) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	const arn = "arn:aws:sts::222222222222:assumed-role/deploy/gh-1-1"
	f.Add([]byte(`{"plan":"c","session":{"arn":"` + arn + `","accessKeyId":"ASIAEXAMPLEEXAMPLE22","secretAccessKey":"a-secret-access-key","sessionToken":"a-session-token","issued":"2026-11-24T11:30:00Z","expires":"2026-11-24T12:30:00Z"}}`))
	f.Add([]byte(`{"plan":"c","failure":{"at":"2026-11-24T11:30:00Z","cause":"::error::\n##[x]","hints":["a"]}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := cache{path: filepath.Join(t.TempDir(), "cache"), plan: "c", arn: arn}
		if err := os.WriteFile(c.path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := c.read(now)
		if s.session != nil && (s.session.arn != arn || !s.session.plausible(now) || strings.ContainsAny(s.session.credentials.SessionToken.Reveal(), "\r\n \"")) {
			t.Errorf("read %+v", s.session)
		}
		if s.failure != nil && (s.failure.at.After(now) || strings.Contains(s.failure.err.Cause, "\n") || strings.Contains(s.failure.err.Cause, "##[")) {
			t.Errorf("read %+v", s.failure.err)
		}
		if err := c.write(s); err != nil {
			t.Fatal(err)
		}
		again := c.read(now)
		if (again.session == nil) != (s.session == nil) || (again.failure == nil) != (s.failure == nil) ||
			s.failure != nil && !reflect.DeepEqual(again.failure.err, s.failure.err) {
			t.Errorf("wrote %+v, read %+v", s, again)
		}
	})
}

// TestOwner has root keep a session in a directory of the runner's user, to whom all of it then belongs.
func TestOwner(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	dir, owner := filepath.Dir(s.file), os.Geteuid()
	if owner == 0 {
		owner = 12345
		if err := os.Chown(dir, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	s.mustRun(t)
	checkFile(t, cachePath(s.file), owner)
	checkFile(t, lockPath(s.file), owner)
}
