package transport_test

import (
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/transport"
)

func TestReasons(t *testing.T) {
	t.Parallel()
	const again, final = true, false
	const notHTTP, cut = "the response of HOST is not HTTP", "the response was cut short (HTTP 200)"
	const ok, untrusted = "HTTP/1.1 200 OK\r\n", "no response from HOST: tls: failed to verify certificate: x509: "
	bytes := func(b string) func(*testing.T) way {
		return func(t *testing.T) way { return direct(sent(t, b, false)) }
	}
	refusing := func(status string) func(*testing.T) way {
		return func(t *testing.T) way {
			return proxied(t, "http://user:"+leak+"@"+sent(t, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n", false))
		}
	}
	for _, test := range []struct {
		name   string
		way    func(*testing.T) way
		reason transport.Reason
		text   string // HOST for the endpoint's host
		again  bool   // whether another attempt may succeed
	}{
		{"a port that refuses", func(t *testing.T) way { return direct(refused(t)) },
			transport.Unreachable, "no response from HOST: dial tcp HOST: connect: connection refused", again},
		{"no response at all", bytes(""), transport.Unreachable, "no response from HOST: EOF", again},
		{"cut in the header", bytes(ok + "Date: now\r\n"),
			transport.Unreachable, "no response from HOST: net/http: HTTP/1.x transport connection broken: unexpected EOF", again},
		{"cut in a line of the header", bytes(ok + leak), transport.WrongResponse, notHTTP, again},
		{"an unknown authority", func(t *testing.T) way { return way{endpoint: secure(t).URL} },
			transport.UntrustedCertificate, untrusted + "certificate signed by unknown authority", final},
		{"a certificate for another name", func(t *testing.T) way {
			server := secure(t)
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			return way{strings.Replace(server.URL, "127.0.0.1", "localhost", 1), transport.NewNetwork(nil, "", roots)}
		}, transport.UntrustedCertificate, untrusted + "certificate is valid for example.com, *.example.com, not localhost", final},
		{"a proxy of an unknown authority", func(t *testing.T) way { return proxied(t, secure(t).URL) },
			transport.UntrustedCertificate, "no response from HOST: proxyconnect tcp: tls: failed to verify certificate: x509: certificate signed by unknown authority", final},
		{"a proxy that forbids", refusing("403 " + leak),
			transport.ProxyRefused, "no response from HOST: the proxy refused to connect (HTTP 403)", final},
		{"a proxy that requires a password", refusing("407 " + leak),
			transport.ProxyRefused, "no response from HOST: the proxy refused to connect (HTTP 407)", final},
		{"a proxy that is overloaded", refusing("503 " + leak),
			transport.ProxyRefused, "no response from HOST: the proxy refused to connect (HTTP 503)", again},
		{"a proxy that is down", func(t *testing.T) way { return proxied(t, "http://user:"+leak+"@"+refused(t)) },
			transport.ProxyUnreachable, "no response from HOST: proxyconnect tcp: dial tcp PROXY: connect: connection refused", again},
		{"a proxy that is none", func(t *testing.T) way { return proxied(t, sent(t, "SSH-2.0-"+leak+"\r\n", false)) },
			transport.WrongResponse, notHTTP, again},
		{"a cut body", bytes(ok + "Content-Length: 100\r\n\r\n" + leak), transport.CutShort, cut, again},
		{"a cut body in chunks", bytes(ok + "Transfer-Encoding: chunked\r\n\r\n64\r\n" + leak),
			transport.CutShort, cut, again},
		{"a reset within the body", func(t *testing.T) way {
			return direct(sent(t, ok+"Content-Length: 100\r\n\r\n"+leak, true))
		},
			transport.CutShort, cut, again},
		{"not HTTP", bytes("SSH-2.0-" + leak + "\r\n"), transport.WrongResponse, notHTTP, again},
		{"no status", bytes("HTTP/1.1 " + leak + " OK\r\n\r\n"), transport.WrongResponse, notHTTP, again},
		{"no version", bytes("HTTP/" + leak + " 200 OK\r\n\r\n"), transport.WrongResponse, notHTTP, again},
		{"no header", bytes(ok + leak + "\r\n\r\n"), transport.WrongResponse, notHTTP, again},
		{"no length", bytes(ok + "Content-Length: " + leak + "\r\n\r\n"),
			transport.WrongResponse, notHTTP, again},
		{"two lengths", bytes(ok + "Content-Length: 1\r\nContent-Length: " + leak + "\r\n\r\n"),
			transport.WrongResponse, notHTTP, again},
		{"an unknown encoding", bytes(ok + "Transfer-Encoding: " + leak + "\r\n\r\n"),
			transport.WrongResponse, notHTTP, again},
		{"two encodings", bytes(ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: " + leak + "\r\n\r\n"),
			transport.WrongResponse, notHTTP, again},
		{"a wrong trailer", bytes(ok + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n"),
			transport.WrongResponse, notHTTP, again},
		{"a redirect to nowhere", bytes("HTTP/1.1 302 Found\r\nLocation: http://%zz" + leak + "\r\nContent-Length: 0\r\n\r\n"),
			transport.WrongResponse, notHTTP, again},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			way := test.way(t)
			u, err := url.Parse(way.endpoint)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.NewReplacer("HOST", u.Host, "PROXY", way.network.ProxyHost()).Replace(test.text)

			status, err := get(t.Context(), way.network.Client(1), way.endpoint)
			if got := transport.Permanent(err); got == test.again {
				t.Errorf("permanent: %v, %v", got, err)
			}
			reason, shown := transport.Classify(err, "the service", status)
			if reason != test.reason || shown == nil || shown.Error() != text || strings.Contains(shown.Error(), leak) {
				t.Errorf("got  %s: %v\nwant %s: %s", reason, shown, test.reason, text)
			}

			retries := 0
			tokenFailure := way.requestToken(t, func() { retries++ })
			if tokenFailure.Reason != test.reason || (retries == 1) != test.again || strings.Contains(tokenFailure.Error(), leak) {
				t.Errorf("the token: %s, %d retries: %v\nwant %s", tokenFailure.Reason, retries, tokenFailure, test.reason)
			}

			retries = 0
			hopFailure := way.run(t, func() { retries++ })
			if want := "assuming hub role arn:aws:iam::123456789012:role/hub: " + text; hopFailure.Reason != test.reason || (retries == 1) != test.again || hopFailure.Error() != want {
				t.Errorf("the hop: %s, %d retries: %v\nwant %s: %s", hopFailure.Reason, retries, hopFailure, test.reason, want)
			}
		})
	}
}

// TestOtherErrors has errors that are about no response, and addresses that cannot be parsed.
func TestOtherErrors(t *testing.T) {
	t.Parallel()
	other := errors.New("no signer")
	if reason, shown := transport.Classify(other, "the service", 200); reason != "" || shown != other || transport.Permanent(other) {
		t.Errorf("got %s: %v", reason, shown)
	}
	if reason, shown := transport.Classify(nil, "the service", 200); reason != "" || shown != nil || transport.Permanent(nil) {
		t.Errorf("no error: got %s: %v", reason, shown)
	}
	_, err := get(t.Context(), transport.Network{}.Client(1), "https://a b\x7f")
	const text = "no response from the service: net/url: invalid control character in URL"
	if reason, shown := transport.Classify(err, "the service", 0); reason != transport.Unreachable || shown.Error() != text || !transport.Permanent(err) {
		t.Errorf("got %s: %v", reason, shown)
	}
}
