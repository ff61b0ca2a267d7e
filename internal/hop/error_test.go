package hop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/org/hubspoke-chain/internal/transport"
)

const (
	hubRole   = "arn:aws:iam::123456789012:role/hub"
	spokeRole = "arn:aws:iam::222222222222:role/deploy"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]*Error{
		"requesting the ID token: no response": {Stage: StageToken, Err: errors.New("no response")},
		"exporting the credentials: no room":   {Stage: StageExport, Err: errors.New("no room")},
		"assuming spoke role " + spokeRole + ": AccessDenied: User: x is not authorized (request 1f2e)": {
			Stage: StageSpoke, Role: spokeRole, Code: "AccessDenied", Message: "User: x is not authorized", RequestID: "1f2e", Status: 403},
		"assuming hub role " + hubRole + ": the response is not one of AWS STS (HTTP 502) (request 1f2e)": {
			Stage: StageHub, Role: hubRole, RequestID: "1f2e", Status: 502, Err: errors.New("the response is not one of AWS STS (HTTP 502)")},
	} {
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
		if errors.Unwrap(err) != err.Err {
			t.Errorf("%s: the cause is not unwrapped", want)
		}
	}
}

func TestHasCode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		have, code string
		want       bool
	}{
		{"ExpiredTokenException", "ExpiredToken", true},
		{"ExpiredToken", "ExpiredTokenException", true},
		{"accessdenied", "AccessDenied", true},
		{"AccessDenied", "AccessDeniedException", true},
		{"AccessDenied", "Access", false},
		{"", "", false},
		{"", "Exception", false},
	} {
		if got := (&Error{Code: test.have}).HasCode(test.code); got != test.want {
			t.Errorf("code %q has %q: %v", test.have, test.code, got)
		}
	}
}

// The wordings are those of IAM's user guide, "Troubleshoot access denied error messages", and of
// refusals that users have shown in public issues.
func TestDenies(t *testing.T) {
	t.Parallel()
	const user = "User: arn:aws:sts::123456789012:assumed-role/hub/gh-1-1 is not authorized to perform: "
	for _, test := range []struct{ message, action string }{
		{"Not authorized to perform sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithWebIdentity"},
		{user + "sts:AssumeRole on resource: " + spokeRole, "sts:AssumeRole"},
		{user + "sts:AssumeRole on resource: " + spokeRole + " because no identity-based policy allows the sts:AssumeRole action", "sts:AssumeRole"},
		{user + "sts:AssumeRole because no role trust policy allows the sts:AssumeRole action", "sts:AssumeRole"},
		{user + "sts:AssumeRole with an explicit deny in the role trust policy", "sts:AssumeRole"},
		{user + "sts:AssumeRole with an explicit deny in an identity-based policy", "sts:AssumeRole"},
		{user + "sts:AssumeRole with an explicit deny in a service control policy", "sts:AssumeRole"},
		{user + "sts:AssumeRole on resource: " + spokeRole + " because no session policy allows the sts:AssumeRole action", "sts:AssumeRole"},
		{user + "sts:AssumeRole on resource: " + spokeRole + " because no permissions boundary allows the sts:AssumeRole action", "sts:AssumeRole"},
		{user + "sts:TagSession on resource: " + spokeRole, "sts:TagSession"},
		{user + "sts:TagSession because no role trust policy allows the sts:TagSession action", "sts:TagSession"},
		{user + "sts:SetSourceIdentity on resource: " + spokeRole, "sts:SetSourceIdentity"},
		{user + "sts:TagSession", "sts:TagSession"},
	} {
		refused := &Error{Code: "AccessDenied", Message: test.message}
		for _, action := range []string{"sts:AssumeRoleWithWebIdentity", "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity", ""} {
			if got := refused.Denies(action); got != (action == test.action) {
				t.Errorf("%q denies %q: %v", test.message, action, got)
			}
		}
		if (&Error{Code: "ValidationError", Message: test.message}).Denies(test.action) {
			t.Errorf("%q denies with another code", test.message)
		}
	}
	if (&Error{Code: "AccessDenied", Message: "Access denied"}).Denies("") {
		t.Error("a refusal that names no action denies the empty one")
	}
}

func responded(status int, id string, err error) error {
	return &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &awshttp.ResponseError{
		ResponseError: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}, RequestID: id}}
}

func TestSTSError(t *testing.T) {
	t.Parallel()
	role, _ := ParseRoleARN(spokeRole)
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("the step timed out after 60 s"))
	long := strings.Repeat("€", 10000)
	const body = "<SecretAccessKey>leaked</SecretAccessKey>"
	const prefix = "assuming spoke role " + spokeRole + ": "
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		want string
		why  transport.Reason
	}{
		{"refused", nil, responded(403, "1f2e", &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}), prefix + "AccessDenied: no (request 1f2e)", ""},
		{"a message of 30 kB", nil, responded(400, "1f2e", &smithy.GenericAPIError{Code: "ValidationError", Message: long}),
			prefix + "ValidationError: " + strings.Repeat("€", 666) + "... (30000 bytes) (request 1f2e)", ""},
		{"a code and a request id of 30 kB", nil, responded(400, long, &smithy.GenericAPIError{Code: long}),
			prefix + strings.Repeat("€", 85) + "... (30000 bytes):  (request " + strings.Repeat("€", 85) + "... (30000 bytes))", ""},
		{"the step ended", ended, responded(503, "", errors.New(body)), prefix + "the step timed out after 60 s", ""},
		{"no document", nil, responded(502, "", &smithy.GenericAPIError{Code: "UnknownError", Message: body}), prefix + "the response is not one of AWS STS (HTTP 502)", transport.WrongResponse},
		{"undecoded", nil, responded(200, "", &smithy.DeserializationError{Err: errors.New(body), Snapshot: []byte(body)}), prefix + "the response is not one of AWS STS (HTTP 200)", transport.WrongResponse},
		{"cut short", nil, responded(200, "", &smithy.DeserializationError{Err: io.ErrUnexpectedEOF}), prefix + "the response was cut short (HTTP 200)", transport.CutShort},
		{"lost in the body", nil, responded(200, "", &smithy.DeserializationError{Err: &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}}),
			prefix + "the response was cut short (HTTP 200)", transport.CutShort},
		{"stalled in the body", nil, responded(200, "", &smithy.DeserializationError{Err: context.DeadlineExceeded}),
			prefix + "the response was not complete after 10s: context deadline exceeded", transport.TimedOut},
		{"too large", nil, responded(200, "", &smithy.DeserializationError{Err: &http.MaxBytesError{Limit: 9}}), prefix + "the response is larger than 9 bytes", transport.TooLarge},
		{"no connection", nil, &url.Error{Op: "Post", URL: "https://sts.us-east-1.amazonaws.com/", Err: errors.New("connection refused")},
			prefix + "no response from sts.us-east-1.amazonaws.com: connection refused", transport.Unreachable},
		{"not HTTP", nil, &url.Error{Op: "Post", URL: "https://sts.us-east-1.amazonaws.com/", Err: fmt.Errorf("malformed HTTP response %q", body)},
			prefix + "the response of sts.us-east-1.amazonaws.com is not HTTP", transport.WrongResponse},
		{"a URL that cannot be parsed", nil, &url.Error{Op: "Post", URL: ":", Err: errors.New("refused")}, prefix + "no response from AWS STS: refused", transport.Unreachable},
		{"another response", nil, &responseError{transport.WrongResponse, "the response is for someone else"}, prefix + "the response is for someone else", transport.WrongResponse},
		{"something else", nil, errors.New("no signer"), prefix + "no signer", ""},
	} {
		ctx := test.ctx
		if ctx == nil {
			ctx = t.Context()
		}
		got := (&client{}).stsError(ctx, StageSpoke, role, test.err)
		if got.Error() != test.want || got.Reason != test.why {
			t.Errorf("%s:\n got %s (%s)\nwant %s (%s)", test.name, got, got.Reason, test.want, test.why)
		}
	}
}
