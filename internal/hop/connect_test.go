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
)

// TestConnections counts the connections of a hop: one, opened while the token is being minted, for
// both calls. net/http gives up a connection whose writing end does not report within 50 ms, as happens on
// a machine under load, so one hop of three must do.
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
	h.Endpoint, _ = url.Parse(server.URL)
	mint := h.Token
	h.Token = func(ctx context.Context, audience string) (string, error) {
		select {
		case <-ahead: // without a request so far
			return mint(ctx, audience)
		case <-time.After(10 * time.Second):
			return "", errors.New("nothing was opened ahead")
		}
	}
	if err := Run(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	return connections.Load()
}

// TestOldConnection leaves the connection that was opened ahead unused for too long: another is made.
func TestOldConnection(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	endpoint, _ := url.Parse(server.URL)
	for age, want := range map[time.Duration]int32{maxWarmAge - time.Minute: 1, maxWarmAge: 2} {
		connections.Store(0)
		c := openConnection(t.Context(), endpoint, nil, nil)
		ahead := <-c.first
		<-c.first // closed: nobody writes to it any more
		c.first = make(chan net.Conn, 1)
		c.first <- ahead
		close(c.first)
		c.opened = time.Now().Add(-age)
		response, err := c.client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		c.close()
		if got := connections.Load(); got != want {
			t.Errorf("%d connections at the age of %s, want %d", got, age, want)
		}
	}
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
	h.Endpoint, _ = url.Parse(server.URL)
	h.Token = func(context.Context, string) (string, error) { <-opened; return "", errors.New("no token") }
	if err := Run(context.Background(), h); err == nil {
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
	h.Endpoint, h.MaxAttempts = &url.URL{Scheme: "http", Host: address}, 2
	err = Run(context.Background(), h)
	if want := fmt.Sprintf("assuming hub role %s: no answer from %s: dial tcp %[2]s: connect: connection refused", hubRole, address); text(err) != want {
		t.Errorf("got  %s\nwant %s", text(err), want)
	}
	if got := asked(r.events); got != "retry(1,)" {
		t.Errorf("got %s, want one retry", got)
	}
}

// raw answers the first requests with these bytes, whatever was asked, and then as r does.
func raw(t *testing.T, r *recording, first ...string) *url.URL {
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
		r.event("ask AssumeRoleWithWebIdentity")
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, bytes)
		conn.Close()
	}))
	t.Cleanup(server.Close)
	u, _ := url.Parse(server.URL)
	return u
}

func TestBrokenAnswer(t *testing.T) {
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
			if err := Run(context.Background(), h); err != nil {
				t.Fatal(err)
			}
			if got := asked(r.events); got != "hub retry(1,) hub spoke" {
				t.Errorf("asked %s, want one retry", got)
			}

			h, r = newHop(t)
			h.MaxAttempts = 1
			h.Endpoint = raw(t, r, bytes)
			err := Run(context.Background(), h)
			if err == nil || strings.Contains(err.Error(), "SSH") || strings.Contains(err.Error(), "<") {
				t.Errorf("got %v, want an error without the answer's text", err)
			}
		})
	}
}

// TestRedirect has STS send the token elsewhere, where nobody may see it.
func TestRedirect(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		h, _ := newHop(t)
		h.Endpoint, _ = url.Parse(server.URL)
		err := Run(context.Background(), h)
		server.Close()
		if want := fmt.Sprintf("assuming hub role %s: the answer is not one of AWS STS (HTTP %d)", hubRole, status); text(err) != want {
			t.Errorf("got %s, want %s", text(err), want)
		}
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

// TestHTTPSProxy walks through a proxy that is itself reached over TLS: its certificate is checked
// against its own name, and the endpoint's against the endpoint's.
func TestHTTPSProxy(t *testing.T) {
	t.Parallel()
	h, r := newHop(t, hubGranted(), spokeGranted())
	endpoint := httptest.NewTLSServer(r) // its certificate is for example.com and 127.0.0.1
	defer endpoint.Close()
	var names []string
	var asked []string
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		asked = append(asked, request.Method+" "+request.Host)
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
		names = append(names, hello.ServerName)
		return nil, nil
	}}
	proxy.StartTLS()
	defer proxy.Close()
	via, _ := url.Parse(proxy.URL)

	h.Endpoint = &url.URL{Scheme: "https", Host: "example.com"}
	h.Proxy = func(*url.URL) (*url.URL, error) { return via, nil }
	c, err := h.open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if c.conn.first != nil {
		t.Error("a connection past the proxy was opened ahead")
	}
	roots := x509.NewCertPool()
	roots.AddCert(proxy.Certificate())
	c.conn.client.Transport.(bounded).TLSClientConfig.RootCAs = roots
	if hub := <-c.hubSessions(context.Background()); hub.failure != nil {
		t.Fatal(hub.failure)
	}
	if len(names) != 1 || names[0] != "" || len(asked) != 1 || asked[0] != "CONNECT example.com:443" {
		t.Errorf("the proxy was greeted as %q and asked %q", names, asked)
	}
}

// TestProxyFails keeps the proxy's password out of what is told.
func TestProxyFails(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusProxyAuthRequired) }))
	defer proxy.Close()
	via, _ := url.Parse(strings.Replace(proxy.URL, "//", "//user:hunter2@", 1))
	h, _ := newHop(t)
	h.MaxAttempts = 1
	h.Endpoint = nil // the region's
	h.Proxy = func(*url.URL) (*url.URL, error) { return via, nil }
	err := Run(context.Background(), h)
	if want := "assuming hub role " + hubRole + ": no answer from sts.us-east-1.amazonaws.com: the proxy refused to connect (HTTP 407)"; text(err) != want {
		t.Errorf("got  %s\nwant %s", text(err), want)
	}
}

// TestStall has STS accept the request and fall silent, before its answer or in the middle of it: each
// attempt ends by itself. The clock and the network are the test's own.
func TestStall(t *testing.T) {
	t.Parallel()
	const silent = "no answer from localhost within 10s: context deadline exceeded"
	wants := map[string]string{"before the answer": silent, "in the head": silent, "in the body": "the answer was not complete after 10s: context deadline exceeded"}
	for name, start := range map[string]string{
		"before the answer": "",
		"in the head":       "HTTP/1.1 200 OK\r\nContent-",
		"in the body":       "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n<Assume",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hub, _ := ParseRoleARN(hubRole)
				retries := 0
				h := Hop{
					Token: func(context.Context, string) (string, error) { return idToken, nil },
					Mask:  func(string) {},
					Hub:   hub, Spokes: roles(spokeRole), SessionName: "gh-1-1", Region: "us-east-1", MaxAttempts: 3,
					Endpoint: &url.URL{Scheme: "http", Host: "localhost"},
					Proxy:    func(*url.URL) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "unused"}, nil }, // nothing is opened ahead
					Retrying: func(*Error, int, time.Duration) { retries++ },
				}
				c, err := h.open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				transport := c.conn.client.Transport.(bounded)
				transport.Proxy = nil
				transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					go func() {
						defer server.Close()
						request, err := http.ReadRequest(bufio.NewReader(server))
						if err != nil {
							return
						}
						io.Copy(io.Discard, request.Body)
						time.Sleep(time.Millisecond) // no real answer is there before the client has finished asking
						io.WriteString(server, start)
						io.Copy(io.Discard, server) // until the client goes
					}()
					return client, nil
				}
				begun := time.Now()
				failure := (<-c.hubSessions(t.Context())).failure
				took := time.Since(begun)
				if failure == nil || retries != 2 || took < 30*time.Second || took > 31*time.Second {
					t.Errorf("%d retries in %s: %v; want 3 attempts of 10 s", retries, took, failure)
				}
				if !errors.Is(failure, context.DeadlineExceeded) || !strings.HasSuffix(failure.Error(), wants[name]) {
					t.Errorf("got %v, want a time-out that says %s", failure, wants[name])
				}
			})
		})
	}
}
