package hop

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// ParseProxy reads the URL of a proxy as HTTPS_PROXY has it: http or https, http where there is no scheme. Its
// error does not show the value, which can hold a password.
func ParseProxy(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the value is not the URL of a proxy (http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if it asks for them)")
	}
	return u, nil
}

// ParseRoots gives the system's certificate authorities and those of a PEM text beside them, for networks whose
// proxy looks into TLS. Whatever in the text would be without effect is an error: another kind of block, a
// certificate that cannot be read or is over, and a text without any.
func ParseRoots(text []byte) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificate authorities: %w", err)
	}
	count := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		count++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("block %d is a %s and not a CERTIFICATE", count, clip(block.Type, maxCode))
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", count, err)
		}
		if time.Now().After(certificate.NotAfter) {
			return nil, fmt.Errorf("certificate %d, of %q, was good until %s", count, clip(certificate.Subject.String(), maxCode), certificate.NotAfter.UTC().Format(time.RFC3339))
		}
		roots.AddCert(certificate)
		text = rest
	}
	if count == 0 {
		return nil, errors.New("there is no PEM block -----BEGIN CERTIFICATE----- in it")
	}
	if strings.Contains(string(text), "-----BEGIN ") {
		return nil, fmt.Errorf("block %d cannot be read as PEM", count+1)
	}
	return roots, nil
}
