package hop

import (
	"context"
	"crypto/tls"
	"encoding/pem"
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
	"time"

	"github.com/org/hubspoke-chain/internal/selfsigned"
)

// certificate gives a certificate of its own making in PEM.
func certificate(t *testing.T, notAfter time.Time) string {
	t.Helper()
	c, err := selfsigned.New("Company", notAfter)
	if err != nil {
		t.Fatal(err)
	}
	return selfsigned.PEM(c)
}

func TestParseRoots(t *testing.T) {
	t.Parallel()
	good, old := certificate(t, time.Now().Add(time.Hour)), certificate(t, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	for _, text := range []string{good, "# the company's\n" + good + "\n" + good} {
		if roots, err := ParseRoots([]byte(text)); err != nil || roots == nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	const garbage = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
	for in, want := range map[string]string{
		"":      "there is no PEM block -----BEGIN CERTIFICATE----- in it",
		"hello": "there is no PEM block -----BEGIN CERTIFICATE----- in it",
		good + "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n": "block 2 is a PRIVATE KEY and not a CERTIFICATE",
		garbage:                                 "certificate 1 cannot be read: x509: malformed certificate",
		old:                                     `certificate 1, of "CN=Company", was good until 2020-01-01T00:00:00Z`,
		good + "-----BEGIN CERTIFICATE-----\n?": "block 2 cannot be read as PEM",
	} {
		if roots, err := ParseRoots([]byte(in)); roots != nil || text(err) != want {
			t.Errorf("%q: got %s, want %s", in, text(err), want)
		}
	}
}

func TestParseProxy(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"proxy:3128":                     "http://proxy:3128",
		"http://proxy":                   "http://proxy",
		"https://u:p%40@proxy.example:1": "https://u:p%40@proxy.example:1",
		"[::1]:3128":                     "http://[::1]:3128",
	} {
		if u, err := ParseProxy(value); err != nil || u.String() != want {
			t.Errorf("%s: got %v, %v", value, u, err)
		}
	}
	for _, value := range []string{"", "://", "socks5://proxy", "http://", "http://u:hunter2@", "http://u:hunter2@pro xy"} {
		if _, err := ParseProxy(value); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", value, err)
		}
	}
}

// TestRoots walks over TLS to a server whose authority no system knows. Without it the first answer is final: the same
// server would show the same certificate again.
func TestRoots(t *testing.T) {
	t.Parallel()
	h, r := newHop(t, hubGranted(), spokeGranted())
	var handshakes atomic.Int32
	server := httptest.NewUnstartedServer(r)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		handshakes.Add(1)
		return nil, nil
	}}
	server.StartTLS()
	defer server.Close()
	h.Endpoint, _ = url.Parse(server.URL)
	err := Run(context.Background(), h)
	var disbelieved *tls.CertificateVerificationError
	if !errors.As(err, &disbelieved) || slices.ContainsFunc(r.events, func(e string) bool { return strings.HasPrefix(e, "retry") }) {
		t.Errorf("got %v after %q", err, r.events)
	}
	if n := handshakes.Load(); n > 2 { // the one that is opened ahead, and the request's own
		t.Errorf("%d handshakes", n)
	}

	h.Roots, err = ParseRoots(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(context.Background(), h); err != nil {
		t.Fatal(err)
	}
}

// TestEndpoints asks a proxy where the SDK would go in each partition.
// Source: the partitions of aws-sdk-go-v2/service/sts's endpoint rule set, and the AWS General Reference, "AWS Security Token Service endpoints and quotas".
func TestEndpoints(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"us-east-1":      "sts.us-east-1.amazonaws.com:443",
		"eu-central-1":   "sts.eu-central-1.amazonaws.com:443",
		"cn-north-1":     "sts.cn-north-1.amazonaws.com.cn:443",
		"cn-northwest-1": "sts.cn-northwest-1.amazonaws.com.cn:443",
		"us-gov-west-1":  "sts.us-gov-west-1.amazonaws.com:443",
		"us-gov-east-1":  "sts.us-gov-east-1.amazonaws.com:443",
		"us-iso-east-1":  "sts.us-iso-east-1.c2s.ic.gov:443",
		"us-isob-east-1": "sts.us-isob-east-1.sc2s.sgov.gov:443",
		"eusc-de-east-1": "sts.eusc-de-east-1.amazonaws.eu:443",
	} {
		var asked atomic.Value
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Store(r.Method + " " + r.Host)
			http.Error(w, "no", http.StatusForbidden)
		}))
		via, _ := url.Parse(proxy.URL)
		h, _ := newHop(t)
		h.MaxAttempts, h.Endpoint, h.Region = 1, nil, region
		h.Proxy = func(*url.URL) (*url.URL, error) { return via, nil }
		if err := Run(context.Background(), h); err == nil || asked.Load() != "CONNECT "+want {
			t.Errorf("%s: asked %v, want %s (%v)", region, asked.Load(), want, err)
		}
		proxy.Close()
	}
}

// TestNameServerFails has the name server fail at first, as one that is overloaded does, for the connection that is
// opened ahead and for the first attempt; and then say that there is no such name, which is final.
//
// It is not parallel: the resolver is the process's.
func TestNameServerFails(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const serverFailure, noSuchName = 2, 3
	var code atomic.Int32
	code.Store(serverFailure)
	go func() {
		query := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			answer := slices.Clone(query[:n])
			answer[2], answer[3] = 0x81, 0x80|byte(code.Load()) // a response, with the code
			answer[6], answer[7], answer[8], answer[9], answer[10], answer[11] = 0, 0, 0, 0, 0, 0
			answer = answer[:questionEnd(answer)]
			server.WriteTo(answer, from)
		}
	}()
	before := net.DefaultResolver
	defer func() { net.DefaultResolver = before }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	for _, test := range []struct {
		code    int32
		retries int
	}{{serverFailure, 1}, {noSuchName, 0}} {
		code.Store(test.code)
		h, r := newHop(t)
		h.MaxAttempts, h.Endpoint = 2, &url.URL{Scheme: "https", Host: "sts.lab.invalid"}
		err := Run(context.Background(), h)
		retries := 0
		for _, event := range r.events {
			if strings.HasPrefix(event, "retry") {
				retries++
			}
		}
		if err == nil || retries != test.retries {
			t.Errorf("code %d: %d retries, want %d: %v", test.code, retries, test.retries, err)
		}
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
