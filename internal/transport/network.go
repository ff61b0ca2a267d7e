// Package transport is how GitHub's token endpoint and AWS STS are reached: the proxy, the certificates, the
// connection, the limits of a response, and the reason when there is no usable response. What is sent, and which
// failures are retried, is left to its callers.
package transport

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/org/hubspoke-chain/internal/plain"
)

// maxShown is the longest text of a certificate that an error shows, in bytes.
const maxShown = 256

// Network is the way to an endpoint. The zero Network uses no proxy and trusts the system's certificate authorities.
type Network struct {
	proxy func(*url.URL) (*url.URL, error) // nil for none
	host  string
	roots *x509.CertPool
}

// NewNetwork returns the network behind a proxy, nil for none, that is not used for the hosts of noProxy, a list as in
// NO_PROXY. Certificates are verified against roots, or against the system's certificate authorities when it is nil.
func NewNetwork(proxy *url.URL, noProxy string, roots *x509.CertPool) Network {
	if proxy == nil {
		return Network{roots: roots}
	}
	config := httpproxy.Config{HTTPSProxy: proxy.String(), NoProxy: noProxy}
	return Network{config.ProxyFunc(), proxy.Host, roots}
}

// ProxyHost returns the proxy's HOST:PORT, without user and password; empty for none.
func (n Network) ProxyHost() string { return n.host }

// Via returns the proxy to an address, nil for none.
func (n Network) Via(u *url.URL) (*url.URL, error) {
	if n.proxy == nil {
		return nil, nil
	}
	return n.proxy(u)
}

// FromEnv returns the first variable of the names that has a value, and that value without surrounding space.
func FromEnv(getenv func(string) string, names ...string) (name, value string) {
	for _, name := range names {
		if value := strings.TrimSpace(getenv(name)); value != "" {
			return name, value
		}
	}
	return names[0], ""
}

// ParseProxy parses the URL of a proxy as HTTPS_PROXY has it: http or https, http where there is no scheme. Its
// error does not show the value, which can hold a password.
func ParseProxy(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the value is not the URL of a proxy (http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if it requires them)")
	}
	return u, nil
}

// ParseEndpoint parses the URL of an endpoint: https, or http on loopback only, with nothing after the host but a
// port.
func ParseEndpoint(s string) (*url.URL, error) {
	if strings.Contains(s, "@") {
		return nil, errors.New("an endpoint holds no user and no password (https://HOST or https://HOST:PORT)") // nor are they shown
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not an endpoint (https://HOST or https://HOST:PORT)", s)
	}
	if !Confidential(u) {
		return nil, fmt.Errorf("%q is not https (http is for 127.0.0.1, [::1] and localhost only)", s)
	}
	u.Path = ""
	return u, nil
}

// Confidential reports whether nobody on the way can read what is sent to u: https, or http that does not leave the
// machine.
func Confidential(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// MaxBundle is the size of a file of certificates, in bytes; the certificate authorities of a whole system have some
// 200 KiB.
const MaxBundle = 1 << 20

// ReadBundle reads a file of certificates for ParseRoots, a regular one of at most MaxBundle bytes.
func ReadBundle(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.New("there is no such file")
	}
	if !info.Mode().IsRegular() || info.Size() > MaxBundle {
		return nil, fmt.Errorf("it is not a regular file of at most %d bytes", MaxBundle)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxBundle))
}

// ParseRoots returns the system's certificate authorities and those of a PEM text, for networks with a TLS-inspecting
// proxy. Whatever in the text would have no effect is an error: another kind of block, a certificate that is malformed
// or has expired, and a text without any.
func ParseRoots(text []byte) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificate authorities: %w", err)
	}
	count := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		count++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("block %d is a %s and not a CERTIFICATE", count, plain.Shorten(block.Type, maxShown))
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", count, err)
		}
		if time.Now().After(certificate.NotAfter) {
			return nil, fmt.Errorf("certificate %d, of %q, expired at %s", count, plain.Shorten(certificate.Subject.String(), maxShown), certificate.NotAfter.UTC().Format(time.RFC3339))
		}
		roots.AddCert(certificate)
		text = rest
	}
	if count == 0 {
		return nil, errors.New("it has no PEM block -----BEGIN CERTIFICATE-----")
	}
	if strings.Contains(string(text), "-----BEGIN ") {
		return nil, fmt.Errorf("block %d cannot be read as PEM", count+1)
	}
	return roots, nil
}
