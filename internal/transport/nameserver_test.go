package transport_test

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/org/hubspoke-chain/internal/transport"
)

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
