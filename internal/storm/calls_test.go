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
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
)

// perChain is the number of processes that share a chain file.
const perChain = 8

// A call has a timeout, and on a busy machine its process starts and ends late.
const (
	callTimeout = 3 * time.Second
	lateness    = 3 * time.Second
)

// runCalls starts processes of credential-process, eight at a time on one chain file, while the lab misbehaves,
// sessions expire within seconds and processes are killed. Each call must return a session that is valid in the lab,
// or fail and print nothing to stdout. Afterwards the next call with that file must succeed.
func (s *storm) runCalls(ctx context.Context) (summary, error) {
	start := time.Now()
	parallel := min(4, s.workers)
	total := summary{faults: map[string]int{}, concurrent: parallel * perChain}
	var mu sync.Mutex
	var failed error
	chains := make(chan int)
	var all sync.WaitGroup
	for range parallel {
		all.Go(func() {
			for n := range chains {
				chain, err := s.runChain(ctx, n)
				mu.Lock()
				failed = errors.Join(failed, err)
				total.hops += chain.hops
				total.succeeded += chain.succeeded
				total.failed += chain.failed
				total.canceled += chain.canceled
				total.requests += chain.requests
				for kind, times := range chain.faults {
					total.faults[kind] += times
				}
				mu.Unlock()
				s.done.Add(perChain)
			}
		})
	}
	for n := range (s.hops + perChain - 1) / perChain {
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop || s.ended(ctx) {
			break
		}
		chains <- s.from + n
	}
	close(chains)
	all.Wait()
	total.took = time.Since(start)
	return total, errors.Join(failed, ctx.Err())
}

// runChain runs the calls with one chain file.
func (s *storm) runChain(ctx context.Context, n int) (summary, error) {
	r := random(s.seed^0xca11, n)
	total := summary{faults: map[string]int{}}
	l := lab.New(s.world, lab.Options{SessionLifetime: time.Duration(2+r.IntN(3)) * time.Second})
	servers, err := l.Start()
	if err != nil {
		return total, err
	}
	defer servers.Close()
	job, err := l.Job("staging")
	if err != nil {
		return total, err
	}
	dir := filepath.Join(s.dir, fmt.Sprintf("chain-%d", n))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return total, err
	}
	defer os.RemoveAll(dir)
	chain := filepath.Join(dir, "chain.json")
	if err := credproc.Write(chain, hop.Plan{
		Region: "us-east-1", Hub: roleARN(hubRole), Spokes: []hop.ARN{roleARN(stagingRole)}, SessionName: "storm", Audience: "sts.amazonaws.com",
		DurationSeconds: 3600, Endpoint: servers.STSURL, MaxAttempts: pick(r, 1, 2, 5),
		TimeoutSeconds: int(callTimeout.Seconds()),
	}); err != nil {
		return total, err
	}
	var faults []string
	for range r.IntN(4) {
		f := fault(r)
		total.faults[f.Kind]++
		faults = append(faults, fmt.Sprintf("%s:%s:%s:%d:%s", f.Service, f.Action, f.Kind, f.Times, f.Duration))
		l.Fail(f)
	}
	env := l.RequestEnv(servers.IssuerURL, job)
	violated := func(what, log string) {
		s.violated(violation{conditions: "credential-process, " + strings.Join(faults, ", "), log: log,
			what:  fmt.Sprintf("chain %d: %s", n, what),
			rerun: fmt.Sprintf("-seed %d -from %d -hops 0 -processes 0 -calls %d", s.seed, n, perChain)})
	}

	calls := make([]callResult, perChain)
	interruptions := make([]interruption, perChain)
	for i := range interruptions {
		if r.IntN(3) == 0 {
			signal := pick(r, syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGKILL)
			interruptions[i] = interruption{signal: signal, after: shortDelay(r)}
		}
		interruptions[i].fill(r)
	}
	var all sync.WaitGroup
	var failed error
	var mu sync.Mutex
	for i := range calls {
		all.Go(func() {
			result, err := call(ctx, s.program, chain, env, interruptions[i])
			mu.Lock()
			defer mu.Unlock()
			calls[i] = result
			failed = errors.Join(failed, err)
		})
	}
	all.Wait()
	if failed != nil {
		return total, failed
	}
	for i, c := range calls {
		total.hops++
		switch {
		case interruptions[i].signal != 0 && c.status != 0:
			total.canceled++
		case c.status == 0:
			total.succeeded++
		default:
			total.failed++
		}
		if what := c.problem(l, interruptions[i]); what != "" {
			violated(what+interruptions[i].String(), c.stderr)
		}
	}
	killed := slices.ContainsFunc(interruptions, func(in interruption) bool { return in.signal == syscall.SIGKILL })
	if what := dirProblem(dir, killed); what != "" {
		violated(what, "")
	}

	// Without faults the next call succeeds, whatever happened before, and leaves no other file.
	l.Settle()
	last, err := call(ctx, s.program, chain, env, interruption{})
	if err != nil {
		return total, err
	}
	total.hops++
	total.succeeded++
	if last.status != 0 {
		violated("a call without faults failed", last.stderr)
	} else if what := last.problem(l, interruption{}); what != "" {
		violated(what, last.stderr)
	} else if what := dirProblem(dir, false); what != "" {
		violated(what, last.stderr)
	}
	for _, c := range l.Counts() {
		total.requests += c.Requests
	}
	return total, nil
}

// callResult is how a call ended.
type callResult struct {
	stdout, stderr string
	status         int // -1 if a signal killed it
	began          time.Time
	took           time.Duration
}

// call runs credential-process once.
func call(ctx context.Context, program, chain string, env map[string]string, in interruption) (callResult, error) {
	command := exec.CommandContext(ctx, program, "credential-process", "--chain", chain)
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	began := time.Now()
	if err := command.Start(); err != nil {
		return callResult{}, err
	}
	if in.full {
		if err := limitFileSize(command.Process.Pid, in.room); err != nil {
			return callResult{}, errors.Join(err, command.Process.Kill(), command.Wait())
		}
	}
	if in.signal != 0 {
		timer := time.AfterFunc(in.after, func() { _ = command.Process.Signal(in.signal) })
		defer timer.Stop()
	}
	err := command.Wait()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return callResult{}, err
	}
	return callResult{out.String(), errs.String(), command.ProcessState.ExitCode(), began, time.Since(began)}, nil
}

// problem returns what is wrong with the result, or nothing.
func (r callResult) problem(l *lab.Lab, in interruption) string {
	for _, secret := range l.Secrets() {
		if strings.Contains(r.stderr, secret) {
			return "a secret is on stderr"
		}
	}
	// SIGINT and SIGTERM kill the process only before main runs, and then it has printed nothing.
	killed := r.status < 0 && (in.signal == syscall.SIGKILL || in.signal != 0 && r.stderr == "")
	if r.status > 1 || r.status < 0 && !killed {
		return fmt.Sprintf("the exit status is %d", r.status)
	}
	if r.took > callTimeout+grace+lateness {
		return fmt.Sprintf("the call took %s, and its timeout is %s", r.took.Round(time.Millisecond), callTimeout)
	}
	if r.status != 0 {
		if r.stdout != "" && !killed { // it may be killed right after its one write
			return fmt.Sprintf("the call failed with status %d, and stdout has %d bytes", r.status, len(r.stdout))
		}
		if r.stderr == "" && !killed {
			return "the call failed and printed no error"
		}
		return ""
	}
	return r.answerProblem(l)
}

// answerProblem checks an answer: its credentials belong to one session of the role, which was valid in the lab when
// the call began, and its expiration is not after the session's.
func (r callResult) answerProblem(l *lab.Lab) string {
	var answer struct {
		Version                                              int
		AccessKeyID                                          string `json:"AccessKeyId"`
		SecretAccessKey, SessionToken, Expiration, AccountID string
	}
	err := json.Unmarshal([]byte(r.stdout), &answer)
	if err != nil || answer.Version != 1 || strings.Count(r.stdout, "\n") != 1 {
		return fmt.Sprintf("the answer is not one line of version 1: %v", err)
	}
	end, err := time.Parse(time.RFC3339, answer.Expiration)
	if err != nil || !end.After(r.began.Add(-time.Second)) { // it is in whole seconds
		return "the answer has expired: " + answer.Expiration
	}
	arn, expires := l.Holder(answer.AccessKeyID, answer.SecretAccessKey, answer.SessionToken)
	if !strings.HasPrefix(arn, session(stagingRole)) {
		return fmt.Sprintf("the answer belongs to the session %q, want %s", arn, session(stagingRole))
	}
	if end.After(expires) {
		return fmt.Sprintf("the answer says it expires at %s, and the session expires at %s", answer.Expiration,
			expires.UTC().Format(time.RFC3339))
	}
	if answer.AccountID != "222222222222" {
		return "the answer names account " + answer.AccountID
	}
	return ""
}

// dirProblem returns what is wrong with the files next to a chain file, or nothing.
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
		known := slices.Contains([]string{"chain.json", "chain.cache", "chain.lock"}, entry.Name()) ||
			killed && entry.Name() == "chain.cache.new"
		if !known {
			return entry.Name() + " is left"
		}
	}
	return ""
}

func roleARN(arn string) hop.ARN {
	role, err := hop.ParseRoleARN(arn)
	if err != nil {
		panic(err)
	}
	return role
}
