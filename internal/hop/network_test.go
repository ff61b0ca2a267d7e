package hop

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/org/hubspoke-chain/internal/transport"
)

// TestRoots runs a hop over TLS to a server whose certificate authority the system does not trust. Without it the first
// failure is permanent: the server would present the same certificate again.
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
	h.Endpoint = server.URL
	err := h.run(t.Context())
	var untrusted *tls.CertificateVerificationError
	if !errors.As(err, &untrusted) || slices.ContainsFunc(r.events, func(e string) bool { return strings.HasPrefix(e, "retry") }) {
		t.Errorf("got %v after %q", err, r.events)
	}
	if n := handshakes.Load(); n > 2 { // the one that is opened ahead, and the request's own
		t.Errorf("%d handshakes", n)
	}

	roots, err := transport.ParseRoots(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if err != nil {
		t.Fatal(err)
	}
	h.network = transport.NewNetwork(nil, "", roots)
	if err := h.run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestEndpoints reads from a proxy which endpoint a hop has in each partition.
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
		var got atomic.Value
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got.Store(r.Method + " " + r.Host)
			http.Error(w, "no", http.StatusForbidden)
		}))
		via, _ := url.Parse(proxy.URL)
		h, _ := newHop(t)
		h.MaxAttempts, h.Endpoint, h.Region = 1, "", region
		h.network = transport.NewNetwork(via, "", nil)
		if err := h.run(t.Context()); err == nil || got.Load() != "CONNECT "+want {
			t.Errorf("%s: got %v, want %s (%v)", region, got.Load(), want, err)
		}
		proxy.Close()
	}
}
