package transport_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/hubspoke-chain/internal/transport"
)

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
