package hop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Limits of one exchange with STS.
const (
	maxAnswer      = 1 << 20          // bytes; a real answer is under 5 KiB
	attemptTimeout = 10 * time.Second // of one attempt, the connection included; an answer usually takes under 200 ms
	maxWarmAge     = 10 * time.Second // of a connection opened ahead; servers close idle ones after some 20 s
)

// connection is an HTTP client for one endpoint whose first connection is opened before the
// first request needs it, TLS included.
type connection struct {
	client *http.Client
	stop   context.CancelFunc
	first  chan net.Conn // what opening ahead gave: one value, nil when it failed; nil when nothing was opened ahead
	opened time.Time     // when first was filled; read only after receiving from it
}

// openConnection starts connecting to the endpoint and returns at once. Through a proxy nothing is
// opened ahead, since the CONNECT exchange belongs to http.Transport.
func openConnection(ctx context.Context, endpoint *url.URL, proxy func(*url.URL) (*url.URL, error), roots *x509.CertPool) *connection {
	ctx, stop := context.WithTimeout(ctx, attemptTimeout)
	c := &connection{stop: stop}
	dialer := &net.Dialer{Timeout: attemptTimeout}
	// STS speaks HTTP/1.1, so no ALPN is offered. No ServerName: each connection takes it from its own address, and
	// to an https proxy that is another one. Many spokes have many connections to one host, which resume the session
	// of the first: that saves both sides the certificate.
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	dial := dialer.DialContext
	if endpoint.Scheme == "https" {
		dial = (&tls.Dialer{NetDialer: dialer, Config: tlsConfig}).DialContext
	}
	transport := &http.Transport{
		TLSClientConfig:     tlsConfig,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: attemptTimeout,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				return &proxyError{answer.StatusCode}
			}
			return nil
		},
		MaxIdleConnsPerHost: maxConcurrent,
		DisableCompression:  true,
		// An answer has some ten short headers.
		MaxResponseHeaderBytes: 64 << 10,
		Proxy: func(r *http.Request) (*url.URL, error) {
			if proxy == nil {
				return nil, nil
			}
			return proxy(r.URL)
		},
	}
	c.client = &http.Client{
		Transport: bounded{transport},
		Timeout:   attemptTimeout,
		// STS never redirects; following one would carry the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if proxy != nil {
		if via, err := proxy(endpoint); via != nil || err != nil {
			return c
		}
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

// proxyError is a proxy that does not connect to where it was asked to. What net/http makes of it by itself is the
// proxy's own words for its status.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy refused to connect (HTTP %d)", e.status)
}

// close ends every connection, one that is still being opened ahead included.
func (c *connection) close() {
	c.stop()
	if c.first != nil {
		if conn := <-c.first; conn != nil {
			conn.Close()
		}
	}
	c.client.CloseIdleConnections()
}

func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// bounded refuses to read more than maxAnswer of an answer.
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
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	return response, nil
}

// readOnly hides the WriteTo of the SDK's request bodies. The SDK closes a body as soon as the answer's
// header is there, and a closed one's WriteTo fails where its Read says EOF. When net/http then looks
// whether the body has more than it said, it takes that for a failed write and closes the connection,
// with the answer in it half read.
// Source: smithy-go v1.28.9, transport/http/client.go and internal/io/safe.go.
type readOnly struct{ io.ReadCloser }
