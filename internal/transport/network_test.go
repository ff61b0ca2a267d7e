package transport

import (
	"crypto/x509"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/selfsigned"
)

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// poolOf trusts the certificate of a server.
func poolOf(server *httptest.Server) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return roots
}

// certificate returns a self-signed certificate in PEM.
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
		"":      "it has no PEM block -----BEGIN CERTIFICATE-----",
		"hello": "it has no PEM block -----BEGIN CERTIFICATE-----",
		good + "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n": "block 2 is a PRIVATE KEY and not a CERTIFICATE",
		garbage:                                 "certificate 1 cannot be read: x509: malformed certificate",
		old:                                     `certificate 1, of "CN=Company", expired at 2020-01-01T00:00:00Z`,
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

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	const form = " is not an endpoint (https://HOST or https://HOST:PORT)"
	const plain = " is not https (http is for 127.0.0.1, [::1] and localhost only)"
	for _, test := range []struct{ in, want, err string }{
		{in: "https://sts-fips.us-east-1.amazonaws.com", want: "https://sts-fips.us-east-1.amazonaws.com"},
		{in: "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com:8443/", want: "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com:8443"},
		{in: "http://127.0.0.1:4566", want: "http://127.0.0.1:4566"},
		{in: "http://[::1]:4566", want: "http://[::1]:4566"},
		{in: "http://localhost:4566", want: "http://localhost:4566"},
		{in: "http://sts.amazonaws.com", err: `"http://sts.amazonaws.com"` + plain},
		{in: "http://localhost.evil.example", err: `"http://localhost.evil.example"` + plain},
		{in: "http://10.0.0.1", err: `"http://10.0.0.1"` + plain},
		{in: "ftp://localhost", err: `"ftp://localhost"` + plain},
		{in: "sts.amazonaws.com", err: `"sts.amazonaws.com"` + form},
		{in: "https://", err: `"https://"` + form},
		{in: "https://host/path", err: `"https://host/path"` + form},
		{in: "https://host?x=1", err: `"https://host?x=1"` + form},
		{in: "https://host#x", err: `"https://host#x"` + form},
		{in: "https://host\x7f", err: `"https://host\x7f"` + form},
		{in: "https://user:hunter2@host", err: "an endpoint holds no user and no password (https://HOST or https://HOST:PORT)"},
	} {
		got, err := ParseEndpoint(test.in)
		if text(err) != test.err {
			t.Errorf("ParseEndpoint(%q)\n got %s\nwant %s", test.in, text(err), test.err)
		}
		if err == nil && got.String() != test.want {
			t.Errorf("ParseEndpoint(%q) = %s, want %s", test.in, got, test.want)
		}
	}
}

func TestConfidential(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"https://sts.amazonaws.com": true,
		"https://10.0.0.1":          true,
		"http://localhost:1":        true,
		"http://127.0.0.1":          true,
		"http://127.9.9.9:80":       true,
		"http://[::1]:80":           true,
		"http://10.0.0.1":           false,
		"http://0.0.0.0":            false,
		"http://localhost.example":  false,
		"http://127.0.0.1.example":  false,
		"ftp://127.0.0.1":           false,
		"//localhost":               false,
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := Confidential(u); got != want {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
}

func TestFromEnv(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env         map[string]string
		name, value string
	}{
		{map[string]string{"A": "1", "a": "2"}, "A", "1"},
		{map[string]string{"a": " 2\n"}, "a", "2"},
		{map[string]string{"A": " ", "a": "2"}, "a", "2"},
		{map[string]string{"B": "3"}, "A", ""},
	} {
		name, value := FromEnv(func(name string) string { return test.env[name] }, "A", "a")
		if name != test.name || value != test.value {
			t.Errorf("%v: got %s, %q, want %s, %q", test.env, name, value, test.name, test.value)
		}
	}
}

// TestVia checks which hosts are reached through the proxy.
func TestVia(t *testing.T) {
	t.Parallel()
	proxy, err := ParseProxy("http://user:hunter2@proxy.example:3128")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		network Network
		to      string
		via     bool
	}{
		{Network{}, "https://sts.amazonaws.com", false},
		{NewNetwork(nil, "", nil), "https://sts.amazonaws.com", false},
		{NewNetwork(proxy, "", nil), "https://sts.amazonaws.com", true},
		{NewNetwork(proxy, "other.example", nil), "https://sts.amazonaws.com", true},
		{NewNetwork(proxy, "amazonaws.com", nil), "https://sts.amazonaws.com", false},
		{NewNetwork(proxy, ".amazonaws.com,x", nil), "https://sts.amazonaws.com", false},
		{NewNetwork(proxy, "*", nil), "https://sts.amazonaws.com", false},
		{NewNetwork(proxy, "10.0.0.0/8", nil), "https://10.1.2.3", false},
		{NewNetwork(proxy, "", nil), "https://127.0.0.1:4566", false},
		{NewNetwork(proxy, "", nil), "https://localhost", false},
		{NewNetwork(proxy, "", nil), "http://localhost:4566", false},
	} {
		u, _ := url.Parse(test.to)
		via, err := test.network.Via(u)
		if err != nil || (via != nil) != test.via || via != nil && via.String() != proxy.String() {
			t.Errorf("%s: via %v, %v, want a proxy: %v", test.to, via, err, test.via)
		}
	}
	if got := NewNetwork(proxy, "", nil).ProxyHost(); got != "proxy.example:3128" {
		t.Errorf("the proxy's host is %s", got)
	}
	if got := NewNetwork(nil, "", nil).ProxyHost(); got != "" {
		t.Errorf("the host of no proxy is %s", got)
	}
}
