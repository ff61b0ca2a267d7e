//go:build tools

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/moto"
)

// s3 is moto's S3 behind a proxy that records each request and its caller. Unlike moto, the proxy rejects sessions that
// have expired or were not issued by the lab.
type s3 struct {
	url string
	lab *lab.Lab

	mu   sync.Mutex
	seen []s3Request
}

// s3Request is a request and how it was answered.
type s3Request struct {
	method, path, key string // key is the access key id
	at                time.Time
	status            int
}

// startS3 starts it with a bucket called state.
func startS3(t *testing.T, l *lab.Lab) *s3 {
	t.Helper()
	server, err := url.Parse(moto.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.String()+"/state", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("making the bucket: %s, %v", answer.Status, err)
	}
	s := &s3{lab: l}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(server) }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, proxy) }))
	t.Cleanup(front.Close)
	s.url = front.URL
	return s
}

var credential = regexp.MustCompile(`Credential=([^/]+)/`)

func (s *s3) serve(w http.ResponseWriter, r *http.Request, proxy http.Handler) {
	seen := s3Request{method: r.Method, path: r.URL.Path, at: time.Now()}
	if m := credential.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		seen.key = m[1]
	}
	recorder := httptest.NewRecorder()
	if s.alive(seen.key, seen.at) {
		proxy.ServeHTTP(recorder, r)
	} else {
		// As S3 has it ("Error responses", Amazon S3 API reference).
		recorder.Header().Set("Content-Type", "application/xml")
		recorder.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(recorder, "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>")
	}
	seen.status = recorder.Code
	s.mu.Lock()
	s.seen = append(s.seen, seen)
	s.mu.Unlock()
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(recorder.Code)
	_, _ = recorder.Body.WriteTo(w) // a client that has gone away notices itself
}

// alive reports whether the lab issued the credentials of the key and they are valid at that time.
func (s *s3) alive(key string, at time.Time) bool {
	for _, e := range s.lab.Events() {
		credentials, _ := e.ResponseElements["credentials"].(map[string]string)
		if key == "" || credentials["accessKeyId"] != key {
			continue
		}
		ends, err := time.Parse("Jan 2, 2006, 3:04:05 PM", credentials["expiration"]) // CloudTrail's form
		return err == nil && at.Before(ends)
	}
	return false
}

func (s *s3) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
}

// first returns the first request of that kind.
func (s *s3) first(t *testing.T, method, path string) s3Request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen {
		if r.method == method && r.path == path {
			return r
		}
	}
	t.Fatalf("there was no %s %s among %v", method, path, s.seen)
	return s3Request{}
}
