package idtoken

import (
	"context"
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
)

var good = token(`{"sub":"repo:o/r:pull_request","aud":"sts.amazonaws.com"}`)

// asker asks a server as the action does, with go-githubactions.
func asker(requestURL, requestToken string) *githubactions.Action {
	return githubactions.New(githubactions.WithGetenv(func(name string) string {
		return map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": requestURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": requestToken}[name]
	}), githubactions.WithHTTPClient(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}))
}

func TestMint(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.Header.Get("Authorization") != "Bearer request-token" || r.URL.Query().Get("audience") != "sts.amazonaws.com" || r.URL.Query().Get("api-version") != "2.0" {
			t.Errorf("asked %s %s with %q", r.Method, r.URL, r.Header)
		}
		fmt.Fprintf(w, `{"count":1,"value":%q}`, good)
	}))
	defer server.Close()
	m := Minter{Get: asker(server.URL+"/idtoken?api-version=2.0", "request-token").GetIDToken, MaxAttempts: 1}
	if got, err := m.Mint(t.Context(), "sts.amazonaws.com"); err != nil || got != good {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestNew asks through a proxy, over one connection that is gone afterwards, and follows nobody elsewhere.
func TestNew(t *testing.T) {
	t.Parallel()
	answers := []func(w http.ResponseWriter, r *http.Request){
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"value":%q}`, good) },
		func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	}
	var asked, opened, closed atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "http://issuer.example.com/idtoken?audience=sts.amazonaws.com" || r.Header.Get("Authorization") != "Bearer request-token" {
			t.Errorf("asked %s with %q", r.URL, r.Header)
		}
		answers[asked.Add(1)-1](w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			closed.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	getenv := func(name string) string {
		return map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "http://issuer.example.com/idtoken", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token"}[name]
	}
	proxy := func(*url.URL) (*url.URL, error) { return url.Parse(server.URL) }
	told := 0
	m := New(getenv, proxy, nil, 2, func(error, int, time.Duration) { told++ })
	if got, err := m.Mint(t.Context(), "sts.amazonaws.com"); err != nil || got != good || told != 1 || opened.Load() != 1 {
		t.Errorf("got %q, %v, told %d times, over %d connections", got, err, told, opened.Load())
	}
	for deadline := time.Now().Add(10 * time.Second); closed.Load() != 1; {
		if time.Now().After(deadline) {
			t.Fatal("the connection stays open")
		}
		time.Sleep(time.Millisecond)
	}
	const want = "GitHub's token endpoint answered HTTP 302"
	if _, err := m.Mint(t.Context(), "sts.amazonaws.com"); err == nil || err.Error() != want || asked.Load() != 3 {
		t.Errorf("got %v after %d requests, want %s", err, asked.Load(), want)
	}
}

// TestClasses has one answer after the other; what may pass by itself is asked again once.
func TestClasses(t *testing.T) {
	t.Parallel()
	const endpoint = "GitHub's token endpoint answered "
	for _, test := range []struct {
		name      string
		status    int
		body      string
		err       string
		retryable bool
		notInJob  bool
	}{
		{"job not running yet", 403, `{"message":"Can't issue ID_TOKEN for non-inprogress job"}`,
			"GitHub does not issue a token because it does not hold the job to be running (HTTP 403)", true, true},
		{"job not running yet, escaped", 403, `{"message":"Can\u0027t issue ID_TOKEN for non-inprogress job"}`,
			"GitHub does not issue a token because it does not hold the job to be running (HTTP 403)", true, true},
		{"throttled", 429, "slow down", "GitHub's token endpoint answered HTTP 429", true, false},
		{"server error", 500, good, "GitHub's token endpoint answered HTTP 500", true, false},
		{"gateway", 502, "<html>", "GitHub's token endpoint answered HTTP 502", true, false},
		{"unavailable", 503, "", "GitHub's token endpoint answered HTTP 503", true, false},
		{"refused", 403, good, "GitHub's token endpoint answered HTTP 403", false, false},
		{"bad request token", 401, "", "GitHub's token endpoint answered HTTP 401", false, false},
		{"not found", 404, "", "GitHub's token endpoint answered HTTP 404", false, false},
		{"redirect", 302, "", "GitHub's token endpoint answered HTTP 302", false, false},
		{"no value", 200, `{}`, endpoint + "without a token", false, false},
		{"empty value", 200, `{"value":""}`, endpoint + "without a token", false, false},
		{"a page", 200, "<html>" + good, endpoint + "with something that is not JSON", false, false},
		{"not a token", 200, `{"value":"hunter2"}`, endpoint + "with something else: the token is not a JWT", false, false},
		{"an endless answer", 200, `{"value":"` + strings.Repeat("a", 70000) + `"}`, endpoint + "with something that is not JSON", false, false},
		{"a large token", 200, `{"value":"a.` + strings.Repeat("A", 30000) + `.c"}`, endpoint + "with something else: the token is larger than the 20000 bytes that AWS takes", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			}))
			defer server.Close()
			var told []string
			m := Minter{Get: asker(server.URL, "request-token").GetIDToken, MaxAttempts: 2, Retrying: func(err error, attempt int, _ time.Duration) {
				told = append(told, fmt.Sprintf("%d: %v", attempt, err))
			}}
			_, err := m.Mint(t.Context(), "a")
			var failure *Error
			if !errors.As(err, &failure) || err.Error() != test.err {
				t.Fatalf("got  %v\nwant %s", err, test.err)
			}
			attempts := 1
			if test.retryable {
				attempts = 2
			}
			if int(asked.Load()) != attempts || failure.Attempts != attempts || failure.Status != test.status || failure.NotInJob != test.notInJob || len(told) != attempts-1 {
				t.Errorf("asked %d times, told %q, got %+v, want %d attempts", asked.Load(), told, failure, attempts)
			}
			if test.retryable && told[0] != "1: "+test.err {
				t.Errorf("told %q", told)
			}
		})
	}
}

// TestBrokenAnswer writes bytes in place of an answer; each is a lost connection, asked again.
func TestBrokenAnswer(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"val": "the answer of GitHub's token endpoint was cut short",
		"SSH-2.0-" + good + "\r\n":                             "what HOST answered is not HTTP",
		"":                                                     "no answer from HOST: EOF",
	} {
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, bytes)
			conn.Close()
		}))
		_, err := Minter{Get: asker(server.URL, "request-token").GetIDToken, MaxAttempts: 2}.Mint(t.Context(), "a")
		u, _ := url.Parse(server.URL)
		server.Close()
		if want = strings.ReplaceAll(want, "HOST", u.Host); err == nil || err.Error() != want || asked.Load() != 2 {
			t.Errorf("asked %d times: got %v, want %s", asked.Load(), err, want)
		}
	}
}

func TestMissingEnv(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, token, missing string }{
		{"", "t", "ACTIONS_ID_TOKEN_REQUEST_URL"},
		{"https://localhost", "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"},
	} {
		_, err := Minter{Get: asker(test.url, test.token).GetIDToken, MaxAttempts: 5}.Mint(t.Context(), "a")
		var failure *Error
		if !errors.As(err, &failure) || failure.MissingEnv != test.missing || failure.Attempts != 1 ||
			err.Error() != "missing "+test.missing+" (ensure the job has permissions: id-token: write)" {
			t.Errorf("got %v", err)
		}
	}
}

func TestURLThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, err := Minter{Get: asker("https://a b\x7f", "t").GetIDToken, MaxAttempts: 5}.Mint(t.Context(), "a")
	var failure *Error
	if !errors.As(err, &failure) || failure.Attempts != 1 {
		t.Errorf("got %v after more than one attempt", err)
	}
}

// refused is what go-githubactions answers for an HTTP status.
func refused(status int) error { return &githubactions.RequestFailedError{StatusCode: status} }

// TestWaits measures the waits between attempts on the test's own clock: each is between half of its
// step and the whole, 250 ms doubled up to 5 s.
func TestWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		var told []time.Duration
		m := Minter{MaxAttempts: 8, Get: func(context.Context, string) (string, error) {
			at = append(at, time.Now())
			return "", refused(503)
		}, Retrying: func(_ error, _ int, wait time.Duration) { told = append(told, wait) }}
		if _, err := m.Mint(t.Context(), "a"); err == nil {
			t.Error("no error")
		}
		first := slices.Clone(told)
		if _, err := m.Mint(t.Context(), "a"); err == nil || slices.Equal(first, told[len(first):]) {
			t.Errorf("%v, and the same waits twice: %v", err, first) // jobs of a matrix would all ask at once
		}
		at, told = at[:len(at)/2], first
		steps := []time.Duration{250, 500, 1000, 2000, 4000, 5000, 5000}
		if len(at) != 8 || len(told) != len(steps) {
			t.Fatalf("%d attempts, %d waits", len(at), len(told))
		}
		for i, step := range steps {
			step *= time.Millisecond
			if got := at[i+1].Sub(at[i]); got < step/2 || got >= step || got != told[i] {
				t.Errorf("wait %d took %s and was told as %s, want %s to %s", i+1, got, told[i], step/2, step)
			}
		}
	})
}

// TestAttemptTimeout has GitHub fall silent: an attempt ends after 10 s and counts as no answer.
func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	for _, stall := range []func(ctx context.Context) error{
		func(ctx context.Context) error {
			return fmt.Errorf("failed to make HTTP request: %w", &url.Error{Op: "Get", URL: "https://github.example/x", Err: ctx.Err()})
		},
		func(ctx context.Context) error { return fmt.Errorf("failed to read response body: %w", ctx.Err()) },
	} {
		synctest.Test(t, func(t *testing.T) {
			begun, asked := time.Now(), 0
			m := Minter{MaxAttempts: 2, Get: func(ctx context.Context, _ string) (string, error) {
				if asked++; asked == 2 {
					return good, nil
				}
				<-ctx.Done()
				return "", stall(ctx)
			}}
			got, err := m.Mint(t.Context(), "a")
			if took := time.Since(begun); err != nil || got != good || took < 10*time.Second || took > 11*time.Second {
				t.Errorf("got %q, %v after %s", got, err, took)
			}
		})
	}
}

// TestCancelled ends the step during an attempt and during a wait; both end at once, with the cause.
func TestCancelled(t *testing.T) {
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
			_, err := Minter{Get: get, MaxAttempts: 5}.Mint(ctx, "a")
			if took := time.Since(begun); !errors.Is(err, cause) || took != 50*time.Millisecond {
				t.Errorf("%s: got %v after %s", name, err, took)
			}
		})
	}
}
