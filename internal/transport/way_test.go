package transport_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
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
