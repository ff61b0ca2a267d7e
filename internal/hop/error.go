package hop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Limits of what an answer may put into an error, in bytes.
const (
	maxMessage = 2000 // the longest refusals of AWS name two ARNs and an action, some 500
	maxCode    = 256  // of a code, a request id or an ARN
)

// Stage is the part of the hop that a failure belongs to.
type Stage string

// The stages, in the order in which they run.
const (
	StageToken  Stage = "minting the ID token"
	StageHub    Stage = "assuming hub role"
	StageSpoke  Stage = "assuming spoke role"
	StageExport Stage = "exporting the credentials"
)

// Error is a hop that ended early. It never holds a token, a credential or a response body.
type Error struct {
	Stage     Stage
	Role      string // ARN of the role that was asked for; empty when minting and exporting
	Code      string // AWS's error code as sent, AccessDenied for example; empty when AWS did not answer
	Message   string // AWS's message, up to 2000 bytes: text from outside, to be defused before it is shown
	RequestID string // AWS's request id; empty when AWS did not answer
	Status    int    // HTTP status; 0 when there was no answer
	Err       error  // the cause when AWS did not answer with an error of its own
}

// Error gives the stage, the role and what was answered, which may hold line ends when what answered is not AWS.
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

// Error gives the failures, a line each.
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

// HasCode tells whether AWS answered with the code. Some codes go over the wire with "Exception" at
// the end and some without, whatever the API model calls them, so both forms match.
func (e *Error) HasCode(code string) bool {
	return e.Code != "" && strings.EqualFold(strings.TrimSuffix(e.Code, "Exception"), strings.TrimSuffix(code, "Exception"))
}

// Denies tells whether AWS refused the named action, sts:TagSession for example. AWS words a
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
		e.RequestID, e.Status = clip(c.redact(response.ServiceRequestID()), maxCode), response.HTTPStatusCode()
	}
	if cause := context.Cause(ctx); cause != nil {
		e.Err = cause
		return e
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != "" && api.ErrorCode() != "UnknownError" {
		e.Code, e.Message = clip(c.redact(api.ErrorCode()), maxCode), clip(c.redact(api.ErrorMessage()), maxMessage)
		return e
	}
	e.Err = connectionError(err, e.Status)
	return e
}

// connectionError names what went wrong when there was no error document to read.
func connectionError(err error, status int) error {
	var tooLarge *http.MaxBytesError
	var urlError *url.Error
	var lost *net.OpError
	var answer *answerError
	var undecoded *smithy.DeserializationError
	switch {
	case errors.As(err, &answer):
		return answer
	case errors.As(err, &tooLarge):
		return fmt.Errorf("the answer is larger than %d bytes", tooLarge.Limit)
	case errors.As(err, &urlError) && strings.Contains(urlError.Err.Error(), "malformed "):
		return fmt.Errorf("what %s answered is not HTTP", host(urlError.URL)) // net/http quotes it
	case errors.As(err, &urlError) && urlError.Timeout():
		return fmt.Errorf("no answer from %s within %s: %w", host(urlError.URL), attemptTimeout, context.DeadlineExceeded)
	case errors.As(err, &urlError):
		return fmt.Errorf("no answer from %s: %w", host(urlError.URL), urlError.Err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the answer was not complete after %s: %w", attemptTimeout, context.DeadlineExceeded)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &lost):
		return fmt.Errorf("the answer was cut short (HTTP %d)", status)
	case status >= 300 || errors.As(err, &undecoded):
		// The decoder's own text can quote the body, and a body can hold credentials.
		return fmt.Errorf("the answer is not one of AWS STS (HTTP %d)", status)
	}
	return err
}

// clip cuts s to limit bytes, between characters.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "..."
}

func host(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "the endpoint"
	}
	return u.Host
}

// answerError is an answer that decodes but cannot be what was asked for.
type answerError struct{ what string }

func (e *answerError) Error() string { return e.what }
