// Package idtoken mints the job's OIDC token from GitHub, with the retries that its issuer needs,
// and reads a token's claims. It verifies nothing: AWS does.
package idtoken

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sethvargo/go-githubactions"
)

// Limits of minting.
const (
	attemptTimeout = 10 * time.Second
	firstWait      = 250 * time.Millisecond // doubles with each attempt
	maxWait        = 5 * time.Second
)

// Minter mints ID tokens.
type Minter struct {
	// Get asks once; go-githubactions' GetIDToken has this shape.
	Get func(ctx context.Context, audience string) (string, error)
	// MaxAttempts of one token, 1 or more.
	MaxAttempts int
	// Retrying is told of each wait, after attempt, counted from 1. Nil where nobody listens.
	Retrying func(err error, attempt int, wait time.Duration)

	close func() // ends the connections once a token is there, or none; nil when there is nothing to end
}

// maxHeader is how much of an answer's header is read, in bytes; GitHub's has some ten short lines.
const maxHeader = 64 << 10

// New gives a minter that asks the endpoint which the runner names in ACTIONS_ID_TOKEN_REQUEST_URL, with
// ACTIONS_ID_TOKEN_REQUEST_TOKEN, both read through getenv, and through the proxy that proxy gives for an
// address, nil for none. roots are whose certificates are believed, nil for the system's authorities. What attempts and retrying are is said at MaxAttempts and Retrying.
func New(getenv func(string) string, proxy func(*url.URL) (*url.URL, error), roots *x509.CertPool, attempts int, retrying func(err error, attempt int, wait time.Duration)) Minter {
	transport := &http.Transport{
		Proxy:                  func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		MaxResponseHeaderBytes: maxHeader,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				return &proxyError{answer.StatusCode}
			}
			return nil
		},
		// One request needs no HTTP/2, and GODEBUG=http2debug of an earlier step would print the token.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	a := githubactions.New(githubactions.WithGetenv(getenv), githubactions.WithHTTPClient(&http.Client{
		Transport: transport,
		// The request token goes to the address that the runner named and to no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}))
	return Minter{Get: a.GetIDToken, MaxAttempts: attempts, Retrying: retrying, close: transport.CloseIdleConnections}
}

// Error is a token that was not minted. It holds nothing of the answer's body, which can hold a token.
type Error struct {
	MissingEnv  string // ACTIONS_ID_TOKEN_REQUEST_URL or _TOKEN when the runner did not set it
	Status      int    // HTTP status; 0 when there was no answer, 200 for an answer without a token
	NotInJob    bool   // GitHub does not hold the job to be running, not yet or no longer
	Attempts    int
	Err         error
	isRetryable bool
}

// Error tells what happened, on one line.
func (e *Error) Error() string {
	switch {
	case e.MissingEnv != "":
		return "missing " + e.MissingEnv + " (ensure the job has permissions: id-token: write)"
	case e.NotInJob:
		return fmt.Sprintf("GitHub does not issue a token because it does not hold the job to be running (HTTP %d)", e.Status)
	case e.Err != nil:
		return e.Err.Error()
	}
	return fmt.Sprintf("GitHub's token endpoint answered HTTP %d", e.Status)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Mint returns a token for the audience: a JWT of at most 20,000 bytes. Its error is an *Error, or
// the context's cause when that ended first.
func (m Minter) Mint(ctx context.Context, audience string) (string, error) {
	if m.close != nil {
		defer m.close()
	}
	for attempt := 1; ; attempt++ {
		token, failure := m.once(ctx, audience)
		if failure == nil {
			return token, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		failure.Attempts = attempt
		if !failure.isRetryable || attempt >= m.MaxAttempts {
			return "", failure
		}
		// Half of the wait is fixed so that a job which is not marked running yet gets the time it
		// needs, half is random so that the jobs of a matrix spread out.
		wait := min(firstWait<<min(attempt-1, 10), maxWait)
		wait = wait/2 + rand.N(wait/2)
		if m.Retrying != nil {
			m.Retrying(failure, attempt, wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

func (m Minter) once(ctx context.Context, audience string) (string, *Error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	token, err := m.Get(ctx, audience)
	if err != nil {
		return "", classify(err)
	}
	if token == "" {
		return "", &Error{Status: http.StatusOK, Err: errors.New("GitHub's token endpoint answered without a token")}
	}
	if _, err := ParseClaims(token); err != nil {
		return "", &Error{Status: http.StatusOK, Err: fmt.Errorf("GitHub's token endpoint answered with something else: %w", err)}
	}
	return token, nil
}

// proxyError is a proxy that does not connect to where it was asked to.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy refused to connect (HTTP %d)", e.status)
}

// classify decides what is worth another attempt.
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
		e.isRetryable = e.NotInJob || refused.StatusCode == http.StatusTooManyRequests || refused.StatusCode >= 500
		return e
	}
	var noAnswer *url.Error
	if errors.As(err, &noAnswer) {
		endpoint := "GitHub's token endpoint"
		if u, parseErr := url.Parse(noAnswer.URL); parseErr == nil && u.Host != "" {
			endpoint = u.Host
		}
		if strings.Contains(noAnswer.Err.Error(), "malformed ") { // net/http quotes what it could not read
			return &Error{Err: fmt.Errorf("what %s answered is not HTTP", endpoint), isRetryable: true}
		}
		var certificate *tls.CertificateVerificationError // the same server shows the same again
		var proxy *proxyError                             // what it forbids, or wants a password for, it will not allow the next time
		final := noAnswer.Op == "parse" || errors.As(err, &certificate) || errors.As(err, &proxy) && proxy.status < http.StatusInternalServerError
		return &Error{Err: fmt.Errorf("no answer from %s: %w", endpoint, noAnswer.Err), isRetryable: !final}
	}
	// A body that breaks off or stalls is a lost connection; one that is whole but not JSON is final.
	lost := strings.Contains(err.Error(), "reading response body") || strings.Contains(err.Error(), "read response body")
	if lost {
		return &Error{Status: http.StatusOK, Err: errors.New("the answer of GitHub's token endpoint was cut short"), isRetryable: true}
	}
	return &Error{Status: http.StatusOK, Err: errors.New("GitHub's token endpoint answered with something that is not JSON")}
}
