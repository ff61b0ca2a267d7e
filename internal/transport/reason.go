package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Reason is why there is no usable response. The empty Reason is an error response, or a failure that is none of
// these.
type Reason string

// The reasons.
const (
	TimedOut             Reason = "timed out"             // no response, or no complete one, within an attempt's time
	CutShort             Reason = "cut short"             // the connection ended within the response
	TooLarge             Reason = "too large"             // more than MaxResponse bytes
	WrongResponse        Reason = "wrong response"        // something that the service does not send
	ClockSkew            Reason = "clock skew"            // times that only a wrong clock explains
	NoSuchHost           Reason = "no such host"          // the name of the host is not known
	Unreachable          Reason = "unreachable"           // refused, reset, no route
	ProxyRefused         Reason = "proxy refused"         // the proxy was reached and does not connect to the host
	ProxyUnreachable     Reason = "proxy unreachable"     // the proxy was not reached
	UntrustedCertificate Reason = "untrusted certificate" // no certificate authority in use signed it, or not for this name or time
)

// proxyError is a proxy that does not connect to the host. What net/http makes of it by itself is the proxy's own
// text for its status.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy refused to connect (HTTP %d)", e.status)
}

// Permanent reports whether the same attempt would fail again: for a certificate, for what a proxy forbids or requires
// a password for, and for an address that cannot be parsed.
func Permanent(err error) bool {
	var certificate *tls.CertificateVerificationError
	var proxy *proxyError
	var address *url.Error
	return errors.As(err, &certificate) ||
		errors.As(err, &proxy) && proxy.status < http.StatusInternalServerError ||
		errors.As(err, &address) && address.Op == "parse"
}

// Classify returns the reason for an error of a Client or of reading a body of its, and an error that does not quote
// what a server sent. The reason is empty for an error of another kind, which is returned as it is. service names the
// endpoint where the error does not; status is the response's, 0 for none.
func Classify(err error, service string, status int) (Reason, error) {
	var tooLarge *http.MaxBytesError
	var failed *url.Error
	var lost *net.OpError
	switch {
	case errors.As(err, &tooLarge):
		return TooLarge, fmt.Errorf("the response is larger than %d bytes", tooLarge.Limit)
	case errors.As(err, &failed):
		return noResponse(failed, service)
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut, fmt.Errorf("the response was not complete after %s: %w", AttemptTimeout, context.DeadlineExceeded)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &lost):
		return CutShort, fmt.Errorf("the response was cut short (HTTP %d)", status)
	}
	return "", err
}

// quotesHeader reports whether an error of net/http quotes the part of a response's header that it could not read.
func quotesHeader(err error) bool {
	return slices.ContainsFunc([]string{
		"malformed HTTP ", "malformed MIME ", " Content-Length ", " transfer encoding", "bad trailer key ", " Location header ",
	}, func(words string) bool { return strings.Contains(err.Error(), words) })
}

func noResponse(failed *url.Error, service string) (Reason, error) {
	if u, err := url.Parse(failed.URL); err == nil && u.Host != "" {
		service = u.Host
	}
	none := fmt.Errorf("no response from %s: %w", service, failed.Err)
	var certificate *tls.CertificateVerificationError
	var proxy *proxyError
	var operation *net.OpError
	var name *net.DNSError
	switch {
	case quotesHeader(failed.Err):
		return WrongResponse, fmt.Errorf("the response of %s is not HTTP", service)
	case errors.As(failed, &certificate):
		return UntrustedCertificate, none
	case errors.As(failed, &proxy):
		return ProxyRefused, none
	case errors.As(failed, &operation) && operation.Op == "proxyconnect":
		return ProxyUnreachable, none
	case failed.Timeout():
		return TimedOut, fmt.Errorf("no response from %s within %s: %w", service, AttemptTimeout, context.DeadlineExceeded)
	case errors.As(failed, &name) && name.IsNotFound:
		return NoSuchHost, none
	}
	return Unreachable, none
}
