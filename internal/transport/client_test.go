package transport

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

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
		c := Network{}.Connect(t.Context(), endpoint, 1)
		ahead := <-c.first
		<-c.first // closed: nothing writes to it any more
		c.first = make(chan net.Conn, 1)
		c.first <- ahead
		close(c.first)
		c.opened = time.Now().Add(-age)
		response, err := c.Client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		c.Close()
		if got := connections.Load(); got != want {
			t.Errorf("%d connections at the age of %s, want %d", got, age, want)
		}
	}
}

// TestConnectThroughProxy has nothing opened ahead where a proxy is used: it would bypass the proxy.
func TestConnectThroughProxy(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(net.Conn, http.ConnState) { connections.Add(1) }
	server.Start()
	defer server.Close()
	proxy, _ := url.Parse(server.URL)
	for endpoint, ahead := range map[string]bool{"https://sts.example.com": false, "https://direct.invalid": true, "http://127.0.0.1:1": true} {
		u, _ := url.Parse(endpoint)
		c := NewNetwork(proxy, "direct.invalid", nil).Connect(t.Context(), u, 1)
		if got := c.first != nil; got != ahead {
			t.Errorf("%s: opened ahead: %v, want %v", endpoint, got, ahead)
		}
		c.Close()
	}
	if n := connections.Load(); n > 0 {
		t.Errorf("%d connections to the proxy before any request", n)
	}
}

// TestClose ends a connection that was opened ahead and not used, and one that is still being opened.
func TestClose(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, scheme := range []string{"http", "https"} { // the listener sends nothing, so a handshake does not end
		c := Network{}.Connect(t.Context(), &url.URL{Scheme: scheme, Host: listener.Addr().String()}, 1)
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c.Close()
		conn.SetReadDeadline(time.Now().Add(AttemptTimeout))
		buffer := make([]byte, 1024) // the client's part of a handshake, and then the end
		for err == nil {
			_, err = conn.Read(buffer)
		}
		if took := time.Since(start); took >= AttemptTimeout {
			t.Errorf("%s: still open after %s", scheme, took)
		}
		conn.Close()
	}
}

// TestClient checks what every request has: HTTP/1.1 though the server offers HTTP/2, no compression, and a session of
// TLS that later connections resume.
func TestClient(t *testing.T) {
	t.Parallel()
	var resumed, requests int
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.TLS.DidResume {
			resumed++
		}
		if r.Proto != "HTTP/1.1" || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("got %s with %q", r.Proto, r.Header)
		}
		w.Header().Set("Connection", "close")
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := NewNetwork(nil, "", poolOf(server)).Client(1)
	for range 3 {
		response, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if requests != 3 || resumed != 2 {
		t.Errorf("%d requests, %d over a resumed session, want 3 and 2", requests, resumed)
	}
}

// TestRedirect returns a redirect as it is: the request holds a token.
func TestRedirect(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		response, err := Network{}.Client(1).Post(server.URL, "text/plain", strings.NewReader("token"))
		if err != nil || response.StatusCode != status {
			t.Errorf("got %v, %v, want %d", response, err, status)
		}
		server.Close()
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}
