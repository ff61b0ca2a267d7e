package storm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/org/hubspoke-chain/internal/action"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
)

// outcome is how a hop ended.
type outcome struct {
	status            int
	stage             string // at which it failed; empty where it did not, or was killed
	interrupted       bool   // a cancellation or a signal was due
	requests, retries int
	late              time.Duration // that the step ran after its timeout
}

// hop runs one hop under the conditions and checks it.
func (w *worker) hop(ctx context.Context, n int, conditions conditions) (outcome, error) {
	l := lab.New(w.world, lab.Options{})
	l.Advance(conditions.skew)
	for _, f := range conditions.faults {
		l.Fail(f)
	}
	issuer, sts := w.issuer.serve(l.Issuer(), conditions.issuer), w.sts.serve(l.STS(), conditions.sts)
	job, err := l.Job(conditions.job)
	if err != nil {
		return outcome{}, err
	}
	dir := filepath.Join(w.dir, fmt.Sprintf("hop-%d", n))
	user := 0
	if w.processes {
		user = owner()
	}
	j, err := newJob(dir, user)
	if err != nil {
		return outcome{}, err
	}
	env := l.RequestEnv(issuer, job)
	maps.Copy(env, j.env)
	env["INPUT_STS-ENDPOINT"] = sts
	if conditions.issuer == overTLS || conditions.sts == overTLS {
		env["INPUT_CA-BUNDLE"] = w.issuer.certificate
	}
	for name, value := range conditions.inputs {
		env["INPUT_"+name] = value
	}
	waitForDamage := j.damage(conditions)
	if conditions.jump != 0 {
		timer := time.AfterFunc(conditions.when, func() { l.Advance(conditions.jump) })
		defer timer.Stop()
	}

	whole := ctx
	ctx, cancel := context.WithCancelCause(whole)
	defer cancel(nil)
	if conditions.cancelAfter > 0 {
		timer := time.AfterFunc(conditions.cancelAfter, func() {
			cancel(fmt.Errorf("interrupt signal received: %w", context.Canceled))
		})
		defer timer.Stop()
	}
	var log lockedBuffer
	start, lost := time.Now(), w.lag.total()
	with := action.Options{Version: "storm", HostTemp: j.temp, Program: w.program}
	var status int
	var stderr string
	var in interruption
	if w.processes && n >= 0 {
		in = randomInterruption(w.seed, n)
		status, stderr, err = w.process(ctx, &log, env, with, in)
	} else {
		status = action.Run(ctx, &log, func(name string) string { return env[name] }, with)
	}
	if err != nil {
		return outcome{}, err
	}
	took := time.Since(start) - (w.lag.total() - lost)
	waitForDamage()
	if whole.Err() != nil { // the storm was canceled, so this hop shows nothing
		return outcome{}, errors.Join(context.Cause(whole), os.RemoveAll(dir))
	}

	o := outcome{status: status, stage: stageOf(status, log.String()), retries: log.retries(),
		interrupted: conditions.cancelAfter > 0 || in.signal != 0}
	for _, c := range l.Counts() {
		o.requests += c.Requests
	}
	timeout := time.Duration(conditions.timeout) * time.Second
	o.late = max(0, took-timeout)
	check := check{conditions: conditions, job: j, log: log.String(), stderr: stderr, status: status,
		secrets: l.Secrets(), holder: l.Holder, took: took, timeout: timeout, interruption: in}
	problems := check.all()
	for _, e := range []*endpoint{w.issuer, w.sts} {
		if open := e.left(); open > 0 {
			problems = append(problems, fmt.Sprintf("%d connections are still open", open))
		}
	}
	if len(problems) > 0 {
		w.violated(violation{conditions: conditions.String() + in.String(), what: fmt.Sprintf("hop %d: %s", n, problems[0]),
			log: log.String(), rerun: w.rerun(n, 1)})
	}
	return o, os.RemoveAll(dir)
}

// reading is the stage of a hop whose annotation names none.
const reading = "reading the inputs"

// stageOf returns the stage at which a hop failed, which is how its annotation begins.
func stageOf(status int, log string) string {
	if status != 1 {
		return ""
	}
	_, text, _ := strings.Cut(log, "::error title=hubspoke-chain::")
	for _, stage := range []hop.Stage{hop.StageToken, hop.StageHub, hop.StageSpoke, hop.StageExport} {
		if strings.HasPrefix(text, string(stage)) {
			return string(stage)
		}
	}
	return reading
}

// lockedBuffer is a log that a step might still write to while it is read.
type lockedBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// retries counts the lines that report a retry.
func (b *lockedBuffer) retries() int { return strings.Count(b.String(), "\n  retry    ") }
