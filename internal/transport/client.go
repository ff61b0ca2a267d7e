package transport

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Limits of one exchange.
const (
	MaxResponse    = 1 << 20          // bytes of a body; a response of AWS STS or GitHub has under 8 KiB
	MaxHeader      = 64 << 10         // bytes of a response's header, which has some ten short lines
	AttemptTimeout = 10 * time.Second // of one attempt, the connection included; a response usually takes under 200 ms
	maxWarmAge     = 10 * time.Second // of a connection opened ahead; servers close idle ones after some 20 s
)

// Client returns an HTTP client that keeps up to idle connections to a host open. It follows no redirect, since one
// would carry a token elsewhere, and it reads at most MaxResponse bytes of a body.
func (n Network) Client(idle int) *http.Client { return n.client(n.transport(idle)) }

func (n Network) client(t *http.Transport) *http.Client {
	return &http.Client{
		Transport:     bounded{t},
		Timeout:       AttemptTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (n Network) transport(idle int) *http.Transport {
	return &http.Transport{
		// No ServerName: each connection takes it from its own address, and to an https proxy that is another one. Many
		// spokes have many connections to one host, which resume the session of the first: that saves both sides the
		// certificate.
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: n.roots, ClientSessionCache: tls.NewLRUClientSessionCache(0)},
		DialContext:         (&net.Dialer{Timeout: AttemptTimeout}).DialContext,
		TLSHandshakeTimeout: AttemptTimeout,
		Proxy:               func(r *http.Request) (*url.URL, error) { return n.Via(r.URL) },
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
			if response.StatusCode != http.StatusOK {
				return &proxyError{response.StatusCode}
			}
			return nil
		},
		MaxIdleConnsPerHost:    idle,
		DisableCompression:     true,
		MaxResponseHeaderBytes: MaxHeader,
		// STS speaks HTTP/1.1, and GODEBUG=http2debug of an earlier step would print GitHub's token.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
}

// Connection is an HTTP client for one endpoint whose first connection, TLS included, is opened before the first
// request needs it.
type Connection struct {
	Client *http.Client
	stop   context.CancelFunc
	first  chan net.Conn // the connection opened ahead: one value, nil when it failed; nil when none is opened ahead
	opened time.Time     // when first was filled; read only after receiving from it
}

// Connect starts to connect to the endpoint and returns at once. Through a proxy nothing is opened ahead, since the
// CONNECT exchange belongs to http.Transport.
func (n Network) Connect(ctx context.Context, endpoint *url.URL, idle int) *Connection {
	ctx, stop := context.WithTimeout(ctx, AttemptTimeout)
	transport := n.transport(idle)
	c := &Connection{Client: n.client(transport), stop: stop}
	if via, err := n.Via(endpoint); via != nil || err != nil {
		return c
	}
	dialer := &net.Dialer{Timeout: AttemptTimeout}
	dial := dialer.DialContext
	if endpoint.Scheme == "https" {
		dial = (&tls.Dialer{NetDialer: dialer, Config: transport.TLSClientConfig}).DialContext
	}
	c.first = make(chan net.Conn, 1)
	go func() {
		conn, err := dial(ctx, "tcp", address(endpoint))
		if err != nil {
			conn = nil // the first request dials again and reports its own error
		}
		c.opened = time.Now()
		c.first <- conn
		close(c.first)
	}()
	take := func(ctx context.Context, network, addr string) (net.Conn, error) {
		select {
		case conn := <-c.first: // nil from the second dial on, when the channel is closed
			if conn != nil && time.Since(c.opened) < maxWarmAge {
				return conn, nil
			}
			if conn != nil {
				conn.Close()
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return dial(ctx, network, addr)
	}
	if endpoint.Scheme == "https" {
		transport.DialTLSContext = take
	} else {
		transport.DialContext = take
	}
	return c
}

// Close ends every connection, one that is still being opened ahead included.
func (c *Connection) Close() {
	c.stop()
	if c.first != nil {
		if conn := <-c.first; conn != nil {
			conn.Close()
		}
	}
	c.Client.CloseIdleConnections()
}

func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// bounded refuses to read more than MaxResponse bytes of a body.
type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r = r.WithContext(r.Context())
		r.Body = readOnly{r.Body}
	}
	response, err := b.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, MaxResponse)
	return response, nil
}

// readOnly hides the WriteTo of the SDK's request bodies. The SDK closes a body as soon as the response's header has
// arrived, and a closed one's WriteTo fails where its Read returns EOF. When net/http then checks whether the body is
// longer than its length, it takes that for a failed write and closes the connection with the response half read.
// Source: smithy-go v1.28.9, transport/http/client.go and internal/io/safe.go.
type readOnly struct{ io.ReadCloser }
