package hop

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSeveralSpokes(t *testing.T) {
	t.Parallel()
	h, r := newHops(t, 100, func(_ int, granted response) []response { return []response{granted} })
	r.slow = 5 * time.Millisecond
	var exported []Session
	h.Export = func(spokes []Session) error { exported = spokes; return nil }
	reached := 0 // by Reached, without a lock: the race detector watches
	h.Reached = func(Stage, Session, time.Duration) { reached++ }
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, s := range exported {
		if want := fmt.Sprintf("ASIASPOKESPOKE%06d", i); s.Role != h.Spokes[i] || s.Credentials.AccessKeyID.Reveal() != want {
			t.Errorf("spoke %d is %s with %s, want %s with %s", i, s.Role, s.Credentials.AccessKeyID.Reveal(), h.Spokes[i], want)
		}
	}
	if len(exported) != 100 || reached != 104 || len(r.requests) != 103 {
		t.Errorf("%d were exported, %d stages reached and %d requests made; want 100, 104 and 103", len(exported), reached, len(r.requests))
	}
	for i, request := range r.requests {
		if want := map[string]string{"AssumeRole": hubID}[request.Get("Action")]; r.signers[i] != want {
			t.Errorf("%s is signed by %q, want %q", request.Get("Action"), r.signers[i], want)
		}
	}
	if most := r.most.Load(); most < 2 || most > maxConcurrent {
		t.Errorf("%d requests at a time, want several and at most %d", most, maxConcurrent)
	}
}

// TestPackedHub has AWS refuse policies as too large that name more than a few roles.
func TestPackedHub(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		spokes, room int
		want         []int // roles in the policies of the hub calls, largest first
	}{
		{35, 20, []int{35, 18, 17}},
		{35, 10, []int{35, 18, 17, 9, 9, 9, 8}},
		{3, 1, []int{3, 2, 1, 1, 1}},
		{60, 30, []int{42, 21, 21, 18}},
		{60, 60, []int{42, 18}},
	} {
		h, r := newHops(t, test.spokes, func(_ int, granted response) []response { return []response{granted} })
		r.room = test.room
		var exported, reached int
		h.Export = func(spokes []Session) error { exported = len(spokes); return nil }
		h.Reached = func(stage Stage, s Session, _ time.Duration) {
			if stage == StageHub {
				reached += s.Spokes
			}
		}
		if err := h.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if exported != test.spokes || reached != test.spokes {
			t.Errorf("%d spokes, %d at a time: %d were exported, and hub sessions are for %d", test.spokes, test.room, exported, reached)
		}
		var got []int
		for _, request := range r.requests {
			if policy := request.Get("Policy"); request.Get("Action") == "AssumeRoleWithWebIdentity" {
				got = append(got, strings.Count(policy, ":role/"))
			}
		}
		slices.Sort(got)
		slices.Reverse(got)
		if !slices.Equal(got, test.want) || len(r.requests) != test.spokes+len(test.want) {
			t.Errorf("%d spokes, %d at a time: %d requests, the hub's for %d roles, want %d", test.spokes, test.room, len(r.requests), got, test.want)
		}
	}
	tooLarge := refusal(400, "PackedPolicyTooLarge", "Packed size of session policy consumes 112% of allotted space.")
	h, r := newHop(t, tooLarge)
	err := h.run(t.Context())
	if want := "assuming hub role " + hubRole + ": PackedPolicyTooLarge: Packed size of session policy consumes 112% of allotted space. (request 1f2e)"; text(err) != want || calls(r.events) != "hub" {
		t.Errorf("one role: called %s\ngot  %v\nwant %s", calls(r.events), err, want)
	}
	h, r = newHop(t, tooLarge)
	h.Spokes = append(h.Spokes, h.Spokes[0])
	if err := h.run(t.Context()); err == nil || calls(r.events) != "hub" {
		t.Errorf("one role, twice: called %s: %v", calls(r.events), err)
	}
}

// TestSameRole has one role twice, as two profiles may: it is named once, and assumed for each.
func TestSameRole(t *testing.T) {
	t.Parallel()
	h, r := newHop(t, hubGranted(), spokeGranted(), spokeGranted())
	h.Spokes = append(h.Spokes, h.Spokes[0])
	var exported []Session
	h.Export = func(spokes []Session) error { exported = spokes; return nil }
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(exported) != 2 || exported[1].Role != h.Spokes[0] || calls(r.events) != "hub spoke spoke" {
		t.Errorf("called %s and exported %d sessions", calls(r.events), len(exported))
	}
	if got := strings.Count(r.requests[0].Get("Policy"), ":role/"); got != 1 {
		t.Errorf("the policy names %d roles", got)
	}
}

// TestBatchesDoNotWait holds back one batch's hub session until a spoke of another batch is assumed.
func TestBatchesDoNotWait(t *testing.T) {
	t.Parallel()
	h, r := newHops(t, 60, func(_ int, granted response) []response { return []response{granted} })
	assumed := make(chan struct{})
	var once sync.Once
	h.Reached = func(stage Stage, _ Session, _ time.Duration) {
		if stage == StageSpoke {
			once.Do(func() { close(assumed) })
		}
	}
	r.hold = func(form url.Values) {
		if !strings.Contains(form.Get("Policy"), h.Spokes[0].String()) {
			return
		}
		select {
		case <-assumed:
		case <-time.After(5 * time.Second):
			t.Error("no spoke is assumed before all hub sessions have arrived")
		}
	}
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestBatchesFail has the hub refused for every batch in the same words, which are reported once, and for one of them.
func TestBatchesFail(t *testing.T) {
	t.Parallel()
	refused := func(id string) response {
		a := refusal(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
		a.body = strings.Replace(a.body, "1f2e", id, 1)
		return a
	}
	h, r := newHops(t, 100, func(_ int, granted response) []response { return []response{granted} })
	r.responses = []response{refused("1"), refused("2"), refused("3")}
	err := h.run(t.Context())
	var one *Error
	if !errors.As(err, &one) || strings.Contains(text(err), "\n") || one.Role != hubRole || !one.HasCode("AccessDenied") || calls(r.events) != "hub hub hub" {
		t.Errorf("called %s: %v", calls(r.events), err)
	}

	h, r = newHops(t, 100, func(_ int, granted response) []response { return []response{granted} })
	r.responses = []response{hubGranted(), refused("1"), hubGranted()}
	err = h.run(t.Context())
	if want := "assuming hub role " + hubRole + ": AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity (request 1)"; text(err) != want {
		t.Errorf("got  %s\nwant %s", text(err), want)
	}
	if slices.Contains(r.events, "export") {
		t.Error("the spokes of two batches were exported")
	}
}

// TestBatchesNewToken has the token expire for every batch: one other token replaces it.
func TestBatchesNewToken(t *testing.T) {
	t.Parallel()
	h, r := newHops(t, 100, func(_ int, granted response) []response { return []response{granted} })
	r.expired = idToken + "1"
	calls := 0 // without a lock: the race detector watches
	token := h.Token
	h.Token = func(ctx context.Context, audience string) (string, error) { calls++; return token(ctx, audience) }
	h.Hooks.Tags = func() []Tag { calls++; return nil }
	h.Mask = func(string) { calls++ }
	h.Reached = func(Stage, Session, time.Duration) { calls++ }
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	requested := slices.DeleteFunc(slices.Clone(r.events), func(e string) bool { return !strings.HasPrefix(e, "token ") })
	if len(requested) != 2 || len(r.requests) != 106 || calls != 2+1+2+3*103+2+103 {
		t.Errorf("%d tokens, %d requests and %d calls of the hop's functions, want 2, 106 and 419", len(requested), len(r.requests), calls)
	}
}

func TestSeveralFail(t *testing.T) {
	t.Parallel()
	h, r := newHops(t, 5, func(i int, granted response) []response {
		if i == 1 || i == 3 {
			return []response{refusal(403, "AccessDenied", "no")}
		}
		return []response{granted}
	})
	err := h.run(t.Context())
	want := "assuming spoke role arn:aws:iam::300000000001:role/deploy: AccessDenied: no (request 1f2e)\n" +
		"assuming spoke role arn:aws:iam::300000000003:role/deploy: AccessDenied: no (request 1f2e)"
	if text(err) != want {
		t.Errorf("got  %s\nwant %s", text(err), want)
	}
	var all Errors
	if !errors.As(err, &all) || len(all) != 2 || !all[0].HasCode("AccessDenied") {
		t.Errorf("%T is not the two failures", err)
	}
	if slices.Contains(r.events, "export") {
		t.Error("three spokes of five were exported")
	}
	if got := len(r.requests); got != 6 {
		t.Errorf("%d requests, want the hub's and one for each spoke", got)
	}
}

// TestSeveralCanceled cancels the hop during the spoke calls: one cause is returned, and not one per spoke.
func TestSeveralCanceled(t *testing.T) {
	t.Parallel()
	h, r := newHops(t, 50, func(_ int, granted response) []response { return []response{granted} })
	ctx, cancel := context.WithCancelCause(t.Context())
	h.Mask = func(value string) {
		if strings.HasPrefix(value, "ASIASPOKE") {
			cancel(errors.New("interrupt signal received"))
		}
	}
	err := h.run(ctx)
	var one *Error
	if !errors.As(err, &one) || !strings.HasSuffix(text(err), ": interrupt signal received") || strings.Contains(text(err), "\n") {
		t.Errorf("got %v", err)
	}
	r.mu.Lock() // canceled requests may still be running there
	defer r.mu.Unlock()
	if slices.Contains(r.events, "export") {
		t.Error("exported")
	}
}
