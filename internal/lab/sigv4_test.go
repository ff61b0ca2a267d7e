package lab_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
)

// signing is a GetCallerIdentity that the SDK's signer signs, and what to do wrong before and after.
type signing struct {
	method, query   string
	service, region string
	at              time.Duration // from now
	credentials     func(*types.Credentials)
	before, after   func(*http.Request)
}

func (s stage) signed(t *testing.T, c types.Credentials, x signing) (*http.Response, string) {
	t.Helper()
	if x.service == "" {
		x.service = "sts"
	}
	if x.region == "" {
		x.region = "us-east-1"
	}
	body := "Action=GetCallerIdentity&Version=2011-06-15"
	if x.method == http.MethodGet {
		body = ""
	}
	request, err := http.NewRequestWithContext(t.Context(), x.method, s.STSURL+"/"+x.query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if x.credentials != nil {
		x.credentials(&c)
	}
	if x.before != nil {
		x.before(request)
	}
	sum := sha256.Sum256([]byte(body))
	credentials := aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, request, hex.EncodeToString(sum[:]), x.service, x.region, time.Now().Add(x.at)); err != nil {
		t.Fatal(err)
	}
	if x.after != nil {
		x.after(request)
	}
	return do(t, request)
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// edit changes the Authorization header after signing.
func edit(pattern, text string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", regexp.MustCompile(pattern).ReplaceAllString(r.Header.Get("Authorization"), text))
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	const mismatch = "<Code>SignatureDoesNotMatch</Code>\n    <Message>The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.</Message>"
	const invalid = "<Code>InvalidClientTokenId</Code>\n    <Message>The security token included in the request is invalid.</Message>"
	const incomplete = "<Code>IncompleteSignature</Code>\n    <Message>Authorization header requires Credential, SignedHeaders, and Signature.</Message>"
	query := "?" + url.Values{"Version": {"2011-06-15"}, "Action": {"GetCallerIdentity"}, "a b": {"c+d/~é"}, "Action-": {""}}.Encode()
	tests := map[string]struct {
		signing
		status int
		want   string
	}{
		"good":               {signing{}, 200, "<Arn>" + hubSession + "</Arn>"},
		"GET":                {signing{method: "GET", query: query}, 200, "<Account>123456789012</Account>"},
		"another region":     {signing{region: "eu-west-1"}, 200, "<Arn>"},
		"more headers":       {signing{before: header("X-Amz-Meta", "  two   spaces ")}, 200, "<Arn>"},
		"four minutes late":  {signing{at: -4 * time.Minute}, 200, "<Arn>"},
		"six minutes late":   {signing{at: -6 * time.Minute}, 403, "<Message>Signature expired: "},
		"six minutes early":  {signing{at: 6 * time.Minute}, 403, "<Message>Signature not yet current: "},
		"another service":    {signing{service: "s3"}, 403, "<Message>Credential should be scoped to correct service: 'sts'.</Message>"},
		"region unknown":     {signing{region: "mars-east-1"}, 403, "<Message>Credential should be scoped to a valid region.</Message>"},
		"secret wrong":       {signing{credentials: func(c *types.Credentials) { c.SecretAccessKey = aws.String("x") }}, 403, mismatch},
		"key unknown":        {signing{credentials: func(c *types.Credentials) { c.AccessKeyId = aws.String("ASIAAAAAAAAAAAAAAAAA") }}, 403, invalid},
		"token wrong":        {signing{credentials: func(c *types.Credentials) { c.SessionToken = aws.String("x") }}, 403, invalid},
		"no token":           {signing{credentials: func(c *types.Credentials) { c.SessionToken = aws.String("") }}, 403, invalid},
		"query changed":      {signing{method: "GET", query: query, after: func(r *http.Request) { r.URL.RawQuery += "&x=y" }}, 403, mismatch},
		"method changed":     {signing{method: "GET", query: query, after: func(r *http.Request) { r.Method = "POST" }}, 400, "<Code>MissingAction</Code>"},
		"header changed":     {signing{before: header("X-Amz-Meta", "a"), after: header("X-Amz-Meta", "b")}, 403, mismatch},
		"host changed":       {signing{after: func(r *http.Request) { r.Host = "sts.us-east-1.amazonaws.com" }}, 403, mismatch},
		"header not signed":  {signing{after: header("X-Amz-Target", "x")}, 403, "<Message>'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.</Message>"},
		"host not signed":    {signing{after: edit(";host;", ";")}, 403, "<Message>'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.</Message>"},
		"payload hash wrong": {signing{before: header("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")}, 403, mismatch},
		"date of the scope":  {signing{after: edit("/[0-9]{8}/", "/20200101/")}, 403, "<Message>Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20200101' != '"},
		"terminator":         {signing{after: edit("aws4_request", "aws4")}, 403, "<Message>Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'.</Message>"},
		"signature changed":  {signing{after: edit("Signature=..", "Signature=zz")}, 403, mismatch},
		"no signature":       {signing{after: edit(", Signature=.*", "")}, 400, incomplete},
		"another algorithm":  {signing{after: header("Authorization", "Basic eDp5")}, 400, incomplete},
		"date not ISO 8601":  {signing{after: header("X-Amz-Date", "today")}, 400, "<Code>IncompleteSignature</Code>"},
		"not signed":         {signing{after: func(r *http.Request) { r.Header.Del("Authorization") }}, 403, "<Code>MissingAuthenticationToken</Code>"},
	}
	s := open(t, nil)
	hub := *s.hub("staging")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.method == "" {
				test.method = "POST"
			}
			response, body := s.signed(t, hub, test.signing)
			if response.StatusCode != test.status || !strings.Contains(body, test.want) {
				t.Errorf("%d %s\nwant %d %s", response.StatusCode, body, test.status, test.want)
			}
		})
	}
}

// TestSignedBodyChanged: the body is signed by its hash alone.
func TestSignedBodyChanged(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	response, body := s.signed(t, *s.hub("staging"), signing{method: "POST", after: func(r *http.Request) {
		changed, err := http.NewRequestWithContext(t.Context(), "POST", s.STSURL, strings.NewReader("Version=2011-06-15&Action=GetCallerIdentity"))
		if err != nil {
			t.Fatal(err)
		}
		r.Body, r.ContentLength = changed.Body, changed.ContentLength
	}})
	if response.StatusCode != 403 || !strings.Contains(body, "SignatureDoesNotMatch") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

// TestSessionExpires moves the lab's clock; the SDK learns it from the Date header.
func TestSessionExpires(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	hub := *s.hub("staging")
	s.Advance(time.Hour - time.Minute)
	if response, body := s.signed(t, hub, signing{method: "POST", at: time.Hour - time.Minute}); response.StatusCode != 200 {
		t.Errorf("before it expires: %s", body)
	}
	s.Advance(time.Minute)
	response, body := s.signed(t, hub, signing{method: "POST", at: time.Hour})
	if response.StatusCode != 403 || !strings.Contains(body, "<Code>ExpiredToken</Code>\n    <Message>The security token included in the request is expired</Message>") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	date, err := http.ParseTime(response.Header.Get("Date"))
	if skew := time.Until(date); err != nil || skew < 58*time.Minute || skew > 62*time.Minute {
		t.Errorf("Date is %s from now", skew)
	}
}

// TestSessionLifetime has chained sessions of 20 s, which AWS does not grant, under a clock that stands still but for
// Advance.
func TestSessionLifetime(t *testing.T) {
	t.Parallel()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now().Truncate(time.Second)
	l := lab.New(world, lab.Options{Now: func() time.Time { return start }, SessionLifetime: 20 * time.Second})
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	})
	s := stage{l, servers, t}

	hub := s.hub("staging")
	if got, want := *hub.Expiration, start.Add(time.Hour); !got.Equal(want) {
		t.Errorf("the hub's session, which is not chained, ends at %s, want %s", got, want)
	}
	for seconds, want := range map[int32]string{
		899:  "Bad Request ValidationError: 1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
		3601: "Bad Request ValidationError: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
	} {
		in := spokeInput(stagingRole)
		in.DurationSeconds = &seconds
		_, err := s.client(hub).AssumeRole(t.Context(), in)
		if got := refusal(t, err); got != want {
			t.Errorf("%d s: %s, want %s", seconds, got, want)
		}
	}
	spoke, err := s.client(hub).AssumeRole(t.Context(), spokeInput(stagingRole))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *spoke.Credentials.Expiration, start.Add(20*time.Second); !got.Equal(want) {
		t.Errorf("the spoke's session ends at %s, want %s", got, want)
	}
	s.Advance(19 * time.Second)
	if _, err := s.client(spoke.Credentials).GetCallerIdentity(t.Context(), nil); err != nil {
		t.Errorf("a second before it expires: %v", err)
	}
	s.Advance(time.Second)
	const expired = "Forbidden ExpiredToken: The security token included in the request is expired"
	_, err = s.client(spoke.Credentials).GetCallerIdentity(t.Context(), nil)
	if got := refusal(t, err); got != expired {
		t.Errorf("GetCallerIdentity: %s, want %s", got, expired)
	}
	_, err = s.client(spoke.Credentials).AssumeRole(t.Context(), spokeInput(productionRole))
	if got := refusal(t, err); got != expired {
		t.Errorf("AssumeRole: %s, want %s", got, expired)
	}
	if _, err := s.client(hub).GetCallerIdentity(t.Context(), nil); err != nil {
		t.Errorf("the hub's session: %v", err)
	}
}
