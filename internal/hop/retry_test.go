package hop

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// TestSeveralThrottled throttles every spoke: 120 retries, more than one retryer of the SDK has tokens for.
func TestSeveralThrottled(t *testing.T) {
	t.Parallel()
	throttled := refusal(400, "Throttling", "Rate exceeded")
	h, r := newHops(t, 120, func(_ int, granted response) []response { return []response{throttled, granted} })
	h.Retrying = nil
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(r.requests); got != 243 {
		t.Errorf("%d requests, want 243", got)
	}
}

// TestThrottled checks the wait after each attempt, at both ends of its random part.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int][2]time.Duration{1: {2, 4}, 2: {4, 8}, 3: {8, 16}, 4: {16, 32}, 5: {16, 32}, 19: {16, 32}} {
		if low, high := ThrottleDelay(attempt, 0), ThrottleDelay(attempt, 1); low != want[0]*time.Second || high != want[1]*time.Second {
			t.Errorf("after attempt %d: %s to %s", attempt, low, high)
		}
	}
	r := retryer{retry.NewStandard(), time.Time{}, func(error, int, time.Duration) {}}
	for code, throttles := range map[string]bool{"Throttling": true, "ThrottlingException": true, "TooManyRequestsException": true, "RequestLimitExceeded": true, "SlowDown": true, "InternalFailure": false, "IDPCommunicationError": false} {
		shortest := time.Hour
		for range 50 {
			wait, err := r.RetryDelay(1, &smithy.GenericAPIError{Code: code})
			if err != nil {
				t.Fatal(err)
			}
			shortest = min(shortest, wait)
		}
		if got := shortest >= 2*time.Second; got != throttles {
			t.Errorf("%s: the shortest wait is %s", code, shortest)
		}
	}
}

// TestThrottledToTheLimit has less time than the shortest wait: AWS's response is returned at once, and not that
// the step timed out.
func TestThrottledToTheLimit(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 1900*time.Millisecond)
	defer cancel()
	h, r := newHop(t, hubGranted(), refusal(400, "Throttling", "Rate exceeded"))
	err := h.run(ctx)
	if want := "assuming spoke role " + spokeRole + ": Throttling: Rate exceeded (request 1f2e)"; text(err) != want || ctx.Err() != nil {
		t.Errorf("got %s, want %s, and before the timeout (%v)", text(err), want, ctx.Err())
	}
	if got := calls(r.events); got != "hub spoke" {
		t.Errorf("called %s, want one attempt and no wait", got)
	}
}

func TestRetriesAreOff(t *testing.T) {
	t.Parallel()
	for _, first := range []response{refusal(400, "Throttling", "Rate exceeded"), refusal(400, "ExpiredTokenException", "Token expired"), {502, "<html>"}} {
		h, r := newHop(t, first, hubGranted(), spokeGranted())
		h.MaxAttempts = 1
		if err := h.run(t.Context()); err == nil || calls(r.events) != "hub" {
			t.Errorf("called %s: %v, want one attempt and its error", calls(r.events), err)
		}
	}
}

// TestNewToken shows that the second attempt of an expired token sends another one.
func TestNewToken(t *testing.T) {
	t.Parallel()
	h, r := newHop(t, refusal(400, "ExpiredTokenException", "Token expired"), hubGranted(), spokeGranted())
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := []string{r.requests[0].Get("WebIdentityToken"), r.requests[1].Get("WebIdentityToken")}; !slices.Equal(got, []string{"eyJ.eyJ.sig1", "eyJ.eyJ.sig2"}) {
		t.Errorf("sent %q", got)
	}
	if i := slices.Index(r.events, "mask eyJ.eyJ.sig2"); i < 0 || r.events[i+2] != "call AssumeRoleWithWebIdentity" {
		t.Errorf("the second token is not masked before it is used: %q", r.events)
	}
}
