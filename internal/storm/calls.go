package storm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/org/hubspoke-chain/internal/credproc"
	"github.com/org/hubspoke-chain/internal/lab"
)

// atOnce is how many processes share a chain.
const atOnce = 8

// Of a call: its timeout, and how late a process of a busy machine starts and ends beside that.
const (
	callTimeout = 3 * time.Second
	lateness    = 3 * time.Second
)

// RunCalls starts processes of credential-process, eight at a time on one chain, while the lab misbehaves, sessions end
// within seconds and processes are ended. Each answers with a session that the lab still takes, or fails and says
// nothing on stdout; and whatever happened, the next call on the chain works.
func RunCalls(ctx context.Context, o Options) (Summary, error) {
	start := time.Now()
	chainsAtOnce := min(4, o.Workers)
	total := Summary{Faults: map[string]int{}, AtOnce: chainsAtOnce * atOnce}
	var mu sync.Mutex
	var violation error
	chains := make(chan int)
	var all sync.WaitGroup
	for range chainsAtOnce {
		all.Go(func() {
			for n := range chains {
				s, err := herd(ctx, o, n)
				mu.Lock()
				if err != nil && violation == nil {
					violation = err
				}
				total.Hops += s.Hops
				total.Good += s.Good
				total.Failed += s.Failed
				total.Cancelled += s.Cancelled
				total.Requests += s.Requests
				for kind, times := range s.Faults {
					total.Faults[kind] += times
				}
				mu.Unlock()
			}
		})
	}
	for n := range (o.Hops + atOnce - 1) / atOnce {
		mu.Lock()
		ended := violation != nil || ctx.Err() != nil
		mu.Unlock()
		if ended {
			break
		}
		chains <- o.From + n
	}
	close(chains)
	all.Wait()
	total.Took = time.Since(start)
	return total, violation
}

// herd is one chain and the processes on it.
func herd(ctx context.Context, o Options, n int) (Summary, error) {
	r := random(o.Seed^0xca11, n)
	s := Summary{Faults: map[string]int{}}
	l := lab.New(o.World, lab.Options{SessionLifetime: time.Duration(2+r.IntN(3)) * time.Second})
	servers, err := l.Start()
	if err != nil {
		return s, err
	}
	defer servers.Close()
	job, err := l.Job("staging")
	if err != nil {
		return s, err
	}
	dir := filepath.Join(o.Dir, fmt.Sprintf("chain-%d", n))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	chain := filepath.Join(dir, "chain.json")
	if err := (credproc.Chain{
		Region: "us-east-1", Hub: hubRole, Spoke: stagingRole, SessionName: "storm", Audience: "sts.amazonaws.com", DurationSeconds: 3600,
		Endpoint: servers.STSURL, MaxAttempts: pick(r, 1, 2, 5), TimeoutSeconds: int(callTimeout.Seconds()),
	}).Write(chain); err != nil {
		return s, err
	}
	var faults []string
	for range r.IntN(4) {
		f := fault(r)
		s.Faults[f.Kind]++
		faults = append(faults, fmt.Sprintf("%s:%s:%s:%d:%s", f.Service, f.Action, f.Kind, f.Times, f.Duration))
		l.Fail(f)
	}
	env := l.RequestEnv(servers.IssuerURL, job)
	violated := func(what, log string) error {
		return &Violation{Hop: n, Seed: o.Seed, Stage: "credential-process, " + strings.Join(faults, ", "), What: what, Log: log, Again: fmt.Sprintf("--hops 0 --credential-process %d", atOnce)}
	}

	calls := make([]told, atOnce)
	deaths := make([]death, atOnce)
	for i := range deaths {
		if r.IntN(3) == 0 {
			deaths[i] = death{signal: pick(r, syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGKILL), after: soon(r)}
		}
		deaths[i].fill(r)
	}
	var all sync.WaitGroup
	var failed error
	var mu sync.Mutex
	for i := range calls {
		all.Go(func() {
			told, err := call(ctx, o.Program, chain, env, deaths[i])
			mu.Lock()
			defer mu.Unlock()
			calls[i] = told
			failed = errors.Join(failed, err)
		})
	}
	all.Wait()
	if failed != nil {
		return s, failed
	}
	for i, c := range calls {
		s.Hops++
		switch {
		case deaths[i].signal != 0 && c.status != 0:
			s.Cancelled++
		case c.status == 0:
			s.Good++
		default:
			s.Failed++
		}
		if what := c.problem(l, deaths[i]); what != "" {
			return s, violated(what+deaths[i].String(), c.stderr)
		}
	}
	if what := dirProblem(dir, slices.ContainsFunc(deaths, func(d death) bool { return d.signal == syscall.SIGKILL })); what != "" {
		return s, violated(what, "")
	}

	// The weather is over, and what failed is forgotten by then: the next call works, and leaves what belongs there.
	l.Settle()
	last, err := call(ctx, o.Program, chain, env, death{})
	if err != nil {
		return s, err
	}
	s.Hops++
	s.Good++
	if last.status != 0 {
		return s, violated("once all was well, a call failed", last.stderr)
	}
	if what := last.problem(l, death{}); what != "" {
		return s, violated(what, last.stderr)
	}
	if what := dirProblem(dir, false); what != "" {
		return s, violated(what, last.stderr)
	}
	for _, c := range l.Counts() {
		s.Requests += c.Requests
	}
	return s, nil
}

// told is what a call came to.
type told struct {
	stdout, stderr string
	status         int // -1 for one that a signal ended
	began          time.Time
	took           time.Duration
}

// call runs credential-process once.
func call(ctx context.Context, program, chain string, env map[string]string, d death) (told, error) {
	command := exec.CommandContext(ctx, program, "credential-process", "--chain", chain)
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	began := time.Now()
	if err := command.Start(); err != nil {
		return told{}, err
	}
	if d.full {
		if err := noFileGrows(command.Process.Pid, d.room); err != nil {
			return told{}, errors.Join(err, command.Process.Kill(), command.Wait())
		}
	}
	if d.signal != 0 {
		timer := time.AfterFunc(d.after, func() { _ = command.Process.Signal(d.signal) })
		defer timer.Stop()
	}
	err := command.Wait()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return told{}, err
	}
	return told{out.String(), errs.String(), command.ProcessState.ExitCode(), began, time.Since(began)}, nil
}

// problem is what is wrong with what a call said; empty for nothing.
func (t told) problem(l *lab.Lab, d death) string {
	for _, secret := range l.Secrets() {
		if strings.Contains(t.stderr, secret) {
			return "a secret is on stderr"
		}
	}
	// The other signals are heeded once main runs, and before that nothing is said.
	killed := t.status < 0 && (d.signal == syscall.SIGKILL || d.signal != 0 && t.stderr == "")
	if t.status > 1 || t.status < 0 && !killed {
		return fmt.Sprintf("the exit status is %d", t.status)
	}
	if t.took > callTimeout+grace+lateness {
		return fmt.Sprintf("the call took %s, and its timeout is %s", t.took.Round(time.Millisecond), callTimeout)
	}
	if t.status != 0 {
		if t.stdout != "" && !killed { // one that is killed behind its one write has said it all
			return fmt.Sprintf("the call failed with status %d, and stdout has %d bytes", t.status, len(t.stdout))
		}
		if t.stderr == "" && !killed {
			return "the call failed and does not say why"
		}
		return ""
	}
	return t.answerProblem(l)
}

// answerProblem is what is wrong with an answer: it is of one session of the role, which the lab still took when the call
// began, and names no end behind the session's own.
func (t told) answerProblem(l *lab.Lab) string {
	var answer struct {
		Version                                              int
		AccessKeyID                                          string `json:"AccessKeyId"`
		SecretAccessKey, SessionToken, Expiration, AccountID string
	}
	if err := json.Unmarshal([]byte(t.stdout), &answer); err != nil || answer.Version != 1 || strings.Count(t.stdout, "\n") != 1 {
		return fmt.Sprintf("the answer is not one line of version 1: %v", err)
	}
	end, err := time.Parse(time.RFC3339, answer.Expiration)
	if err != nil || !end.After(t.began.Add(-time.Second)) { // it is told in whole seconds
		return "the answer has expired: " + answer.Expiration
	}
	arn, expires := l.Holder(answer.AccessKeyID, answer.SecretAccessKey, answer.SessionToken)
	if !strings.HasPrefix(arn, session(stagingRole)) {
		return fmt.Sprintf("the answer is of the session %q, want %s", arn, session(stagingRole))
	}
	if end.After(expires) {
		return fmt.Sprintf("the answer is said to end at %s, and ends at %s", answer.Expiration, expires.UTC().Format(time.RFC3339))
	}
	if answer.AccountID != "222222222222" {
		return "the answer is of account " + answer.AccountID
	}
	return ""
}

// dirProblem is what lies in a chain's folder that should not; empty for nothing.
func dirProblem(dir string, killed bool) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			return fmt.Sprintf("%s has mode %v", entry.Name(), info.Mode())
		}
		known := slices.Contains([]string{"chain.json", "chain.cache", "chain.lock"}, entry.Name()) || killed && entry.Name() == "chain.cache.new"
		if !known {
			return entry.Name() + " is left"
		}
	}
	return ""
}
