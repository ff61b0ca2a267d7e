package fleet

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// TestPage holds the committed page and plot to the command that writes them.
func TestPage(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"fleet.md": Report(1), "fleet.svg": Plot(1)} {
		got, err := os.ReadFile("../../docs/" + name)
		if err != nil || string(got) != want {
			t.Errorf("docs/%s is not what the command writes (%v): go run ./cmd/hubspoke-lab fleet --out docs", name, err)
		}
	}
}

// TestOursIsBest compares what docs/fleet.md says of the retry with what is simulated, for seeds that it was not
// chosen by: at no pressure do more jobs succeed with another, but for 2 % of them. Chance makes some of
// that; the rest is that without jitter half a point more succeed at pressures of 1.5 and 2, which the page says.
func TestOursIsBest(t *testing.T) {
	t.Parallel()
	succeed := func(jobs int, pressure float64, spread time.Duration, p Policy) (n int) {
		for seed := range uint64(4) {
			n += Run(Scenario{jobs, pressure, spread, 100 + seed}, p).Succeeded
		}
		return n
	}
	compare := func(jobs int, spread time.Duration, pressures []float64) {
		for _, pressure := range pressures {
			ours := succeed(jobs, pressure, spread, Policies[0])
			for _, p := range Policies[1:] {
				if other := succeed(jobs, pressure, spread, p); float64(other) > 1.02*float64(ours) {
					t.Errorf("%d jobs in %s, pressure %g: %d succeed, and %d with %s", jobs, spread, pressure, ours, other, p.Name)
				}
			}
		}
	}
	for _, jobs := range sizes {
		compare(jobs, time.Minute, inTable)
	}
	compare(sizes[0], time.Second, atOnce)
}

// TestSDK holds the SDK's waits, as they are simulated, to the SDK.
func TestSDK(t *testing.T) {
	t.Parallel()
	standard := retry.NewStandard()
	if standard.MaxAttempts() != 3 {
		t.Errorf("the SDK makes %d attempts", standard.MaxAttempts())
	}
	r := rand.New(rand.NewPCG(1, 2))
	for attempt := 1; attempt <= 4; attempt++ {
		var ours, theirs, longest time.Duration
		const n = 4000
		for range n {
			wait, err := standard.RetryDelay(attempt, &smithy.GenericAPIError{Code: "Throttling"})
			if err != nil {
				t.Fatal(err)
			}
			theirs += wait / n
			longest = max(longest, wait)
			ours += SDKDelay(r, attempt) / n
		}
		if ratio := ours.Seconds() / theirs.Seconds(); ratio < 0.93 || ratio > 1.07 || longest > time.Second<<(attempt-1) {
			t.Errorf("behind attempt %d the SDK waits %s on average and up to %s, the simulation %s", attempt, theirs, longest, ours)
		}
	}
}

// TestRun is scenarios whose outcome is known.
func TestRun(t *testing.T) {
	t.Parallel()
	never := Policy{"never", 1, SDKDelay}
	if r := Run(Scenario{1000, 0.1, time.Minute, 1}, never); r.Succeeded != 1000 || r.Requests != 2000 || r.P50 < 2*fastest || r.P99 > 2*slowest {
		t.Errorf("without pressure: %+v", r)
	}
	r := Run(Scenario{10000, 4, time.Minute, 1}, never)
	if took := r.Requests; took < 10000 || r.Succeeded > 2500 || r.Succeeded < 300 {
		t.Errorf("without retries, a quarter of what is asked for: %+v", r)
	}
	if a, b := Run(Scenario{100, 2, time.Minute, 5}, Policies[0]), Run(Scenario{100, 2, time.Minute, 5}, Policies[0]); a != b {
		t.Errorf("%+v once and %+v then", a, b)
	}
	if r := Run(Scenario{100, 1e9, time.Minute, 1}, Policies[0]); r.Succeeded != 0 || r.P50 != 0 || r.Requests != 500 {
		t.Errorf("an STS that takes nothing: %+v", r)
	}
}
