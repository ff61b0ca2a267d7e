package idtoken

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/hubspoke-chain/internal/transport"
)

var good = token(`{"sub":"repo:o/r:pull_request","aud":"sts.amazonaws.com"}`)

// requester requests tokens as the action does, from an endpoint that is reached directly.
func requester(requestURL, requestToken string, attempts int, retrying func(error, int, time.Duration)) Requester {
	return New(environment(requestURL, requestToken), transport.Network{}, attempts, retrying)
}

func environment(requestURL, requestToken string) func(string) string {
	return func(name string) string {
		return map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": requestURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": requestToken}[name]
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.Header.Get("Authorization") != "Bearer request-token" || r.URL.Query().Get("audience") != "sts.amazonaws.com" || r.URL.Query().Get("api-version") != "2.0" {
			t.Errorf("got %s %s with %q", r.Method, r.URL, r.Header)
		}
		fmt.Fprintf(w, `{"count":1,"value":%q}`, good)
	}))
	defer server.Close()
	r := requester(server.URL+"/idtoken?api-version=2.0", "request-token", 1, nil)
	if got, err := r.Request(t.Context(), "sts.amazonaws.com"); err != nil || got != good {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestNew requests tokens through a proxy, over one connection that is closed afterwards, and follows no redirect.
func TestNew(t *testing.T) {
	t.Parallel()
	responses := []func(w http.ResponseWriter, r *http.Request){
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"value":%q}`, good) },
		func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	}
	var requests, opened, closed atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "example.com" || r.URL.String() != "/idtoken?audience=sts.amazonaws.com" || r.Header.Get("Authorization") != "Bearer request-token" {
			t.Errorf("got %s %s with %q", r.Host, r.URL, r.Header)
		}
		responses[requests.Add(1)-1](w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			closed.Add(1)
		}
	}
	server.StartTLS() // with a certificate for example.com
	defer server.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "CONNECT" || r.Host != "example.com:443" {
			t.Errorf("the proxy got %s %s", r.Method, r.Host)
		}
		client, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		upstream, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			defer upstream.Close() // as the client does
			io.Copy(upstream, client)
		}()
		io.Copy(client, upstream)
	}))
	defer proxy.Close()
	via, _ := url.Parse(proxy.URL)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	retries := 0
	r := New(environment("https://example.com/idtoken", "request-token"), transport.NewNetwork(via, "", roots), 2, func(error, int, time.Duration) { retries++ })
	if got, err := r.Request(t.Context(), "sts.amazonaws.com"); err != nil || got != good || retries != 1 || opened.Load() != 1 {
		t.Errorf("got %q, %v, with %d retries, over %d connections", got, err, retries, opened.Load())
	}
	for deadline := time.Now().Add(10 * time.Second); closed.Load() != 1; {
		if time.Now().After(deadline) {
			t.Fatal("the connection stays open")
		}
		time.Sleep(time.Millisecond)
	}
	const want = "GitHub's token endpoint returned HTTP 302"
	if _, err := r.Request(t.Context(), "sts.amazonaws.com"); err == nil || err.Error() != want || requests.Load() != 3 {
		t.Errorf("got %v after %d requests, want %s", err, requests.Load(), want)
	}
}

// TestClasses has one response after another; a transient one is retried once.
func TestClasses(t *testing.T) {
	t.Parallel()
	const endpoint = "GitHub's token endpoint returned "
	for _, test := range []struct {
		name      string
		status    int
		body      string
		err       string
		transient bool
		notInJob  bool
	}{
		{"job not running yet", 403, `{"message":"Can't issue ID_TOKEN for non-inprogress job"}`,
			"GitHub does not issue a token because the job is not in progress (HTTP 403)", true, true},
		{"job not running yet, escaped", 403, `{"message":"Can\u0027t issue ID_TOKEN for non-inprogress job"}`,
			"GitHub does not issue a token because the job is not in progress (HTTP 403)", true, true},
		{"throttled", 429, "slow down", "GitHub's token endpoint returned HTTP 429", true, false},
		{"server error", 500, good, "GitHub's token endpoint returned HTTP 500", true, false},
		{"gateway", 502, "<html>", "GitHub's token endpoint returned HTTP 502", true, false},
		{"unavailable", 503, "", "GitHub's token endpoint returned HTTP 503", true, false},
		{"refused", 403, good, "GitHub's token endpoint returned HTTP 403", false, false},
		{"bad request token", 401, "", "GitHub's token endpoint returned HTTP 401", false, false},
		{"not found", 404, "", "GitHub's token endpoint returned HTTP 404", false, false},
		{"redirect", 302, "", "GitHub's token endpoint returned HTTP 302", false, false},
		{"no value", 200, `{}`, endpoint + "no token", false, false},
		{"empty value", 200, `{"value":""}`, endpoint + "no token", false, false},
		{"a page", 200, "<html>" + good, endpoint + "something that is not JSON", false, false},
		{"not a token", 200, `{"value":"hunter2"}`, endpoint + "something else: the token is not a JWT", false, false},
		{"a large response", 200, `{"value":"` + strings.Repeat("a", 70000) + `"}`, endpoint + "something that is not JSON", false, false},
		{"a large token", 200, `{"value":"a.` + strings.Repeat("A", 30000) + `.c"}`, endpoint + "something else: the token is larger than the 20000 bytes that AWS takes", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			}))
			defer server.Close()
			var retries []string
			_, err := requester(server.URL, "request-token", 2, func(err error, attempt int, _ time.Duration) {
				retries = append(retries, fmt.Sprintf("%d: %v", attempt, err))
			}).Request(t.Context(), "a")
			var failure *Error
			if !errors.As(err, &failure) || err.Error() != test.err {
				t.Fatalf("got  %v\nwant %s", err, test.err)
			}
			attempts := 1
			if test.transient {
				attempts = 2
			}
			if int(requests.Load()) != attempts || failure.Attempts != attempts || failure.Status != test.status || failure.NotInJob != test.notInJob || len(retries) != attempts-1 {
				t.Errorf("%d requests, retries %q, got %+v, want %d attempts", requests.Load(), retries, failure, attempts)
			}
			if test.transient && retries[0] != "1: "+test.err {
				t.Errorf("retries %q", retries)
			}
			var reason transport.Reason
			if test.status == http.StatusOK {
				reason = transport.WrongResponse
			}
			if failure.Reason != reason {
				t.Errorf("the reason is %q, want %q", failure.Reason, reason)
			}
		})
	}
}

// TestBrokenResponse sends bytes that are no response; each is a lost connection, and retried.
func TestBrokenResponse(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[string]struct {
		err    string
		reason transport.Reason
	}{
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"val": {"the response of GitHub's token endpoint was cut short", transport.CutShort},
		"SSH-2.0-" + good + "\r\n":                             {"the response of HOST is not HTTP", transport.WrongResponse},
		"":                                                     {"no response from HOST: EOF", transport.Unreachable},
	} {
		var requests atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, bytes)
			conn.Close()
		}))
		_, err := requester(server.URL, "request-token", 2, nil).Request(t.Context(), "a")
		u, _ := url.Parse(server.URL)
		server.Close()
		var failure *Error
		if want.err = strings.ReplaceAll(want.err, "HOST", u.Host); !errors.As(err, &failure) || err.Error() != want.err || failure.Reason != want.reason || requests.Load() != 2 {
			t.Errorf("%d requests: got %v, want %s (%s)", requests.Load(), err, want.err, want.reason)
		}
	}
}

func TestMissingEnv(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, token, missing string }{
		{"", "t", "ACTIONS_ID_TOKEN_REQUEST_URL"},
		{"https://localhost", "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"},
	} {
		_, err := requester(test.url, test.token, 5, nil).Request(t.Context(), "a")
		var failure *Error
		if !errors.As(err, &failure) || failure.MissingEnv != test.missing || failure.Attempts != 1 ||
			err.Error() != "missing "+test.missing+" (ensure the job has permissions: id-token: write)" {
			t.Errorf("got %v", err)
		}
	}
}

func TestInvalidURL(t *testing.T) {
	t.Parallel()
	_, err := requester("https://a b\x7f", "t", 5, nil).Request(t.Context(), "a")
	var failure *Error
	if !errors.As(err, &failure) || failure.Attempts != 1 {
		t.Errorf("got %v after more than one attempt", err)
	}
}

// refused is the error of go-githubactions for an HTTP status.
func refused(status int) error { return &githubactions.RequestFailedError{StatusCode: status} }

// TestWaits measures the waits between attempts on the test's own clock: each is between half of its
// step and the whole, 250 ms doubled up to 5 s.
func TestWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		var reported []time.Duration
		r := Requester{MaxAttempts: 8, Get: func(context.Context, string) (string, error) {
			at = append(at, time.Now())
			return "", refused(503)
		}, Retrying: func(_ error, _ int, wait time.Duration) { reported = append(reported, wait) }}
		if _, err := r.Request(t.Context(), "a"); err == nil {
			t.Error("no error")
		}
		first := slices.Clone(reported)
		if _, err := r.Request(t.Context(), "a"); err == nil || slices.Equal(first, reported[len(first):]) {
			t.Errorf("%v, and the same waits twice: %v", err, first) // the jobs of a matrix would all retry at once
		}
		at, reported = at[:len(at)/2], first
		steps := []time.Duration{250, 500, 1000, 2000, 4000, 5000, 5000}
		if len(at) != 8 || len(reported) != len(steps) {
			t.Fatalf("%d attempts, %d waits", len(at), len(reported))
		}
		for i, step := range steps {
			step *= time.Millisecond
			if got := at[i+1].Sub(at[i]); got < step/2 || got >= step || got != reported[i] {
				t.Errorf("wait %d took %s and was reported as %s, want %s to %s", i+1, got, reported[i], step/2, step)
			}
		}
	})
}

// TestAttemptTimeout has GitHub send nothing, or stop within a response: an attempt ends after 10 s and is retried.
func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	for want, stall := range map[string]func(ctx context.Context) error{
		"no response from github.example within 10s: context deadline exceeded": func(ctx context.Context) error {
			return fmt.Errorf("failed to make HTTP request: %w", &url.Error{Op: "Get", URL: "https://github.example/x", Err: ctx.Err()})
		},
		"the response of GitHub's token endpoint was not complete after 10s: context deadline exceeded": func(ctx context.Context) error {
			return fmt.Errorf("failed to read response body: %w", ctx.Err())
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			begun, requests, retries := time.Now(), 0, 0
			r := Requester{MaxAttempts: 2, Get: func(ctx context.Context, _ string) (string, error) {
				if requests++; requests == 2 {
					return good, nil
				}
				<-ctx.Done()
				return "", stall(ctx)
			}, Retrying: func(err error, _ int, _ time.Duration) {
				retries++
				var failure *Error
				if !errors.As(err, &failure) || failure.Reason != transport.TimedOut || err.Error() != want || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want %s", err, want)
				}
			}}
			got, err := r.Request(t.Context(), "a")
			if took := time.Since(begun); err != nil || got != good || retries != 1 || took < 10*time.Second || took > 11*time.Second {
				t.Errorf("got %q, %v after %d retries and %s", got, err, retries, took)
			}
		})
	}
}

// TestCanceled cancels the step during an attempt and during a wait; both end at once, with the cause.
func TestCanceled(t *testing.T) {
	t.Parallel()
	cause := errors.New("interrupt signal received")
	for name, get := range map[string]func(context.Context, string) (string, error){
		"attempt": func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() },
		"wait":    func(context.Context, string) (string, error) { return "", refused(503) },
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
			begun := time.Now()
			_, err := Requester{Get: get, MaxAttempts: 5}.Request(ctx, "a")
			if took := time.Since(begun); !errors.Is(err, cause) || took != 50*time.Millisecond {
				t.Errorf("%s: got %v after %s", name, err, took)
			}
		})
	}
}
