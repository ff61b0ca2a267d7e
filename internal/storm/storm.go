// Package storm walks hop after hop with the real code while the lab, the files of the runner and the runner itself
// misbehave at random, and checks after each what must hold whatever happens. It is a package of its own because the
// command and the tests of the checks share it; it is never in the action's image.
package storm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/org/hubspoke-chain/internal/action"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
)

// Options of a storm.
type Options struct {
	Hops    int    // to walk, 1 or more
	Seed    uint64 // of everything that is random; hop N of a seed is the same whatever else is walked
	From    int    // the first hop, counted from 0
	Workers int    // hops at a time
	Dir     string // for the files of the jobs, an empty directory
	Program string // path of hubspoke-chain, for auto-refresh and for processes
	World   *lab.World
	Told    func(hops int) // of how many hops are walked, now and then; may be nil

	processes bool
}

// Violation is something that must never happen, and did.
type Violation struct {
	Hop   int
	Seed  uint64
	Stage string // what was going on: the weather of the hop
	What  string
	Log   string // of the step
	Again string // the options of the command that show it again
}

func (v *Violation) Error() string {
	return fmt.Sprintf("hop %d of seed %d: %s\nthe weather: %s\nto see it again: hubspoke-lab storm --seed %d --from %d %s\nits log:\n%s",
		v.Hop, v.Seed, v.What, v.Stage, v.Seed, v.Hop, v.Again, v.Log)
}

// Summary is what a storm came to.
type Summary struct {
	Hops, Good, Failed, Cancelled int
	Faults                        map[string]int // that the lab was told, by kind
	Stages                        map[string]int // at which hops failed, as their annotation names it
	Requests, Retries             int
	Longest                       time.Duration // of one hop beyond its timeout; 0 when none went beyond
	AtOnce                        int           // hops, or calls, at most
	Took                          time.Duration
}

// again are the options of the command for n hops.
func (o Options) again(n int) string {
	if o.processes {
		return fmt.Sprintf("--hops 0 --processes %d", n)
	}
	return fmt.Sprintf("--hops %d", n)
}

// roundOf is how many hops are walked until everything stops and goroutines are counted.
const roundOf = 1000

// Run walks the hops. The error is a *Violation, or of what could not be set up.
func Run(ctx context.Context, o Options) (Summary, error) {
	start := time.Now()
	total := Summary{Faults: map[string]int{}, Stages: map[string]int{}, AtOnce: min(o.Workers, o.Hops)}
	lag := newLag()
	defer lag.close()
	var workers []*worker
	for i := range o.Workers {
		w, err := newWorker(o, i)
		if err != nil {
			return total, err
		}
		defer w.close()
		w.lag = lag
		workers = append(workers, w)
	}
	if _, err := workers[0].walk(ctx, -1, calm()); err != nil { // what is made once and kept, before goroutines are counted
		return total, err
	}
	for first := 0; first < o.Hops; first += roundOf {
		before := runtime.NumGoroutine()
		if err := round(ctx, o, workers, first, &total); err != nil {
			return total, err
		}
		if err := settle(before); err != nil {
			return total, &Violation{Hop: o.From + first, Seed: o.Seed, Stage: fmt.Sprintf("%d hops from here on", min(roundOf, o.Hops-first)), What: err.Error(), Again: o.again(min(roundOf, o.Hops-first))}
		}
		if o.Told != nil {
			o.Told(total.Hops)
		}
	}
	total.Took = time.Since(start)
	return total, ctx.Err()
}

// round walks up to roundOf hops from first on, and gives the first violation.
func round(ctx context.Context, o Options, workers []*worker, first int, total *Summary) error {
	var next atomic.Int64
	next.Store(int64(first))
	end := int64(min(first+roundOf, o.Hops))
	var mu sync.Mutex
	var violation error
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= end || ctx.Err() != nil {
					return
				}
				weather := drawn(o.Seed, o.From+int(n))
				outcome, err := w.walk(ctx, o.From+int(n), weather)
				mu.Lock()
				if err != nil && violation == nil {
					violation = err
					next.Store(end)
				}
				total.add(weather, outcome)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return violation
}

// settle waits for goroutines that are still ending, and gives an error when there stay more than before.
func settle(before int) error {
	now := 0
	for range 300 {
		if now = runtime.NumGoroutine(); now <= before {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 64<<10)
	return fmt.Errorf("%d goroutines were there before and %d are now:\n%s", before, now, stacks[:runtime.Stack(stacks, true)])
}

func (s *Summary) add(w weather, o outcome) {
	s.Hops++
	switch {
	case o.status == 0:
		s.Good++
	case o.ended:
		s.Cancelled++
	default:
		s.Failed++
	}
	for _, f := range w.faults {
		s.Faults[f.Kind]++
	}
	if o.stage != "" {
		s.Stages[o.stage]++
	}
	s.Requests += o.requests
	s.Retries += o.retries
	s.Longest = max(s.Longest, o.beyond)
}

// worker walks one hop at a time, with a lab of each hop's own behind servers that stay.
type worker struct {
	o      Options
	dir    string
	fronts []*front // of the issuer and of STS
	lag    *lag
}

func newWorker(o Options, i int) (*worker, error) {
	w := &worker{o: o, dir: filepath.Join(o.Dir, fmt.Sprintf("worker-%d", i))}
	for range 2 {
		f, err := newFront()
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.fronts = append(w.fronts, f)
	}
	return w, os.MkdirAll(w.dir, 0o755)
}

func (w *worker) close() error {
	var errs []error
	for _, f := range w.fronts {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

// outcome is what a hop came to.
type outcome struct {
	status            int
	stage             string // at which it failed; empty for one that did not, or was killed
	ended             bool   // from outside, before it was done or not
	requests, retries int
	beyond            time.Duration // how long the step went on behind its timeout
}

// walk walks one hop in the weather.
func (w *worker) walk(ctx context.Context, n int, weather weather) (outcome, error) {
	l := lab.New(w.o.World, lab.Options{})
	l.Advance(weather.skew)
	for _, f := range weather.faults {
		l.Fail(f)
	}
	issuer, sts := w.fronts[0].serve(l.Issuer(), weather.issuer), w.fronts[1].serve(l.STS(), weather.sts)
	job, err := l.Job(weather.job)
	if err != nil {
		return outcome{}, err
	}
	dir := filepath.Join(w.dir, fmt.Sprintf("hop-%d", n))
	user := 0
	if w.o.processes {
		user = owner()
	}
	j, err := newJob(dir, user)
	if err != nil {
		return outcome{}, err
	}
	env := l.RequestEnv(issuer, job)
	maps.Copy(env, j.env)
	env["INPUT_STS-ENDPOINT"] = sts
	if weather.issuer == securely || weather.sts == securely {
		env["INPUT_CA-BUNDLE"] = w.fronts[0].certificate
	}
	for name, value := range weather.inputs {
		env["INPUT_"+name] = value
	}
	stopMischief := j.mischief(weather)
	if weather.jump != 0 {
		timer := time.AfterFunc(weather.when, func() { l.Advance(weather.jump) })
		defer timer.Stop()
	}

	storm := ctx
	ctx, cancel := context.WithCancelCause(storm)
	defer cancel(nil)
	if weather.cancelAfter > 0 {
		timer := time.AfterFunc(weather.cancelAfter, func() { cancel(fmt.Errorf("interrupt signal received: %w", context.Canceled)) })
		defer timer.Stop()
	}
	var log lockedBuffer
	start, lost := time.Now(), w.lag.total()
	with := action.Options{Version: "storm", HostTemp: j.temp, Program: w.o.Program}
	var status int
	var stderr string
	var end death
	if w.o.processes && n >= 0 {
		end = drawnDeath(w.o.Seed, n)
		status, stderr, err = w.process(ctx, &log, env, with, end)
	} else {
		status = action.Run(ctx, &log, func(name string) string { return env[name] }, with)
	}
	if err != nil {
		return outcome{}, err
	}
	took := time.Since(start) - (w.lag.total() - lost)
	stopMischief()
	if storm.Err() != nil { // somebody ended the storm, and that is no violation
		return outcome{}, errors.Join(context.Cause(storm), os.RemoveAll(dir))
	}

	o := outcome{status: status, stage: stageOf(status, log.String()), ended: weather.cancelAfter > 0 || end.signal != 0, retries: log.retries()}
	for _, c := range l.Counts() {
		o.requests += c.Requests
	}
	timeout := time.Duration(weather.timeout) * time.Second
	o.beyond = max(0, took-timeout)
	check := check{weather: weather, job: j, log: log.String(), stderr: stderr, status: status, secrets: l.Secrets(), holder: l.Holder, took: took, timeout: timeout, death: end}
	problems := check.all()
	for _, f := range w.fronts {
		if open := f.left(); open > 0 {
			problems = append(problems, fmt.Sprintf("%d connections are still open", open))
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return o, err
	}
	if len(problems) > 0 {
		return o, &Violation{Hop: n, Seed: w.o.Seed, Stage: weather.String() + end.String(), What: problems[0], Log: log.String(), Again: w.o.again(1)}
	}
	return o, nil
}

// stageOf is the stage at which a hop failed, as its annotation begins with it.
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
	return "reading what was asked for"
}

// lockedBuffer is a log that may still be written to when it is read, which would be a violation of its own.
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

// random is the source of hop n of a seed.
func random(seed uint64, n int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(n))) }

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
