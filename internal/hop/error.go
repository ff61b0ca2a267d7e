package hop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/transport"
)

// Stage is the part of the hop that a failure belongs to.
type Stage string

// The stages, in the order in which they run.
const (
	StageToken  Stage = "requesting the ID token"
	StageHub    Stage = "assuming hub role"
	StageSpoke  Stage = "assuming spoke role"
	StageExport Stage = "exporting the credentials"
)

// Error is a hop that ended early. It never holds a token, a credential or a response body.
type Error struct {
	Stage     Stage
	Role      string           // ARN of the requested role; empty for StageToken and StageExport
	Code      string           // AWS's error code as sent, AccessDenied for example; empty when AWS returned none
	Message   string           // AWS's message, up to 2000 bytes: text from outside, to be defused before it is shown
	RequestID string           // AWS's request id; empty when AWS returned none
	Status    int              // HTTP status; 0 when there was no response
	Reason    transport.Reason // why there is no usable response; empty for an error response of AWS
	Err       error            // the cause when AWS did not return an error of its own
}

// Error returns the stage, the role and the error, which may hold line ends when the server is not AWS.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Stage))
	if e.Role != "" {
		b.WriteString(" " + e.Role)
	}
	if e.Code != "" {
		b.WriteString(": " + e.Code + ": " + e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// cause is the error without the request that met it.
func (e *Error) cause() string {
	same := *e
	same.RequestID = ""
	return same.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors are the failures of several calls, in the order of the spokes.
type Errors []*Error

// Error returns the failures, one per line.
func (e Errors) Error() string { return errors.Join(e.Unwrap()...).Error() }

// Unwrap returns the failures.
func (e Errors) Unwrap() []error {
	var all []error
	for _, failure := range e {
		all = append(all, failure)
	}
	return all
}

// join returns nil for no failure, and a single one as it is. A cause is reported once where several calls have it:
// what the end of the context stopped, and what was wrong with the hub in the same words.
func (e Errors) join(ended error) error {
	var kept Errors
	for _, failure := range e {
		same := func(other *Error) bool {
			stopped := ended != nil && failure.Err == ended && other.Err == ended
			return stopped || failure.Stage != StageSpoke && failure.cause() == other.cause()
		}
		if failure != nil && !slices.ContainsFunc(kept, same) {
			kept = append(kept, failure)
		}
	}
	e = kept
	switch len(e) {
	case 0:
		return nil
	case 1:
		return e[0]
	}
	return e
}

// HasCode reports whether AWS returned the code. Some codes go over the wire with "Exception" at
// the end and some without, whatever the API model calls them, so both forms match.
func (e *Error) HasCode(code string) bool {
	return e.Code != "" && strings.EqualFold(strings.TrimSuffix(e.Code, "Exception"), strings.TrimSuffix(code, "Exception"))
}

// Denies reports whether AWS refused the named action, sts:TagSession for example. AWS words a
// refusal in several ways; what they share is the action's name behind these words.
func (e *Error) Denies(action string) bool {
	if !e.HasCode("AccessDenied") {
		return false
	}
	_, after, found := strings.Cut(e.Message, "not authorized to perform:")
	if !found {
		_, after, found = strings.Cut(e.Message, "ot authorized to perform") // the web identity form has no colon
	}
	name, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	return found && strings.EqualFold(name, action)
}

// stsError turns an error of the SDK into ours. The SDK's own text repeats itself over four
// layers and names its operations rather than the roles.
func (c *client) stsError(ctx context.Context, stage Stage, role ARN, err error) *Error {
	e := &Error{Stage: stage, Role: role.String()}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		e.RequestID, e.Status = plain.Shorten(c.redact(response.ServiceRequestID()), maxCode), response.HTTPStatusCode()
	}
	if cause := context.Cause(ctx); cause != nil {
		e.Err = cause
		return e
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != "" && api.ErrorCode() != "UnknownError" {
		e.Code, e.Message = plain.Shorten(c.redact(api.ErrorCode()), maxCode), plain.Shorten(c.redact(api.ErrorMessage()), maxMessage)
		return e
	}
	e.Reason, e.Err = reason(err, e.Status)
	if text := e.Err.Error(); c.redact(text) != text { // a cause that quotes the server
		e.Err = errors.New(c.redact(text))
	}
	return e
}

// reason returns why there is no error document to read, and an error that does not quote the response.
func reason(err error, status int) (transport.Reason, error) {
	var response *responseError
	if errors.As(err, &response) {
		return response.reason, response
	}
	if reason, err := transport.Classify(err, "AWS STS", status); reason != "" {
		return reason, err
	}
	// The decoder's own text can quote the body, and a body can hold credentials.
	var undecoded *smithy.DeserializationError
	if status >= 300 || errors.As(err, &undecoded) {
		return transport.WrongResponse, fmt.Errorf("the response is not one of AWS STS (HTTP %d)", status)
	}
	return "", err
}

// responseError is a response that decodes but cannot be the one to the request.
type responseError struct {
	reason transport.Reason
	text   string
}

func (e *responseError) Error() string { return e.text }

func wrongResponse(format string, args ...any) error {
	return &responseError{transport.WrongResponse, fmt.Sprintf(format, args...)}
}
