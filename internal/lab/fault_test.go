package lab_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/lab"
)

// get asks the issuer's key set, or under sts: GetCallerIdentity unsigned, which is refused with 403.
func get(ctx context.Context, url string) (*http.Response, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	// No connection is kept: net/http repeats a GET by itself when a kept one breaks. No redirect is followed.
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestFaultAnswers(t *testing.T) {
	t.Parallel()
	const xml, json = "text/xml", "application/json; charset=utf-8"
	tests := map[string]struct {
		status            int
		contentType, want string
	}{
		"issuer:jwks:throttle":        {429, json, `{"message":"Too Many Requests"}`},
		"issuer:jwks:429":             {429, json, `{"message":"Too Many Requests"}`},
		"issuer:jwks:400":             {400, json, `{"message":"Bad Request"}`},
		"issuer:jwks:404":             {404, json, `{"message":"Not Found"}`},
		"issuer:jwks:408":             {408, json, `{"message":"Request Timeout"}`},
		"issuer:jwks:504":             {504, json, `{"message":"Gateway Timeout"}`},
		"issuer:*:500":                {500, json, `{"message":"Internal Server Error"}`},
		"issuer:jwks:502":             {502, json, `{"message":"Bad Gateway"}`},
		"issuer:jwks:503":             {503, json, `{"message":"Service Unavailable"}`},
		"issuer:jwks:html":            {200, "text/html; charset=utf-8", "<!DOCTYPE html>"},
		"issuer:jwks:html403":         {403, "text/html; charset=utf-8", "<title>403</title>"},
		"issuer:jwks:empty":           {200, json, "{}"},
		"issuer:jwks:empty-value":     {200, json, `"value":""`},
		"issuer:jwks:unauthorized":    {401, json, `{"message":"Access denied.`},
		"issuer:jwks:not-in-progress": {403, json, `Can't issue ID_TOKEN`},
		"issuer:jwks:mistyped":        {200, "application/octet-stream", `{"keys":[`},
		"issuer:jwks:redirect":        {307, "text/plain", ""},
		"issuer:jwks:oversized":       {200, json, `{"count":2097152,"value":"AAAA`},
		"sts:*:throttle":              {400, xml, "<Code>Throttling</Code>\n    <Message>Rate exceeded</Message>"},
		"sts:GetCallerIdentity:429":   {429, xml, "<Code>TooManyRequestsException</Code>"},
		"sts:*:500":                   {500, xml, "<Type>Receiver</Type>\n    <Code>InternalFailure</Code>"},
		"sts:*:400":                   {400, xml, "<Type>Sender</Type>\n    <Code>ValidationError</Code>"},
		"sts:*:403":                   {403, xml, "<Code>OptInRequired</Code>"},
		"sts:*:404":                   {404, xml, "<Code>MalformedQueryString</Code>"},
		"sts:*:408":                   {408, xml, "<Code>RequestTimeout</Code>"},
		"sts:*:504":                   {504, xml, "<Type>Receiver</Type>"},
		"sts:*:502":                   {502, xml, "<Type>Receiver</Type>"},
		"sts:*:503":                   {503, xml, "<Code>ServiceUnavailable</Code>"},
		"sts:*:html500":               {500, "text/html; charset=utf-8", "<title>500</title>"},
		"sts:*:html502":               {502, "text/html; charset=utf-8", "<title>502</title>"},
		"sts:*:html503":               {503, "text/html; charset=utf-8", "<title>503</title>"},
		"sts:*:empty":                 {200, xml, ""},
		"sts:*:garbage":               {200, xml, ""},
		"sts:*:oversized":             {200, xml, "<AssumeRoleResponse"},
		"sts:*:redirect":              {307, "text/plain", ""},
		"sts:*:delay:1:1ms":           {403, xml, "<Code>MissingAuthenticationToken</Code>"},
		"sts:*:idp-communication-error": {400, xml,
			"<Code>IDPCommunicationError</Code>"},
		"sts:*:verification-key": {400, xml, "<Code>InvalidIdentityToken</Code>\n    <Message>Couldn't retrieve verification key from your identity provider,  please"},
		"sts:*:region-disabled":  {403, xml, "<Code>RegionDisabledException</Code>"},
		"sts:*:expired-token":    {403, xml, "<Code>ExpiredToken</Code>"},
		"sts:*:mistyped":         {403, "application/octet-stream", "<Code>MissingAuthenticationToken</Code>"},
	}
	for text, test := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			s := open(t, nil)
			url := s.faulty(t, text)
			response, body, err := get(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != test.status || response.Header.Get("Content-Type") != test.contentType || !strings.Contains(body, test.want) {
				t.Errorf("%d %s %.300s\nwant %d %s %s", response.StatusCode, response.Header.Get("Content-Type"), body, test.status, test.contentType, test.want)
			}
			if strings.HasSuffix(text, "oversized") && len(body) < 2<<20 {
				t.Errorf("%d bytes", len(body))
			}
			if strings.HasSuffix(text, "garbage") && len(body) != 4096 {
				t.Errorf("%d bytes", len(body))
			}
			response, _, err = get(t.Context(), url)
			if err != nil || response.StatusCode == test.status && test.status != 200 && test.status != 403 {
				t.Errorf("the fault struck twice: %v %v", response.StatusCode, err)
			}
		})
	}
}

// faulty sets a fault and returns the URL that it affects.
func (s stage) faulty(t *testing.T, text string) string {
	t.Helper()
	fault, err := lab.ParseFault(text)
	if err != nil {
		t.Fatal(err)
	}
	s.Fail(fault)
	if fault.Service == "issuer" {
		return s.IssuerURL + "/.well-known/jwks"
	}
	return s.STSURL + "/?Action=GetCallerIdentity&Version=2011-06-15"
}

func TestFaultConnections(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	url := s.faulty(t, "sts:*:reset")
	if _, _, err := get(t.Context(), url); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}
	s.faulty(t, "sts:*:close")
	if _, _, err := get(t.Context(), url); !errors.Is(err, io.EOF) {
		t.Errorf("close: %v", err)
	}
	s.faulty(t, "sts:*:cut")
	if response, body, err := get(t.Context(), url); !errors.Is(err, io.ErrUnexpectedEOF) || int64(len(body)) >= response.ContentLength {
		t.Errorf("cut: %v", err)
	}
	s.faulty(t, "sts:*:hang")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := get(ctx, url); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
	s.faulty(t, "sts:*:skew:1:-1h")
	response, _, err := get(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	date, err := http.ParseTime(response.Header.Get("Date"))
	if ago := time.Since(date); err != nil || ago < 59*time.Minute || ago > 61*time.Minute {
		t.Errorf("skew: Date is %s ago", ago)
	}
}

// TestFaultContradictions covers responses that contradict the request.
func TestFaultContradictions(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for kind, wrong := range map[string]func(arn, token string, expires time.Time) bool{
		"other-role": func(arn, _ string, _ time.Time) bool {
			return arn == "arn:aws:sts::123456789012:assumed-role/github-actions-hub-other/gh-1-1"
		},
		"other-account": func(arn, _ string, _ time.Time) bool {
			return arn == "arn:aws:sts::999999999999:assumed-role/github-actions-hub/gh-1-1"
		},
		"expired-credentials": func(_, _ string, expires time.Time) bool { return time.Since(expires) > 59*time.Minute },
		"newline":             func(_, token string, _ time.Time) bool { return strings.HasSuffix(token, "\nINJECTED=1") },
	} {
		s.Fail(lab.Fault{Service: "sts", Action: "AssumeRoleWithWebIdentity", Kind: kind})
		out, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(s.job("staging"))))
		if err != nil {
			t.Fatal(err)
		}
		if !wrong(*out.AssumedRoleUser.Arn, *out.Credentials.SessionToken, *out.Credentials.Expiration) {
			t.Errorf("%s: %s until %s", kind, *out.AssumedRoleUser.Arn, out.Credentials.Expiration)
		}
	}
}

// TestFaultQueue: in order, by action, as often as requested.
func TestFaultQueue(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	s.Fail(lab.Fault{Service: "sts", Action: "AssumeRole", Kind: "500", Times: -1})
	s.Fail(lab.Fault{Service: "sts", Action: "GetCallerIdentity", Kind: "502", Times: 2})
	s.Fail(lab.Fault{Service: "sts", Action: "*", Kind: "503"})
	url := s.STSURL + "/?Action=GetCallerIdentity&Version=2011-06-15"
	var got []int
	for range 4 {
		response, _, err := get(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, response.StatusCode)
	}
	if !slices.Equal(got, []int{502, 502, 503, 403}) {
		t.Errorf("statuses %v", got)
	}
	hub := s.hub("staging")
	for range 3 {
		if _, err := s.client(hub).AssumeRole(t.Context(), spokeInput(stagingRole)); !strings.HasPrefix(refusal(t, err), "Internal Server Error") {
			t.Errorf("a fault for always ended: %v", err)
		}
	}
	// STS needs the issuer's keys: a fault that names them keeps it from them.
	s.Fail(lab.Fault{Service: "issuer", Action: "*", Kind: "500"})
	s.hub("staging")
	s.Fail(lab.Fault{Service: "issuer", Action: "jwks", Kind: "hang"})
	if _, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(s.job("staging")))); refusal(t, err) != noKey {
		t.Errorf("without the keys: %v", err)
	}
}

func TestParseFault(t *testing.T) {
	t.Parallel()
	f, err := lab.ParseFault("issuer:token:delay:-1:250ms")
	if want := (lab.Fault{Service: "issuer", Action: "token", Kind: "delay", Times: -1, Duration: 250 * time.Millisecond}); err != nil || f != want {
		t.Errorf("%+v, %v", f, err)
	}
	for text, want := range map[string]string{
		"sts:throttle":              `fault "sts:throttle" is not of the form SERVICE:ACTION:KIND[:TIMES[:DURATION]]`,
		"iam:*:500":                 `fault "iam:*:500": "iam" is neither issuer nor sts`,
		"sts:token:500":             `fault "sts:token:500": "token" is not one of AssumeRoleWithWebIdentity, AssumeRole, GetCallerIdentity, *`,
		"sts:*:unauthorized":        `fault "sts:*:unauthorized": unauthorized is not a fault of sts`,
		"sts:*:500:0":               `fault "sts:*:500:0": "0" is not a number of times`,
		"sts:*:delay:1:soon":        `fault "sts:*:delay:1:soon": "soon" is not a duration`,
		"issuer:token:region-wrong": `fault "issuer:token:region-wrong": "region-wrong" is not one of ` + strings.Join(lab.FaultKinds(), ", "),
	} {
		if _, err := lab.ParseFault(text); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
