package transport_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
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

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
	"github.com/org/hubspoke-chain/internal/transport"
)

// leak is text of a server that no error shows.
const leak = "hunter2"

// way is an endpoint and how it is reached.
type way struct {
	endpoint string
	network  transport.Network
}

// refused returns the address of a port that nothing listens on.
func refused(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return listener.Addr().String()
}

// sent returns the address of a server that reads a request and sends these bytes, whatever they are. It then closes
// the connection, or resets it.
func sent(t *testing.T, bytes string, reset bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				request, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				io.Copy(io.Discard, request.Body)
				io.WriteString(conn, bytes)
				if reset {
					time.Sleep(20 * time.Millisecond) // the client reads the header first
					conn.(*net.TCPConn).SetLinger(0)
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func direct(host string) way { return way{endpoint: "http://" + host} }

// proxied is an endpoint behind a proxy, which is the same for all rows.
func proxied(t *testing.T, proxy string) way {
	t.Helper()
	u, err := transport.ParseProxy(proxy)
	if err != nil {
		t.Fatal(err)
	}
	return way{"https://sts.example.com", transport.NewNetwork(u, "", nil)}
}

// secure returns a TLS server that no certificate authority of the system signed.
func secure(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestReasons(t *testing.T) {
	t.Parallel()
	const again, final = true, false
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
		{"cut in the header", bytes("HTTP/1.1 200 OK\r\nDate: now\r\n"),
			transport.Unreachable, "no response from HOST: net/http: HTTP/1.x transport connection broken: unexpected EOF", again},
		{"cut in a line of the header", bytes("HTTP/1.1 200 OK\r\n" + leak), transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"an unknown authority", func(t *testing.T) way { return way{endpoint: secure(t).URL} },
			transport.UntrustedCertificate, "no response from HOST: tls: failed to verify certificate: x509: certificate signed by unknown authority", final},
		{"a certificate for another name", func(t *testing.T) way {
			server := secure(t)
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			return way{strings.Replace(server.URL, "127.0.0.1", "localhost", 1), transport.NewNetwork(nil, "", roots)}
		}, transport.UntrustedCertificate, "no response from HOST: tls: failed to verify certificate: x509: certificate is valid for example.com, *.example.com, not localhost", final},
		{"a proxy of an unknown authority", func(t *testing.T) way { return proxied(t, secure(t).URL) },
			transport.UntrustedCertificate, "no response from HOST: proxyconnect tcp: tls: failed to verify certificate: x509: certificate signed by unknown authority", final},
		{"a proxy that forbids", refusing("403 " + leak), transport.ProxyRefused, "no response from HOST: the proxy refused to connect (HTTP 403)", final},
		{"a proxy that requires a password", refusing("407 " + leak), transport.ProxyRefused, "no response from HOST: the proxy refused to connect (HTTP 407)", final},
		{"a proxy that is overloaded", refusing("503 " + leak), transport.ProxyRefused, "no response from HOST: the proxy refused to connect (HTTP 503)", again},
		{"a proxy that is down", func(t *testing.T) way { return proxied(t, "http://user:"+leak+"@"+refused(t)) },
			transport.ProxyUnreachable, "no response from HOST: proxyconnect tcp: dial tcp PROXY: connect: connection refused", again},
		{"a proxy that is none", func(t *testing.T) way { return proxied(t, sent(t, "SSH-2.0-"+leak+"\r\n", false)) },
			transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"a cut body", bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + leak), transport.CutShort, "the response was cut short (HTTP 200)", again},
		{"a cut body in chunks", bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + leak), transport.CutShort, "the response was cut short (HTTP 200)", again},
		{"a reset within the body", func(t *testing.T) way {
			return direct(sent(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"+leak, true))
		},
			transport.CutShort, "the response was cut short (HTTP 200)", again},
		{"not HTTP", bytes("SSH-2.0-" + leak + "\r\n"), transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"no status", bytes("HTTP/1.1 " + leak + " OK\r\n\r\n"), transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"no version", bytes("HTTP/" + leak + " 200 OK\r\n\r\n"), transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"no header", bytes("HTTP/1.1 200 OK\r\n" + leak + "\r\n\r\n"), transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"no length", bytes("HTTP/1.1 200 OK\r\nContent-Length: " + leak + "\r\n\r\n"), transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"two lengths", bytes("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: " + leak + "\r\n\r\n"), transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"an unknown encoding", bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + leak + "\r\n\r\n"), transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"two encodings", bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: " + leak + "\r\n\r\n"),
			transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"a wrong trailer", bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n"),
			transport.WrongResponse, "the response of HOST is not HTTP", again},
		{"a redirect to nowhere", bytes("HTTP/1.1 302 Found\r\nLocation: http://%zz" + leak + "\r\nContent-Length: 0\r\n\r\n"),
			transport.WrongResponse, "the response of HOST is not HTTP", again},
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

// get returns the status of the response and the first error, that of reading its body included.
func get(ctx context.Context, client *http.Client, endpoint string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// requestToken requests an ID token with up to two attempts, and returns the failure.
func (w way) requestToken(t *testing.T, retrying func()) *idtoken.Error {
	t.Helper()
	getenv := func(name string) string {
		return map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": w.endpoint, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token"}[name]
	}
	_, err := idtoken.New(getenv, w.network, 2, func(error, int, time.Duration) { retrying() }).Request(t.Context(), "sts.amazonaws.com")
	var failure *idtoken.Error
	if !errors.As(err, &failure) {
		t.Fatalf("no failure: %v", err)
	}
	return failure
}

// run runs a hop with up to two attempts of each call, and returns the failure.
func (w way) run(t *testing.T, retrying func()) *hop.Error {
	t.Helper()
	plan := hop.Plan{
		Region:      "us-east-1",
		Hub:         hop.ARN{Partition: "aws", AccountID: "123456789012", Path: "/", Name: "hub"},
		Spokes:      []hop.ARN{{Partition: "aws", AccountID: "222222222222", Path: "/", Name: "deploy"}},
		SessionName: "gh-1-1", Audience: "sts.amazonaws.com", DurationSeconds: 900,
		Endpoint: w.endpoint, MaxAttempts: 2, TimeoutSeconds: 60,
	}
	if problems := plan.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	err := hop.Run(t.Context(), plan, w.network, hop.Hooks{
		Token:    func(context.Context, string) (string, error) { return "eyJ.eyJ.sig", nil },
		Mask:     func(string) {},
		Export:   func([]hop.Session) error { t.Error("exported"); return nil },
		Retrying: func(*hop.Error, int, time.Duration) { retrying() },
	})
	var failure *hop.Error
	if !errors.As(err, &failure) {
		t.Fatalf("no failure: %v", err)
	}
	return failure
}

// TestTooLarge has a body of one byte too many. go-githubactions reads a part of it only, which is not JSON.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat(" ", transport.MaxResponse))
		if r.URL.Path == "/" {
			io.WriteString(w, " ")
		}
	}))
	defer server.Close()
	if status, err := get(t.Context(), transport.Network{}.Client(1), server.URL+"/largest"); status != http.StatusOK || err != nil {
		t.Errorf("the largest response: HTTP %d, %v", status, err)
	}
	way := way{endpoint: server.URL}
	status, err := get(t.Context(), way.network.Client(1), way.endpoint+"/")
	const text = "the response is larger than 1048576 bytes"
	if reason, shown := transport.Classify(err, "the service", status); reason != transport.TooLarge || shown.Error() != text {
		t.Errorf("got %s: %v", reason, shown)
	}
	never := func() { t.Error("retried") }
	if failure := way.run(t, never); failure.Reason != transport.TooLarge || !strings.HasSuffix(failure.Error(), ": "+text) {
		t.Errorf("the hop: %s: %v", failure.Reason, failure)
	}
	way.endpoint += "/"
	if failure := way.requestToken(t, never); failure.Reason != transport.WrongResponse {
		t.Errorf("the token: %s: %v", failure.Reason, failure)
	}
}

// TestHeaderTooLarge has a header of more than MaxHeader bytes.
func TestHeaderTooLarge(t *testing.T) {
	t.Parallel()
	for _, length := range []int{transport.MaxHeader / 2, transport.MaxHeader} {
		way := direct(sent(t, "HTTP/1.1 200 OK\r\nX-Padding: "+strings.Repeat("x", length)+"\r\nContent-Length: 0\r\n\r\n", false))
		_, err := get(t.Context(), way.network.Client(1), way.endpoint)
		if (err != nil) != (length == transport.MaxHeader) {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

// TestStall has a server that sends nothing more, at each part of a response. The clock and the network are the test's
// own.
func TestStall(t *testing.T) {
	t.Parallel()
	const silent = "no response from sts.example.com within 10s: context deadline exceeded"
	for _, test := range []struct{ name, start, text string }{
		{"before the response", "", silent},
		{"in the header", "HTTP/1.1 200 OK\r\nContent-", silent},
		{"in the body", "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{", "the response was not complete after 10s: context deadline exceeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := transport.Network{}.Client(1)
				client.Transport.(interface {
					RegisterProtocol(scheme string, rt http.RoundTripper)
				}).RegisterProtocol("http", &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					near, far := net.Pipe()
					go func() {
						defer far.Close()
						if _, err := http.ReadRequest(bufio.NewReader(far)); err != nil {
							return
						}
						io.WriteString(far, test.start)
						io.Copy(io.Discard, far) // until the client closes it
					}()
					return near, nil
				}})
				start := time.Now()
				status, err := get(t.Context(), client, "http://sts.example.com")
				took := time.Since(start)
				reason, shown := transport.Classify(err, "the service", status)
				if reason != transport.TimedOut || shown.Error() != test.text || !errors.Is(shown, context.DeadlineExceeded) || took != transport.AttemptTimeout {
					t.Errorf("got %s: %v after %s, want %s", reason, shown, took, test.text)
				}
				if transport.Permanent(err) {
					t.Error("it is permanent")
				}
			})
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

// TestNameServer has a name server that fails, as one that is overloaded does, for the connection that is opened ahead
// and for the first attempt; and then one that returns that there is no such name, which is permanent for a hop.
//
// It is not parallel: the resolver is the process's.
func TestNameServer(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const serverFailure, noSuchName = 2, 3
	var code atomic.Int32
	go func() {
		query := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			response := slices.Clone(query[:n])
			response[2], response[3] = 0x81, 0x80|byte(code.Load()) // a response, with the code
			response[6], response[7], response[8], response[9], response[10], response[11] = 0, 0, 0, 0, 0, 0
			server.WriteTo(response[:questionEnd(response)], from)
		}
	}()
	before := net.DefaultResolver
	defer func() { net.DefaultResolver = before }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	way := way{endpoint: "https://sts.lab.invalid"}
	for _, test := range []struct {
		code       int32
		reason     transport.Reason
		hopRetries int
	}{{serverFailure, transport.Unreachable, 1}, {noSuchName, transport.NoSuchHost, 0}} {
		code.Store(test.code)
		_, err := get(t.Context(), way.network.Client(1), way.endpoint)
		reason, shown := transport.Classify(err, "the service", 0)
		if reason != test.reason || !strings.HasPrefix(shown.Error(), "no response from sts.lab.invalid: dial tcp: lookup sts.lab.invalid") || transport.Permanent(err) {
			t.Errorf("code %d: got %s: %v, want %s", test.code, reason, shown, test.reason)
		}
		retries := 0
		if failure := way.requestToken(t, func() { retries++ }); failure.Reason != test.reason || retries != 1 {
			t.Errorf("code %d: the token: %s, %d retries: %v", test.code, failure.Reason, retries, failure)
		}
		retries = 0
		if failure := way.run(t, func() { retries++ }); failure.Reason != test.reason || retries != test.hopRetries {
			t.Errorf("code %d: the hop: %s, %d retries: %v", test.code, failure.Reason, retries, failure)
		}
	}
	code.Store(noSuchName)
	unknown, _ := url.Parse("http://proxy.lab.invalid:3128")
	way.network = transport.NewNetwork(unknown, "", nil)
	if failure := way.requestToken(t, func() {}); failure.Reason != transport.ProxyUnreachable {
		t.Errorf("a proxy without a name: %s: %v", failure.Reason, failure)
	}
}

// questionEnd is where the question of a DNS message ends: labels, a zero, type and class.
func questionEnd(message []byte) int {
	at := 12
	for at < len(message) && message[at] != 0 {
		at += int(message[at]) + 1
	}
	return at + 5
}
