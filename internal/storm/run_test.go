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

	"github.com/org/hubspoke-chain/internal/lab"
)

// storm is one run: of hops in this process, of hops as processes, or of calls of credential-process.
type storm struct {
	hops    int    // or calls, 1 or more
	seed    uint64 // of everything random; hop N of a seed has the same conditions however many hops run
	from    int    // number of the first hop
	workers int    // hops at a time
	dir     string // for the jobs' files; empty at first
	program string // path of hubspoke-chain
	world   *lab.World
	report  func(violation) // called for each violation, never concurrently

	processes  bool // each hop is a process of the program
	mu         sync.Mutex
	done       atomic.Int64 // hops or calls that have ended
	violations atomic.Int64
}

// violation is something that must never happen, and did.
type violation struct {
	conditions string
	what       string
	log        string // of the step
	rerun      string // flags that repeat it
}

func (v violation) String() string {
	return fmt.Sprintf("%s\nconditions: %s\nto repeat: go test ./internal/storm -run TestStorm -v %s\nlog:\n%s",
		v.what, v.conditions, v.rerun, v.log)
}

// maxViolations ends a storm: what follows is most likely the same bug.
const maxViolations = 10

func (s *storm) violated(v violation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations.Add(1)
	s.report(v)
}

// ended reports whether no further hop starts.
func (s *storm) ended(ctx context.Context) bool {
	return ctx.Err() != nil || s.violations.Load() >= maxViolations
}

// rerun returns the flags that repeat n hops from the given one on.
func (s *storm) rerun(from, n int) string {
	if s.processes {
		return fmt.Sprintf("-seed %d -from %d -hops 0 -processes %d -calls 0", s.seed, from, n)
	}
	return fmt.Sprintf("-seed %d -from %d -hops %d -processes 0 -calls 0", s.seed, from, n)
}

// summary is the outcome of a storm.
type summary struct {
	hops, succeeded, failed, canceled int
	faults                            map[string]int // in the lab, by kind
	stages                            map[string]int // at which hops failed, as their annotations name them
	requests, retries                 int
	longest                           time.Duration // that a hop ran after its timeout
	concurrent                        int           // hops or calls, at most
	took                              time.Duration
}

// roundOf is the number of hops after which all workers stop and goroutines are counted.
const roundOf = 1000

// run runs the hops. It reports violations; its error is one of the setup, or the context's.
func (s *storm) run(ctx context.Context) (summary, error) {
	start := time.Now()
	total := summary{faults: map[string]int{}, stages: map[string]int{}, concurrent: min(s.workers, s.hops)}
	lag := newLag()
	defer lag.close()
	var workers []*worker
	for i := range s.workers {
		w, err := newWorker(s, i)
		if err != nil {
			return total, err
		}
		defer w.close()
		w.lag = lag
		workers = append(workers, w)
	}
	// The first hop makes what is made once and kept, before goroutines are counted.
	if _, err := workers[0].hop(ctx, -1, noFaults()); err != nil {
		return total, err
	}
	for first := 0; first < s.hops && !s.ended(ctx); first += roundOf {
		before := runtime.NumGoroutine()
		if err := s.round(ctx, workers, first, &total); err != nil {
			return total, err
		}
		if err := settle(before); err != nil {
			n := min(roundOf, s.hops-first)
			s.violated(violation{conditions: fmt.Sprintf("%d hops", n), what: err.Error(), rerun: s.rerun(s.from+first, n)})
		}
	}
	total.took = time.Since(start)
	return total, ctx.Err()
}

// round runs up to roundOf hops from the given one on.
func (s *storm) round(ctx context.Context, workers []*worker, first int, total *summary) error {
	var next atomic.Int64
	next.Store(int64(first))
	end := int64(min(first+roundOf, s.hops))
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= end || s.ended(ctx) {
					return
				}
				conditions := randomConditions(s.seed, s.from+int(n))
				outcome, err := w.hop(ctx, s.from+int(n), conditions)
				mu.Lock()
				if err != nil && failed == nil {
					failed = err
					next.Store(end)
				}
				total.add(conditions, outcome)
				mu.Unlock()
				s.done.Add(1)
			}
		})
	}
	all.Wait()
	return failed
}

// settle waits for goroutines that are still ending. It returns an error when more remain than there were before.
func settle(before int) error {
	now := 0
	for range 300 {
		if now = runtime.NumGoroutine(); now <= before {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 64<<10)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return fmt.Errorf("there were %d goroutines before and there are %d now:\n%s", before, now, stacks)
}

func (s *summary) add(c conditions, o outcome) {
	s.hops++
	switch {
	case o.status == 0:
		s.succeeded++
	case o.interrupted:
		s.canceled++
	default:
		s.failed++
	}
	for _, f := range c.faults {
		s.faults[f.Kind]++
	}
	if o.stage != "" {
		s.stages[o.stage]++
	}
	s.requests += o.requests
	s.retries += o.retries
	s.longest = max(s.longest, o.late)
}

// String returns the summary for a person.
func (s summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d in %s, up to %d at a time: %d succeeded, %d failed, %d were canceled or killed\n",
		s.hops, s.took.Round(time.Second), s.concurrent, s.succeeded, s.failed, s.canceled)
	fmt.Fprintf(&b, "%d requests", s.requests)
	if s.stages != nil {
		fmt.Fprintf(&b, ", %d retries; the longest ran for %s after its timeout", s.retries, s.longest.Round(time.Millisecond))
	}
	for _, c := range []struct {
		what   string
		counts map[string]int
	}{{"failed while", s.stages}, {"faults", s.faults}} {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(c.counts)) {
			all = append(all, fmt.Sprintf("%s %d", name, c.counts[name]))
		}
		if len(all) > 0 {
			fmt.Fprintf(&b, "\n%s: %s", c.what, strings.Join(all, ", "))
		}
	}
	return b.String()
}

// worker runs one hop at a time. Each hop has a lab of its own, behind endpoints that the worker keeps.
type worker struct {
	*storm
	dir         string
	issuer, sts *endpoint
	lag         *lag
}

func newWorker(s *storm, i int) (*worker, error) {
	w := &worker{storm: s, dir: filepath.Join(s.dir, fmt.Sprintf("worker-%d", i))}
	for _, e := range []**endpoint{&w.issuer, &w.sts} {
		var err error
		if *e, err = newEndpoint(); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, os.MkdirAll(w.dir, 0o755)
}

func (w *worker) close() error {
	var errs []error
	for _, e := range []*endpoint{w.issuer, w.sts} {
		if e != nil {
			errs = append(errs, e.close())
		}
	}
	return errors.Join(errs...)
}

// random returns the source of random numbers for hop n of a seed.
func random(seed uint64, n int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(n))) }

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
