package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/org/hubspoke-chain/internal/credproc"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
)

// stagingPlan is the hop into staging.
func stagingPlan(stsURL string) hop.Plan {
	return hop.Plan{
		Region:      "us-east-1",
		Hub:         hop.ARN{Partition: "aws", AccountID: "123456789012", Path: "/", Name: "github-actions-hub"},
		Spokes:      []hop.ARN{{Partition: "aws", AccountID: "222222222222", Path: "/", Name: "deploy-staging"}},
		SessionName: "gh-1-1", Audience: "sts.amazonaws.com", DurationSeconds: 3600,
		Tags:     []hop.Tag{{Key: "Repository", Value: "octo-org/octo-repo"}},
		Endpoint: stsURL, MaxAttempts: 5, TimeoutSeconds: 60,
	}
}

// seedPlan writes a plan with a cached session that the lab did not issue.
func seedPlan(t testing.TB, file string) {
	t.Helper()
	session := hop.Session{ARN: "arn:aws:sts::222222222222:assumed-role/deploy-staging/gh-1-1", Credentials: hop.Credentials{
		AccessKeyID: hop.NewSecret("ASIAEXAMPLEEXAMPLE22"), SecretAccessKey: hop.NewSecret("a-secret-access-key"),
		SessionToken: hop.NewSecret(strings.Repeat("a-session-token-", 64)), Expires: time.Now().Add(time.Hour),
	}}
	if err := credproc.Write(file, stagingPlan("")); err != nil {
		t.Fatal(err)
	}
	if err := credproc.Seed(file, session); err != nil {
		t.Fatal(err)
	}
}

// writePlan writes the plan, with the fields of the arguments changed.
func (s *scene) writePlan(ts *testscript.TestScript, args []string) {
	path := ts.MkAbs(args[0])
	plan := stagingPlan(s.stsURL)
	plan.MaxAttempts = 1
	for _, arg := range args[1:] {
		field, value, _ := strings.Cut(arg, "=")
		ts.Check(json.Unmarshal(fmt.Appendf(nil, `{%q: %s}`, field, value), &plan))
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		ts.Check(err)
	}
	ts.Check(credproc.Write(path, plan))
	claims, err := s.lab.Job(s.jobName)
	ts.Check(err)
	for name, value := range s.lab.RequestEnv(s.servers.IssuerURL, claims) {
		ts.Setenv(name, value)
	}
}

// age moves the times in the cache.
func (s *scene) age(ts *testscript.TestScript, args []string) {
	path := strings.TrimSuffix(ts.MkAbs(args[0]), ".json") + ".cache"
	by, err := time.ParseDuration(args[1])
	ts.Check(err)
	data, err := os.ReadFile(path)
	ts.Check(err)
	var cache map[string]any
	ts.Check(json.Unmarshal(data, &cache))
	for part, fields := range map[string][]string{"session": {"issued", "expires"}, "failure": {"at"}} {
		for _, field := range fields {
			if object, there := cache[part].(map[string]any); there {
				at, err := time.Parse(time.RFC3339, object[field].(string))
				ts.Check(err)
				object[field] = at.Add(-by)
			}
		}
	}
	data, err = json.Marshal(cache)
	ts.Check(err)
	ts.Check(os.WriteFile(path, data, 0o600))
}

func (s *scene) checkHops(ts *testscript.TestScript, args []string) {
	number := args[0]
	if file, found := strings.CutPrefix(number, "@"); found {
		number = strings.TrimSpace(ts.ReadFile(file))
	}
	want, err := strconv.Atoi(number)
	ts.Check(err)
	now := s.lab.Counts()["issuer"].Requests
	if got := now - s.hops; got != want {
		ts.Fatalf("%d hops, not %d", got, want)
	}
	s.hops = now
}

func (s *scene) renewed(ts *testscript.TestScript, _ []string) {
	var requests []map[string]any
	for _, e := range s.lab.Events() {
		if e.EventName == "AssumeRole" {
			requests = append(requests, e.RequestParameters)
		}
	}
	if len(requests) < 4 { // AWS records a cross-account call in both accounts
		ts.Fatalf("found %d AssumeRole events, want at least 4", len(requests))
	}
	for _, again := range requests[1:] {
		if !reflect.DeepEqual(requests[0], again) {
			ts.Fatalf("session requests differ: one has\n%v\nanother has\n%v", requests[0], again)
		}
	}
}

// herd is a chain and the shipped program, for many calls at a time.
type herd struct {
	program string
	lab     *lab.Lab
	file    string
	env     []string
}

func newHerd(t *testing.T, program string) *herd {
	t.Helper()
	l, servers := startLab(t)
	claims, err := l.Job("staging")
	if err != nil {
		t.Fatal(err)
	}
	h := &herd{program: program, lab: l, file: filepath.Join(t.TempDir(), "chain.json")}
	for name, value := range l.RequestEnv(servers.IssuerURL, claims) {
		h.env = append(h.env, name+"="+value)
	}
	if err := credproc.Write(h.file, stagingPlan(servers.STSURL)); err != nil {
		t.Fatal(err)
	}
	return h
}

// call runs one process until ctx is done. It returns the output and whether the process succeeded.
func (h *herd) call(ctx context.Context) (stdout, stderr string, ok bool) {
	var out, errs bytes.Buffer
	command := exec.CommandContext(ctx, h.program, "credential-process", "--chain", h.file)
	command.Env, command.Stdout, command.Stderr = h.env, &out, &errs
	err := command.Run()
	return out.String(), errs.String(), err == nil
}

// check checks that the lab issued the credentials in a response.
func (h *herd) check(t *testing.T, stdout string) {
	t.Helper()
	var answer struct {
		Version                                               int
		AccessKeyId, SecretAccessKey, SessionToken, AccountId string
		Expiration                                            time.Time
	}
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer); err != nil || decoder.More() {
		t.Fatalf("%v\n%s", err, stdout)
	}
	secrets := h.lab.Secrets()
	i := slices.Index(secrets, answer.AccessKeyId)
	if i < 0 || answer.SecretAccessKey != secrets[i+1] || answer.SessionToken != secrets[i+2] ||
		answer.Version != 1 || answer.AccountId != "222222222222" || !answer.Expiration.After(time.Now()) {
		t.Errorf("not a session of the lab: %s", stdout)
	}
}

// checkFiles checks that the directory contains only the chain, its cache and its lock, accessible only to their owner.
func (h *herd) checkFiles(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(h.file))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if info, err := e.Info(); err != nil || info.Mode() != fs.FileMode(0o600) {
			t.Errorf("%s has mode %s, %v", e.Name(), info.Mode(), err)
		}
	}
	if want := []string{"chain.cache", "chain.json", "chain.lock"}; !slices.Equal(names, want) {
		t.Errorf("the directory holds %q, want %q", names, want)
	}
}

// TestCredentialProcesses starts a thousand processes, 200 at a time, that make one hop and give one answer; and
// as many as fail with the one that walks.
func TestCredentialProcesses(t *testing.T) {
	t.Parallel()
	program := build(t, ".")
	const atOnce = 200
	for _, test := range []struct {
		calls int
		fault lab.Fault
		ok    bool
	}{
		{1000, lab.Fault{Service: "sts", Action: "AssumeRole", Kind: "delay", Duration: 500 * time.Millisecond}, true},
		{atOnce, lab.Fault{Service: "sts", Action: "AssumeRole", Kind: "region-disabled"}, false},
	} {
		h := newHerd(t, program)
		if !test.ok { // until all have begun
			h.lab.Fail(lab.Fault{Service: "issuer", Action: "token", Kind: "delay", Duration: 8 * time.Second})
		}
		h.lab.Fail(test.fault)
		answers := make([]string, test.calls)
		var calls sync.WaitGroup
		running := make(chan struct{}, atOnce)
		for i := range answers {
			running <- struct{}{}
			calls.Go(func() {
				stdout, stderr, ok := h.call(t.Context())
				answers[i] = fmt.Sprint(ok, stdout, stderr)
				<-running
			})
		}
		calls.Wait()
		if hops := h.lab.Counts()["issuer"].Requests; hops != 1 {
			t.Errorf("%d hops", hops)
		}
		slices.Sort(answers)
		if distinct := slices.Compact(answers); len(distinct) != 1 || !strings.HasPrefix(distinct[0], strconv.FormatBool(test.ok)) {
			t.Errorf("%d answers: %s", len(distinct), distinct[0])
		}
		h.checkFiles(t)
	}
}

// TestCredentialProcessesKilled kills processes at random moments. The surviving processes and a final one must return
// credentials.
func TestCredentialProcessesKilled(t *testing.T) {
	t.Parallel()
	program := build(t, ".")
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 25 {
		h := newHerd(t, program)
		var calls sync.WaitGroup
		for i := range 8 {
			killedAfter, start := time.Duration(random.IntN(60))*time.Millisecond, time.Duration(random.IntN(30))*time.Millisecond
			calls.Go(func() {
				time.Sleep(start)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if i < 6 {
					ctx, cancel = context.WithTimeout(ctx, killedAfter)
					defer cancel()
				}
				stdout, stderr, ok := h.call(ctx)
				switch {
				case ok:
					h.check(t, stdout)
				case i >= 6 || ctx.Err() == nil:
					t.Errorf("round %d: a call that was not killed has no answer: %s", round, stderr)
				}
			})
		}
		calls.Wait()
		stdout, stderr, ok := h.call(t.Context())
		if !ok || stderr != "" {
			t.Fatalf("round %d: %s", round, stderr)
		}
		h.check(t, stdout)
		h.checkFiles(t)
	}
}
