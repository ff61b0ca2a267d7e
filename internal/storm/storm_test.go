// Package storm tests the action and credential-process under random faults: the lab misbehaves, the runner's files
// are damaged, steps are canceled and processes are killed. After each hop it checks what must hold whatever happens:
//
//   - no secret is in the log before its mask, or anywhere that is not meant for it;
//   - the exports are complete or absent, and belong to the requested roles;
//   - the exit status and the annotations agree;
//   - no step runs for more than a second after its timeout;
//   - no connection, file or goroutine is left.
//
// It has no product code. "go test ./..." runs a few hops; the flags of TestStorm run more.
package storm

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
)

var (
	hopsFlag      = flag.Int("hops", 150, "TestStorm: `N` hops in the test's process")
	processesFlag = flag.Int("processes", 48, "TestStorm: `N` hops, each a process that may get SIGINT, SIGTERM or SIGKILL")
	callsFlag     = flag.Int("calls", 24, "TestStorm: `N` calls of credential-process, eight at a time on one chain file")
	seedFlag      = flag.Uint64("seed", 1, "TestStorm: seed `S` of everything random")
	fromFlag      = flag.Int("from", 0, "TestStorm: number `N` of the first hop, to repeat one")
	workersFlag   = flag.Int("workers", 16, "TestStorm: `N` hops at a time")
)

// TestStorm runs hops under random conditions, and fails at each violation. With -v it prints its progress:
//
//	go test ./internal/storm -run TestStorm -v -timeout 0 -hops 100000 -processes 500 -calls 500 -seed 1
func TestStorm(t *testing.T) {
	if min(*hopsFlag, *processesFlag, *callsFlag, *fromFlag) < 0 || *workersFlag < 1 || *workersFlag > 1000 {
		t.Fatal("-hops, -processes, -calls and -from are 0 or more, -workers is 1 to 1000")
	}
	root := openDir(t)
	program := filepath.Join(root, "hubspoke-chain")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/hubspoke-chain").CombinedOutput(); err != nil {
		t.Fatalf("building hubspoke-chain: %v\n%s", err, out)
	}
	for _, part := range []struct {
		name string
		n    int
		run  func(*storm, context.Context) (summary, error)
	}{
		{"hops", *hopsFlag, (*storm).run},
		{"processes", *processesFlag, (*storm).runProcesses},
		{"calls", *callsFlag, (*storm).runCalls},
	} {
		if part.n == 0 {
			continue
		}
		t.Run(part.name, func(t *testing.T) {
			s := &storm{hops: part.n, seed: *seedFlag, from: *fromFlag, workers: *workersFlag, program: program,
				dir: filepath.Join(root, part.name), world: exampleWorld(t), report: func(v violation) { t.Error(v) }}
			if err := os.Mkdir(s.dir, 0o755); err != nil {
				t.Fatal(err)
			}
			defer s.printProgress(t, part.name)()
			got, err := part.run(s, t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Log(got)
			if s.violations.Load() == 0 && got.hops < part.n {
				t.Errorf("%d ran, want %d", got.hops, part.n)
			}
			if got.succeeded+got.failed+got.canceled != got.hops {
				t.Errorf("the numbers do not add up: %+v", got)
			}
			if part.name == "hops" && part.n >= 150 && s.violations.Load() == 0 && got.mild() {
				t.Errorf("the conditions were too mild: %+v", got)
			}
		})
	}
}

// mild reports whether too little went wrong in 150 hops or more to show anything.
func (s summary) mild() bool {
	return s.succeeded < 10 || s.failed < 10 || s.canceled < 3 || len(s.faults) < 20 || s.requests < s.hops || s.retries < 10
}

// openDir returns a new directory that every user can enter: as root, the processes run as another user.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "storm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func exampleWorld(t *testing.T) *lab.World {
	t.Helper()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	return world
}

// printProgress prints a line every few seconds with -v, until the returned function is called.
func (s *storm) printProgress(t *testing.T, what string) (stop func()) {
	if !testing.Verbose() {
		return func() {}
	}
	start, ticks := time.Now(), time.NewTicker(5*time.Second)
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stopped:
				return
			case <-ticks.C:
				done, violations := int(s.done.Load()), int(s.violations.Load())
				fmt.Fprintln(t.Output(), progress(what, done, s.hops, violations, time.Since(start)))
			}
		}
	}()
	return func() {
		ticks.Stop()
		close(stopped)
		<-ended
	}
}

// progress returns a line such as "1200 of 2000 hops, 85/s, 0 violations, 9s left".
func progress(what string, done, total, violations int, elapsed time.Duration) string {
	line := fmt.Sprintf("%d of %d %s, %.0f/s, %d violations", done, total, what, float64(done)/elapsed.Seconds(), violations)
	if done == 0 {
		return line
	}
	left := time.Duration(float64(elapsed) * float64(max(0, total-done)) / float64(done))
	return fmt.Sprintf("%s, %s left", line, left.Round(time.Second))
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		done    int
		elapsed time.Duration
		want    string
	}{
		{0, 5 * time.Second, "0 of 2000 hops, 0/s, 1 violations"},
		{1200, 15 * time.Second, "1200 of 2000 hops, 80/s, 1 violations, 10s left"},
		{2004, 20 * time.Second, "2004 of 2000 hops, 100/s, 1 violations, 0s left"},
	} {
		if got := progress("hops", test.done, 2000, 1, test.elapsed); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// Canceling a storm is no violation. This test and the next count goroutines, so they do not run in parallel with
// others.
func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	s := &storm{hops: 100_000, seed: 7, workers: 16, dir: t.TempDir(), program: "/bin/true", world: exampleWorld(t),
		report: func(v violation) { t.Error(v) }}
	if _, err := s.run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// Each violation is reported, and the storm ends after maxViolations of them.
func TestViolations(t *testing.T) {
	var reported []violation
	s := &storm{hops: 100_000, seed: 7, workers: 4, dir: t.TempDir(), program: "/bin/true", world: exampleWorld(t),
		report: func(v violation) { reported = append(reported, v) }}
	s.processes = true // /bin/true exits with status 0 and exports nothing
	got, err := s.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(reported) < maxViolations || got.hops > 1000 {
		t.Errorf("%d violations in %d hops", len(reported), got.hops)
	}
	for _, v := range reported {
		if v.rerun == "" || v.what == "" || v.conditions == "" {
			t.Errorf("an incomplete report: %v", v)
		}
	}
}
