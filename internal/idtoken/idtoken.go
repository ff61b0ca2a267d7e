// Package idtoken requests the job's OIDC token from GitHub, with the retries that its issuer needs,
// and reads a token's claims. It verifies nothing: AWS does.
package idtoken

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/hubspoke-chain/internal/transport"
)

// Waits between attempts.
const (
	firstWait = 250 * time.Millisecond // doubles with each attempt
	maxWait   = 5 * time.Second
)

// service is the endpoint's name where its address is not known.
const service = "GitHub's token endpoint"

// Requester requests ID tokens.
type Requester struct {
	// Get sends one request; go-githubactions' GetIDToken has this shape.
	Get func(ctx context.Context, audience string) (string, error)
	// MaxAttempts of one token, 1 or more.
	MaxAttempts int
	// Retrying is called before each wait, after attempt, counted from 1. It may be nil.
	Retrying func(err error, attempt int, wait time.Duration)

	close func() // closes the idle connections; nil when there are none
}

// New returns a requester for the endpoint that the runner names in ACTIONS_ID_TOKEN_REQUEST_URL, with
// ACTIONS_ID_TOKEN_REQUEST_TOKEN, both read through getenv. The fields of Requester describe attempts and retrying.
func New(getenv func(string) string, network transport.Network, attempts int, retrying func(err error, attempt int, wait time.Duration)) Requester {
	client := network.Client(1)
	a := githubactions.New(githubactions.WithGetenv(getenv), githubactions.WithHTTPClient(client))
	return Requester{Get: a.GetIDToken, MaxAttempts: attempts, Retrying: retrying, close: client.CloseIdleConnections}
}

// Error is a token that was not issued. It holds nothing of the response's body, which can hold a token.
type Error struct {
	MissingEnv string           // ACTIONS_ID_TOKEN_REQUEST_URL or _TOKEN when the runner did not set it
	Status     int              // HTTP status; 0 when there was no response, 200 for a response without a token
	NotInJob   bool             // GitHub reports that the job is not in progress, not yet or no longer
	Reason     transport.Reason // why there is no usable response; empty for an error response of GitHub
	Attempts   int              // that were made
	Err        error            // the cause; nil for an error response

	transient bool
}

// Error returns what happened, on one line.
func (e *Error) Error() string {
	switch {
	case e.MissingEnv != "":
		return "missing " + e.MissingEnv + " (ensure the job has permissions: id-token: write)"
	case e.NotInJob:
		return fmt.Sprintf("GitHub does not issue a token because the job is not in progress (HTTP %d)", e.Status)
	case e.Err != nil:
		return e.Err.Error()
	}
	return fmt.Sprintf(service+" returned HTTP %d", e.Status)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Request returns a token for the audience: a JWT of at most 20,000 bytes. Its error is an *Error, or
// the context's cause when that ended first.
func (r Requester) Request(ctx context.Context, audience string) (string, error) {
	if r.close != nil {
		defer r.close()
	}
	for attempt := 1; ; attempt++ {
		token, failure := r.once(ctx, audience)
		if failure == nil {
			return token, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		failure.Attempts = attempt
		if !failure.transient || attempt >= r.MaxAttempts {
			return "", failure
		}
		// Half of the wait is fixed so that a job which is not marked running yet gets the time it
		// needs, half is random so that the jobs of a matrix spread out.
		wait := min(firstWait<<min(attempt-1, 10), maxWait)
		wait = wait/2 + rand.N(wait/2)
		if r.Retrying != nil {
			r.Retrying(failure, attempt, wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

func (r Requester) once(ctx context.Context, audience string) (string, *Error) {
	ctx, cancel := context.WithTimeout(ctx, transport.AttemptTimeout)
	defer cancel()
	token, err := r.Get(ctx, audience)
	if err != nil {
		return "", classify(err)
	}
	if token == "" {
		return "", &Error{Status: http.StatusOK, Reason: transport.WrongResponse, Err: errors.New(service + " returned no token")}
	}
	if _, err := ParseClaims(token); err != nil {
		return "", &Error{Status: http.StatusOK, Reason: transport.WrongResponse, Err: fmt.Errorf("%s returned something else: %w", service, err)}
	}
	return token, nil
}

// classify decides which failures are transient.
func classify(err error) *Error {
	var missing *githubactions.EnvMissingError
	if errors.As(err, &missing) {
		return &Error{MissingEnv: missing.Name, Err: err}
	}
	var refused *githubactions.RequestFailedError
	if errors.As(err, &refused) {
		e := &Error{Status: refused.StatusCode}
		// The runner waits a second before the first step because the server does not issue a token
		// for a job that is not in progress (actions/runner JobRunner.cs); it can take longer.
		// Matched behind the apostrophe of "Can't", which JSON may spell \u0027.
		e.NotInJob = refused.StatusCode == http.StatusForbidden && strings.Contains(refused.Body, "issue ID_TOKEN")
		e.transient = e.NotInJob || refused.StatusCode == http.StatusTooManyRequests || refused.StatusCode >= 500
		return e
	}
	// An error of reading the body has no type of its own: a body that ends early or stalls is a lost connection.
	if text := err.Error(); strings.Contains(text, "reading response body") || strings.Contains(text, "read response body") {
		if errors.Is(err, context.DeadlineExceeded) {
			incomplete := fmt.Errorf("the response of %s was not complete after %s: %w", service, transport.AttemptTimeout, context.DeadlineExceeded)
			return &Error{Status: http.StatusOK, Reason: transport.TimedOut, Err: incomplete, transient: true}
		}
		return &Error{Status: http.StatusOK, Reason: transport.CutShort, Err: errors.New("the response of " + service + " was cut short"), transient: true}
	}
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		reason, cause := transport.Classify(err, service, 0)
		return &Error{Reason: reason, Err: cause, transient: !transport.Permanent(err)}
	}
	return &Error{Status: http.StatusOK, Reason: transport.WrongResponse, Err: errors.New(service + " returned something that is not JSON")}
}
