package hop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/org/hubspoke-chain/internal/transport"
)

// The credentials that the recording server returns.
const (
	hubID, hubKey, hubToken       = "ASIAHUBHUBHUBHUB0001", "hub-key-hub-key-hub-key", "hub-token-hub-token"
	spokeID, spokeKey, spokeToken = "ASIASPOKESPOKESPO001", "spoke-key-spoke-key-spoke", "spoke-token-spoke-token"
	idToken                       = "eyJ.eyJ.sig"
)

var expires = time.Now().Add(time.Hour).UTC().Truncate(time.Second)

// response is a response of the recording server.
type response struct {
	status int
	body   string
}

func refusal(status int, code, message string) response {
	return response{status, "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>" + message + "</Message></Error><RequestId>1f2e</RequestId></ErrorResponse>"}
}

func granted(action, arn, id, key, token, expiration string) response {
	return response{200, fmt.Sprintf("<%[1]sResponse><%[1]sResult><AssumedRoleUser><AssumedRoleId>AROA:gh-1-1</AssumedRoleId><Arn>%s</Arn></AssumedRoleUser>"+
		"<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>"+
		"</%[1]sResult></%[1]sResponse>", action, arn, id, key, token, expiration)}
}

func hubGranted() response {
	return granted("AssumeRoleWithWebIdentity", "arn:aws:sts::123456789012:assumed-role/hub/gh-1-1", hubID, hubKey, hubToken, expires.Format(time.RFC3339))
}

func spokeGranted() response {
	return granted("AssumeRole", "arn:aws:sts::222222222222:assumed-role/deploy/gh-1-1", spokeID, spokeKey, spokeToken, expires.Format(time.RFC3339))
}

// recording is an STS endpoint that returns the given responses and keeps the requests, with everything else that the
// hop does.
type recording struct {
	mu        sync.Mutex
	responses []response
	byRole    map[string][]response // of a role, instead of the next of responses
	hold      func(url.Values)      // called with each request before its response; nil for nothing
	expired   string                // a token that is refused as such
	room      int                   // roles that a hub session's policy may name before it is too large; 0 for any number
	inFlight  atomic.Int32
	most      atomic.Int32 // requests at a time
	slow      time.Duration
	events    []string
	requests  []url.Values
	signers   []string // the access key id of each request's signature
}

func (r *recording) event(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *recording) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.most.Store(max(r.most.Load(), r.inFlight.Add(1)))
	defer r.inFlight.Add(-1)
	time.Sleep(r.slow)
	body, _ := io.ReadAll(request.Body)
	form, _ := url.ParseQuery(string(body))
	r.event("call %s", form.Get("Action"))
	if r.hold != nil {
		r.hold(form)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, signer, _ := strings.Cut(request.Header.Get("Authorization"), "Credential=")
	signer, _, _ = strings.Cut(signer, "/")
	r.requests, r.signers = append(r.requests, form), append(r.signers, signer)
	next := response{500, "no response left"}
	role := form.Get("RoleArn")
	switch named := strings.Count(form.Get("Policy"), ":role/"); {
	case r.expired != "" && form.Get("WebIdentityToken") == r.expired:
		next = refusal(400, "ExpiredTokenException", "Token expired")
	case r.room > 0 && named > r.room:
		next = refusal(400, "PackedPolicyTooLarge", "Packed size of session policy consumes 112% of allotted space.")
	case len(r.byRole[role]) > 0:
		next, r.byRole[role] = r.byRole[role][0], r.byRole[role][1:]
	case len(r.responses) > 0:
		next, r.responses = r.responses[0], r.responses[1:]
	}
	w.WriteHeader(next.status)
	io.WriteString(w, next.body)
}

// setup is what Run takes.
type setup struct {
	Plan
	Hooks
	network transport.Network
}

func (s setup) run(ctx context.Context) error { return Run(ctx, s.Plan, s.network, s.Hooks) }

// newHop returns a hop to a recording server, with one spoke and a new token for each request of one.
func newHop(t *testing.T, responses ...response) (setup, *recording) {
	t.Helper()
	r := &recording{responses: responses}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	requested := 0
	h := setup{
		Plan: Plan{
			Region:          "us-east-1",
			Hub:             roles(hubRole)[0],
			Spokes:          roles(spokeRole),
			SessionName:     "gh-1-1",
			Audience:        "sts.amazonaws.com",
			DurationSeconds: 3600,
			Endpoint:        server.URL,
			MaxAttempts:     3,
			TimeoutSeconds:  60,
		},
		Hooks: Hooks{
			Token: func(_ context.Context, audience string) (string, error) {
				requested++
				r.event("token for %s", audience)
				return fmt.Sprintf("%s%d", idToken, requested), nil
			},
			Mask:     func(value string) { r.event("mask %s", value) },
			Export:   func([]Session) error { r.event("export"); return nil },
			Reached:  func(stage Stage, _ Session, _ time.Duration) { r.event("reached %s", stage) },
			Retrying: func(err *Error, attempt int, _ time.Duration) { r.event("retry %d of %s", attempt, err.Code) },
			Dropped:  func(_ ARN, keys []string) { r.event("dropped %s", strings.Join(keys, " ")) },
		},
	}
	if problems := h.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	return h, r
}

// walk is what a hop that succeeds does, in order.
var walk = []string{
	"token for sts.amazonaws.com", "mask eyJ.eyJ.sig1", "reached requesting the ID token", "tags",
	"call AssumeRoleWithWebIdentity", "mask " + hubID, "mask " + hubKey, "mask " + hubToken, "reached assuming hub role",
	"call AssumeRole", "mask " + spokeID, "mask " + spokeKey, "mask " + spokeToken, "reached assuming spoke role",
	"export",
}

func TestRun(t *testing.T) {
	t.Parallel()
	h, r := newHop(t, hubGranted(), spokeGranted())
	h.Hooks.Tags = func() []Tag {
		r.event("tags")
		return []Tag{{Key: "Repository", Value: "o/r"}, {Key: "Job", Value: "j", Droppable: true}, {Key: "Team", Value: "pay"}}
	}
	h.TransitiveTagKeys = []string{"team", "Absent"}
	h.SourceIdentity, h.ExternalID = "alice", "ext/1"
	h.Policy, h.PolicyARNs = `{"Statement":[]}`, []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}
	h.Export = func(spokes []Session) error {
		r.event("export")
		s := spokes[0]
		c := s.Credentials
		if len(spokes) != 1 || s.Role != h.Spokes[0] || s.ARN != "arn:aws:sts::222222222222:assumed-role/deploy/gh-1-1" || len(s.Tags) != 3 ||
			c.AccessKeyID.Reveal() != spokeID || c.SecretAccessKey.Reveal() != spokeKey || c.SessionToken.Reveal() != spokeToken || !c.Expires.Equal(expires) || c.Expires.Location() != time.UTC {
			t.Errorf("exported %+v", spokes)
		}
		return nil
	}
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.events, walk) {
		t.Errorf("got  %q\nwant %q", r.events, walk)
	}
	want := []url.Values{
		{
			"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {hubRole}, "RoleSessionName": {"gh-1-1"},
			"DurationSeconds": {"900"}, "WebIdentityToken": {"eyJ.eyJ.sig1"},
			"Policy": {HubPolicy([]ARN{h.Spokes[0]})},
		},
		{
			"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {spokeRole}, "RoleSessionName": {"gh-1-1"}, "DurationSeconds": {"3600"},
			"SourceIdentity": {"alice"}, "ExternalId": {"ext/1"}, "Policy": {`{"Statement":[]}`}, "PolicyArns.member.1.arn": {"arn:aws:iam::aws:policy/ReadOnlyAccess"},
			"Tags.member.1.Key": {"Repository"}, "Tags.member.1.Value": {"o/r"}, "Tags.member.2.Key": {"Job"}, "Tags.member.2.Value": {"j"},
			"Tags.member.3.Key": {"Team"}, "Tags.member.3.Value": {"pay"}, "TransitiveTagKeys.member.1": {"Team"},
		},
	}
	if !reflect.DeepEqual(r.requests, want) {
		t.Errorf("got  %v\nwant %v", r.requests, want)
	}
	if !slices.Equal(r.signers, []string{"", hubID}) {
		t.Errorf("the requests are signed by %q, want the hub's unsigned and the spoke's by the hub", r.signers)
	}
}

func TestRunWithoutOptions(t *testing.T) {
	t.Parallel()
	h, r := newHop(t, hubGranted(), spokeGranted())
	h.Reached, h.Retrying, h.Dropped = nil, nil, nil
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {spokeRole}, "RoleSessionName": {"gh-1-1"}, "DurationSeconds": {"3600"}}
	if !reflect.DeepEqual(r.requests[1], want) {
		t.Errorf("got %v, want only what the plan names: %v", r.requests[1], want)
	}
}

// newHops returns a hop to n spokes, role deploy in accounts 300000000000 and on, with the responses for each.
func newHops(t *testing.T, n int, responses func(i int, granted response) []response) (setup, *recording) {
	t.Helper()
	h, r := newHop(t, slices.Repeat([]response{hubGranted()}, n)...)
	h.Spokes, r.byRole = nil, map[string][]response{}
	for i := range n {
		role := ARN{"aws", fmt.Sprintf("3%011d", i), "/", "deploy"}
		h.Spokes = append(h.Spokes, role)
		r.byRole[role.String()] = responses(i, granted("AssumeRole", role.Session("gh-1-1"), fmt.Sprintf("ASIASPOKESPOKE%06d", i), spokeKey, spokeToken, expires.Format(time.RFC3339)))
	}
	return h, r
}

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

// A response that echoes a secret, near the end of what is kept of a message or anywhere, shows none of it.
func TestEchoedSecret(t *testing.T) {
	t.Parallel()
	h, _ := newHop(t, refusal(400, "ValidationError", strings.Repeat("x", maxMessage-8)+idToken+"1"))
	if err := h.run(t.Context()); err == nil || strings.Contains(err.Error(), idToken[:4]) || !strings.Contains(err.Error(), "[secret]") {
		t.Errorf("got %v", err)
	}
	h, r := newHop(t, hubGranted(), refusal(400, "Throttling", "rate "+hubToken), refusal(403, hubKey, hubID+" and "+idToken+"1"))
	err := h.run(t.Context())
	if want := "assuming spoke role " + spokeRole + ": [secret]: [secret] and [secret] (request 1f2e)"; text(err) != want {
		t.Errorf("got %s, want %s", text(err), want)
	}
	for _, event := range r.events {
		if strings.Contains(event, hubToken) && !strings.HasPrefix(event, "mask ") {
			t.Errorf("a retry reports %q", event)
		}
	}
}

// TestEchoedHeader has an endpoint that redirects to an address with the token, which net/http quotes.
func TestEchoedHeader(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://idp:"+r.FormValue("WebIdentityToken")+"/")
		w.WriteHeader(http.StatusFound)
	}))
	defer server.Close()
	h, _ := newHop(t)
	h.Endpoint, h.MaxAttempts = server.URL, 1
	err := h.run(t.Context())
	if err == nil || strings.Contains(err.Error(), idToken) {
		t.Errorf("got %v", err)
	}
}

// TestFailure covers the ways in which a hop ends early, and its calls until then.
func TestFailure(t *testing.T) {
	t.Parallel()
	const hub, spoke = "assuming hub role " + hubRole + ": ", "assuming spoke role " + spokeRole + ": "
	key := refusal(400, "InvalidIdentityToken", "Couldn&#39;t retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	throttled := refusal(400, "Throttling", "Rate exceeded")
	for _, test := range []struct {
		name      string
		responses []response
		calls     string // and what was reported between them
		err       string // empty when the hop succeeds all the same
	}{
		{"the hub refuses", []response{refusal(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")}, "hub",
			hub + "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity (request 1f2e)"},
		{"the spoke refuses", []response{hubGranted(), refusal(403, "AccessDenied", "no")}, "hub spoke", spoke + "AccessDenied: no (request 1f2e)"},
		{"a validation error", []response{refusal(400, "ValidationError", "no")}, "hub", hub + "ValidationError: no (request 1f2e)"},
		{"no provider", []response{refusal(400, "InvalidIdentityToken", "The web identity token provided could not be validated.")}, "hub",
			hub + "InvalidIdentityToken: The web identity token provided could not be validated. (request 1f2e)"},
		{"the key text with another code", []response{refusal(403, "AccessDenied", "Couldn&#39;t retrieve verification key")}, "hub",
			hub + "AccessDenied: Couldn't retrieve verification key (request 1f2e)"},
		{"no key, once", []response{key, hubGranted(), spokeGranted()}, "hub retry(1,InvalidIdentityToken) hub spoke", ""},
		{"no key", []response{key, key, key}, "hub retry(1,InvalidIdentityToken) hub retry(2,InvalidIdentityToken) hub",
			hub + "InvalidIdentityToken: Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements (request 1f2e)"},
		{"the provider is slow", []response{refusal(400, "IDPCommunicationError", "slow"), hubGranted(), spokeGranted()}, "hub retry(1,IDPCommunicationError) hub spoke", ""},
		{"throttled", []response{hubGranted(), throttled, spokeGranted()}, "hub spoke retry(1,Throttling) spoke", ""},
		{"a gateway's page, once", []response{{502, "<html>"}, hubGranted(), spokeGranted()}, "hub retry(1,) hub spoke", ""},
		{"a gateway's page", []response{{503, "<html>"}, {503, "<html>"}, {503, "<html>"}}, "hub retry(1,) hub retry(2,) hub", hub + "the response is not one of AWS STS (HTTP 503)"},
		{"a page instead of a response", []response{{200, "<html><body>SecretAccessKey"}}, "hub", hub + "the response is not one of AWS STS (HTTP 200)"},
		{"text instead of a response", []response{{200, "hello"}}, "hub", hub + "the response lacks the role's session or its credentials"},
		{"a redirect", []response{{302, ""}}, "hub", hub + "the response is not one of AWS STS (HTTP 302)"},
		{"a response without an end", []response{{200, strings.Repeat(" ", transport.MaxResponse+1)}}, "hub", hub + "the response is larger than 1048576 bytes"},
		{"the token expired", []response{refusal(400, "ExpiredTokenException", "Token expired"), hubGranted(), spokeGranted()}, "hub retry(1,ExpiredTokenException) hub spoke", ""},
		{"the token expired twice", []response{refusal(400, "ExpiredTokenException", "Token expired"), refusal(400, "ExpiredToken", "Token expired")},
			"hub retry(1,ExpiredTokenException) hub", hub + "ExpiredToken: Token expired (request 1f2e)"},
		{"the hub session expired", []response{hubGranted(), refusal(403, "ExpiredToken", "expired")}, "hub spoke", spoke + "ExpiredToken: expired (request 1f2e)"},
		{"the tags are too large", []response{hubGranted(), refusal(400, "PackedPolicyTooLarge", "112%"), spokeGranted()}, "hub spoke dropped(RunId,Job) spoke", ""},
		{"the tags are too large without the droppable ones", []response{hubGranted(), refusal(400, "PackedPolicyTooLarge", "112%"), refusal(400, "PackedPolicyTooLargeException", "104%")},
			"hub spoke dropped(RunId,Job) spoke", spoke + "PackedPolicyTooLargeException: 104% (request 1f2e)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h, r := newHop(t, test.responses...)
			h.Hooks.Tags = func() []Tag {
				return []Tag{{Key: "RunId", Value: "1", Droppable: true}, {Key: "Repository", Value: "o/r"}, {Key: "Job", Value: "j", Droppable: true}}
			}
			err := h.run(t.Context())
			if text(err) != test.err {
				t.Errorf("got  %s\nwant %s", text(err), test.err)
			}
			if got := calls(r.events); got != test.calls {
				t.Errorf("called %s, want %s", got, test.calls)
			}
			if got := slices.Contains(r.events, "export"); got != (test.err == "") {
				t.Errorf("exported: %v", got)
			}
			var failure *Error
			if err != nil && !errors.As(err, &failure) {
				t.Errorf("%T is not an *Error", err)
			}
		})
	}
}

// calls shortens events to the requests and what happened between them.
func calls(events []string) string {
	var short []string
	for _, event := range events {
		kind, rest, _ := strings.Cut(event, " ")
		switch kind {
		case "call":
			short = append(short, map[string]string{"AssumeRoleWithWebIdentity": "hub", "AssumeRole": "spoke"}[rest])
		case "retry", "dropped":
			short = append(short, kind+"("+strings.ReplaceAll(strings.ReplaceAll(rest, " of ", ","), " ", ",")+")")
		}
	}
	return strings.Join(short, " ")
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

func TestWrongResponse(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:sts::222222222222:assumed-role/deploy/gh-1-1"
	const form = "the credentials in the response do not have the form that AWS uses"
	good := expires.Format(time.RFC3339)
	for _, test := range []struct {
		name, arn, id, key, token, expiration, err string
		masked                                     bool
	}{
		{"another account", "arn:aws:sts::999999999999:assumed-role/deploy/gh-1-1", spokeID, spokeKey, spokeToken, good,
			`the response is for "arn:aws:sts::999999999999:assumed-role/deploy/gh-1-1" instead of ` + arn, true},
		{"another role", "arn:aws:sts::222222222222:assumed-role/admin/gh-1-1", spokeID, spokeKey, spokeToken, good,
			`the response is for "arn:aws:sts::222222222222:assumed-role/admin/gh-1-1" instead of ` + arn, true},
		{"another session", arn + "0", spokeID, spokeKey, spokeToken, good, `the response is for "` + arn + `0" instead of ` + arn, true},
		{"an ARN of 3 kB", strings.Repeat("a", 3000), spokeID, spokeKey, spokeToken, good,
			`the response is for "` + strings.Repeat("a", 256) + `... (3000 bytes)" instead of ` + arn, true},
		{"expired already", arn, spokeID, spokeKey, spokeToken, "2020-01-01T00:00:00Z", "the credentials expired at 2020-01-01T00:00:00Z already (is the runner's clock right?)", true},
		{"a line end in the key", arn, spokeID, spokeKey + "\nAWS_REGION=x", spokeToken, good, form, false},
		{"a line end in the id", arn, spokeID + "\n", spokeKey, spokeToken, good, form, false},
		{"a line end in the token", arn, spokeID, spokeKey, spokeToken + "\nNODE_OPTIONS=x", good, form, false},
		{"a short key, whose mask would hide too much", arn, spokeID, "a", spokeToken, good, form, false},
		{"a short token", arn, spokeID, spokeKey, "a", good, form, false},
		{"no id", arn, "", spokeKey, spokeToken, good, form, false},
	} {
		h, r := newHop(t, hubGranted(), granted("AssumeRole", test.arn, test.id, test.key, test.token, test.expiration))
		err := h.run(t.Context())
		if want := "assuming spoke role " + spokeRole + ": " + test.err; text(err) != want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, text(err), want)
		}
		if slices.Contains(r.events, "export") {
			t.Errorf("%s: exported", test.name)
		}
		if got := slices.Contains(r.events, "mask "+test.key); got != test.masked {
			t.Errorf("%s: masked %v", test.name, got)
		}
	}
	for body, want := range map[string]string{
		"<AssumeRoleResponse></AssumeRoleResponse>":                                                                 "the response is not one of AWS STS (HTTP 200)",
		"<AssumeRoleResponse><AssumeRoleResult><Credentials></Credentials></AssumeRoleResult></AssumeRoleResponse>": "the response lacks the role's session or its credentials",
	} {
		h, _ := newHop(t, hubGranted(), response{200, body})
		if err := h.run(t.Context()); text(err) != "assuming spoke role "+spokeRole+": "+want {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
}

func TestTokenFails(t *testing.T) {
	t.Parallel()
	cause := errors.New("no token")
	h, r := newHop(t)
	h.Token = func(context.Context, string) (string, error) { return "", cause }
	err := h.run(t.Context())
	if text(err) != "requesting the ID token: no token" || !errors.Is(err, cause) || len(r.events) > 0 {
		t.Errorf("got %v after %q", err, r.events)
	}
}

func TestExportFails(t *testing.T) {
	t.Parallel()
	cause := errors.New("no room")
	h, _ := newHop(t, hubGranted(), spokeGranted())
	h.Export = func([]Session) error { return cause }
	if err := h.run(t.Context()); text(err) != "exporting the credentials: no room" || !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// TestCanceled cancels at every stage; the cause is returned and nothing is exported.
func TestCanceled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ at, err string }{
		{"mask eyJ.eyJ.sig1", "assuming hub role " + hubRole + ": interrupt signal received"},
		{"mask " + hubToken, "assuming spoke role " + spokeRole + ": interrupt signal received"},
		{"mask " + spokeToken, "exporting the credentials: interrupt signal received"},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		h, r := newHop(t, hubGranted(), spokeGranted())
		h.Mask = func(value string) {
			if "mask "+value == test.at {
				cancel(errors.New("interrupt signal received"))
			}
		}
		if err := h.run(ctx); text(err) != test.err {
			t.Errorf("got %s, want %s", text(err), test.err)
		}
		if slices.Contains(r.events, "export") {
			t.Errorf("canceled at %s and exported", test.at)
		}
	}
}
