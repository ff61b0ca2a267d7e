package hop

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
