package hop

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/transport"
)

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
		reason := transport.WrongResponse
		if test.name == "expired already" {
			reason = transport.ClockSkew
		}
		if failure := (*Error)(nil); !errors.As(err, &failure) || failure.Reason != reason {
			t.Errorf("%s: the reason is not %s: %v", test.name, reason, err)
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
