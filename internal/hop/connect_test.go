package hop

import (
	"bufio"
	"context"
	"crypto/tls"
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
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/hubspoke-chain/internal/transport"
)

// TestConnections counts the connections of a hop: one, opened while the token is being requested, for
// both calls. net/http drops a connection whose writing end does not report within 50 ms, as happens on
// a machine under load, so one hop of three is enough.
func TestConnections(t *testing.T) {
	t.Parallel()
	counts := []int32{connectionsOfHop(t), connectionsOfHop(t), connectionsOfHop(t)}
	if slices.Min(counts) != 1 {
		t.Errorf("%d connections, want 1", counts)
	}
}

func connectionsOfHop(t *testing.T) int32 {
	t.Helper()
	h, r := newHop(t, hubGranted(), spokeGranted())
	var connections atomic.Int32
	ahead := make(chan struct{})
	server := httptest.NewUnstartedServer(r)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew && connections.Add(1) == 1 {
			close(ahead)
		}
	}
	server.Start()
	defer server.Close()
	h.Endpoint = server.URL
	request := h.Token
	h.Token = func(ctx context.Context, audience string) (string, error) {
		select {
		case <-ahead: // without a request so far
			return request(ctx, audience)
		case <-time.After(10 * time.Second):
			return "", errors.New("nothing was opened ahead")
		}
	}
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return connections.Load()
}

// TestNothingIsLeftOpen ends a hop before the connection opened ahead is used.
func TestNothingIsLeftOpen(t *testing.T) {
	t.Parallel()
	closed, opened := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h, r := newHop(t)
	server := httptest.NewUnstartedServer(r)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			close(opened)
		case http.StateClosed:
			once.Do(func() { close(closed) })
		}
	}
	server.Start()
	defer server.Close()
	h.Endpoint = server.URL
	h.Token = func(context.Context, string) (string, error) { <-opened; return "", errors.New("no token") }
	if err := h.run(t.Context()); err == nil {
		t.Fatal("no error")
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection is still open")
	}
}

// TestUnreachable has the connection opened ahead fail; the first request reports its own error.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	h, r := newHop(t)
	h.Endpoint, h.MaxAttempts = "http://"+address, 2
	err = h.run(t.Context())
	if want := fmt.Sprintf("assuming hub role %s: no response from %s: dial tcp %[2]s: connect: connection refused", hubRole, address); text(err) != want {
		t.Errorf("got  %s\nwant %s", text(err), want)
	}
	if got := calls(r.events); got != "retry(1,)" {
		t.Errorf("called %s, want one retry", got)
	}
}

// raw returns an endpoint that sends these bytes for the first requests, and then the responses of r.
func raw(t *testing.T, r *recording, first ...string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		var bytes string
		if len(first) > 0 {
			bytes, first = first[0], first[1:]
		}
		r.mu.Unlock()
		if bytes == "" {
			r.ServeHTTP(w, request)
			return
		}
		r.event("call AssumeRoleWithWebIdentity")
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, bytes)
		conn.Close()
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestBrokenResponse(t *testing.T) {
	t.Parallel()
	whole := hubGranted().body
	for name, bytes := range map[string]string{
		"cut short":               "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + whole[:200],
		"cut short in chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc8\r\n" + whole[:200] + "\r\n",
		"cut short in an error":   "HTTP/1.1 400 Bad Request\r\nContent-Length: 2000\r\n\r\n<ErrorResponse><Err",
		"nothing at all":          "\r",
		"something else entirely": "SSH-2.0-OpenSSH_9.9\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, r := newHop(t, hubGranted(), spokeGranted())
			h.Endpoint = raw(t, r, bytes)
			if err := h.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := calls(r.events); got != "hub retry(1,) hub spoke" {
				t.Errorf("called %s, want one retry", got)
			}

			h, r = newHop(t)
			h.MaxAttempts = 1
			h.Endpoint = raw(t, r, bytes)
			err := h.run(t.Context())
			if err == nil || strings.Contains(err.Error(), "SSH") || strings.Contains(err.Error(), "<") {
				t.Errorf("got %v, want an error without the response's text", err)
			}
		})
	}
}

// TestRedirect has STS redirect the request, which holds the token.
func TestRedirect(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		h, _ := newHop(t)
		h.Endpoint = server.URL
		err := h.run(t.Context())
		server.Close()
		if want := fmt.Sprintf("assuming hub role %s: the response is not one of AWS STS (HTTP %d)", hubRole, status); text(err) != want {
			t.Errorf("got %s, want %s", text(err), want)
		}
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

// TestHTTPSProxy runs a hop through a proxy that is itself reached over TLS: its certificate is checked
// against its own name, and the endpoint's against the endpoint's.
func TestHTTPSProxy(t *testing.T) {
	t.Parallel()
	h, r := newHop(t, hubGranted(), spokeGranted())
	endpoint := httptest.NewTLSServer(r) // its certificate is for example.com and 127.0.0.1
	defer endpoint.Close()
	var mu sync.Mutex
	var names, requests []string
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		mu.Lock()
		requests = append(requests, request.Method+" "+request.Host)
		mu.Unlock()
		client, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		upstream, err := net.Dial("tcp", endpoint.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer upstream.Close()
		io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go io.Copy(upstream, io.MultiReader(io.LimitReader(buffered, int64(buffered.Reader.Buffered())), client))
		io.Copy(client, upstream)
	}))
	proxy.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		names = append(names, hello.ServerName)
		return nil, nil
	}}
	proxy.StartTLS()
	defer proxy.Close()
	via, _ := url.Parse(proxy.URL)
	roots := x509.NewCertPool()
	roots.AddCert(proxy.Certificate())

	h.Endpoint, h.network = "https://example.com", transport.NewNetwork(via, "", roots)
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	// net/http may drop a connection on a machine under load, so the spoke call may have one of its own.
	names, requests = slices.Compact(names), slices.Compact(requests)
	if !slices.Equal(names, []string{""}) || !slices.Equal(requests, []string{"CONNECT example.com:443"}) {
		t.Errorf("the proxy was named %q in the handshakes and got %q", names, requests)
	}
}

// TestProxyFails keeps the proxy's password out of the error.
func TestProxyFails(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusProxyAuthRequired) }))
	defer proxy.Close()
	via, _ := url.Parse(strings.Replace(proxy.URL, "//", "//user:hunter2@", 1))
	h, _ := newHop(t)
	h.MaxAttempts = 1
	h.Endpoint = "" // the region's
	h.network = transport.NewNetwork(via, "", nil)
	err := h.run(t.Context())
	if want := "assuming hub role " + hubRole + ": no response from sts.us-east-1.amazonaws.com: the proxy refused to connect (HTTP 407)"; text(err) != want {
		t.Errorf("got  %s\nwant %s", text(err), want)
	}
}

// TestStall has STS accept the request and send nothing more, before its response or within it: each attempt times
// out. The clock and the network are the test's own.
func TestStall(t *testing.T) {
	t.Parallel()
	const silent = "no response from sts.example.com within 10s: context deadline exceeded"
	wants := map[string]string{"before the response": silent, "in the header": silent, "in the body": "the response was not complete after 10s: context deadline exceeded"}
	for name, start := range map[string]string{
		"before the response": "",
		"in the header":       "HTTP/1.1 200 OK\r\nContent-",
		"in the body":         "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n<Assume",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				retries := 0
				plan := Plan{
					Region: "us-east-1", Hub: roles(hubRole)[0], Spokes: roles(spokeRole), SessionName: "gh-1-1", MaxAttempts: 3,
					Endpoint: "https://sts.example.com",
				}
				hooks := Hooks{
					Token:    func(context.Context, string) (string, error) { return idToken, nil },
					Mask:     func(string) {},
					Retrying: func(*Error, int, time.Duration) { retries++ },
				}
				c, err := open(t.Context(), plan, transport.NewNetwork(&url.URL{Scheme: "http", Host: "unused"}, "", nil), hooks) // nothing is opened ahead
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				pipes := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					go func() {
						defer server.Close()
						request, err := http.ReadRequest(bufio.NewReader(server))
						if err != nil {
							return
						}
						io.Copy(io.Discard, request.Body)
						time.Sleep(time.Millisecond) // no real response is there before the client has sent its request
						io.WriteString(server, start)
						io.Copy(io.Discard, server) // until the client goes
					}()
					return client, nil
				}}
				c.conn.Client.Transport.(interface {
					RegisterProtocol(scheme string, rt http.RoundTripper)
				}).RegisterProtocol("https", pipes)
				begun := time.Now()
				failure := (<-c.hubSessions(t.Context())).failure
				took := time.Since(begun)
				if failure == nil || retries != 2 || took < 30*time.Second || took > 31*time.Second {
					t.Errorf("%d retries in %s: %v; want 3 attempts of 10 s", retries, took, failure)
				}
				if failure.Reason != transport.TimedOut || !errors.Is(failure, context.DeadlineExceeded) || !strings.HasSuffix(failure.Error(), wants[name]) {
					t.Errorf("got %v, want a timeout: %s", failure, wants[name])
				}
			})
		})
	}
}
