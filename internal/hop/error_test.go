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
)

const (
	hubRole   = "arn:aws:iam::123456789012:role/hub"
	spokeRole = "arn:aws:iam::222222222222:role/deploy"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]*Error{
		"minting the ID token: no answer":    {Stage: StageToken, Err: errors.New("no answer")},
		"exporting the credentials: no room": {Stage: StageExport, Err: errors.New("no room")},
		"assuming spoke role " + spokeRole + ": AccessDenied: User: x is not authorized (request 1f2e)": {
			Stage: StageSpoke, Role: spokeRole, Code: "AccessDenied", Message: "User: x is not authorized", RequestID: "1f2e", Status: 403},
		"assuming hub role " + hubRole + ": the answer is not one of AWS STS (HTTP 502) (request 1f2e)": {
			Stage: StageHub, Role: hubRole, RequestID: "1f2e", Status: 502, Err: errors.New("the answer is not one of AWS STS (HTTP 502)")},
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
		have, ask string
		want      bool
	}{
		{"ExpiredTokenException", "ExpiredToken", true},
		{"ExpiredToken", "ExpiredTokenException", true},
		{"accessdenied", "AccessDenied", true},
		{"AccessDenied", "AccessDeniedException", true},
		{"AccessDenied", "Access", false},
		{"", "", false},
		{"", "Exception", false},
	} {
		if got := (&Error{Code: test.have}).HasCode(test.ask); got != test.want {
			t.Errorf("code %q has %q: %v", test.have, test.ask, got)
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

func answered(status int, id string, err error) error {
	return &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &awshttp.ResponseError{
		ResponseError: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}, RequestID: id}}
}

func TestSTSError(t *testing.T) {
	t.Parallel()
	role, _ := ParseRoleARN(spokeRole)
	ended, end := context.WithCancelCause(context.Background())
	end(errors.New("the step's 60 s are up"))
	long := strings.Repeat("€", 10000)
	const body = "<SecretAccessKey>leaked</SecretAccessKey>"
	const prefix = "assuming spoke role " + spokeRole + ": "
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		want string
	}{
		{"refused", nil, answered(403, "1f2e", &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}), prefix + "AccessDenied: no (request 1f2e)"},
		{"a message of 30 kB", nil, answered(400, "1f2e", &smithy.GenericAPIError{Code: "ValidationError", Message: long}),
			prefix + "ValidationError: " + strings.Repeat("€", 666) + "... (request 1f2e)"},
		{"a code and a request id of 30 kB", nil, answered(400, long, &smithy.GenericAPIError{Code: long}),
			prefix + strings.Repeat("€", 85) + "...:  (request " + strings.Repeat("€", 85) + "...)"},
		{"the step ended", ended, answered(503, "", errors.New(body)), prefix + "the step's 60 s are up"},
		{"no document", nil, answered(502, "", &smithy.GenericAPIError{Code: "UnknownError", Message: body}), prefix + "the answer is not one of AWS STS (HTTP 502)"},
		{"undecoded", nil, answered(200, "", &smithy.DeserializationError{Err: errors.New(body), Snapshot: []byte(body)}), prefix + "the answer is not one of AWS STS (HTTP 200)"},
		{"cut short", nil, answered(200, "", &smithy.DeserializationError{Err: io.ErrUnexpectedEOF}), prefix + "the answer was cut short (HTTP 200)"},
		{"lost in the body", nil, answered(200, "", &smithy.DeserializationError{Err: &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}}),
			prefix + "the answer was cut short (HTTP 200)"},
		{"silent in the body", nil, answered(200, "", &smithy.DeserializationError{Err: context.DeadlineExceeded}),
			prefix + "the answer was not complete after 10s: context deadline exceeded"},
		{"too large", nil, answered(200, "", &smithy.DeserializationError{Err: &http.MaxBytesError{Limit: 9}}), prefix + "the answer is larger than 9 bytes"},
		{"no connection", nil, &url.Error{Op: "Post", URL: "https://sts.us-east-1.amazonaws.com/", Err: errors.New("connection refused")},
			prefix + "no answer from sts.us-east-1.amazonaws.com: connection refused"},
		{"not HTTP", nil, &url.Error{Op: "Post", URL: "https://sts.us-east-1.amazonaws.com/", Err: fmt.Errorf("malformed HTTP response %q", body)},
			prefix + "what sts.us-east-1.amazonaws.com answered is not HTTP"},
		{"a URL that cannot be read", nil, &url.Error{Op: "Post", URL: ":", Err: errors.New("refused")}, prefix + "no answer from the endpoint: refused"},
		{"wrong answer", nil, &answerError{"the answer is for someone else"}, prefix + "the answer is for someone else"},
		{"something else", nil, errors.New("no signer"), prefix + "no signer"},
	} {
		ctx := test.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		if got := (&client{}).stsError(ctx, StageSpoke, role, test.err).Error(); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}
