package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/org/hubspoke-chain/internal/transport"
)

func (e explainer) proxied() []string {
	if e.job.Proxy == "" {
		return nil
	}
	return []string{"the step uses the proxy " + quoted(e.job.Proxy) + " (http-proxy)"}
}

// untrusted explains that the certificate of a service was not trusted.
func (e explainer) untrusted(service string) Explanation {
	shown := "its subject could not be read"
	var certificate *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	if errors.As(e.failure, &certificate) && len(certificate.UnverifiedCertificates) > 0 {
		leaf := certificate.UnverifiedCertificates[0]
		shown = "its subject is " + quoted(leaf.Subject.String()) + ", its issuer " + quoted(leaf.Issuer.String())
	}
	evidence := append([]string{shown}, append(e.endpointEvidence(service), e.proxied()...)...)
	switch {
	case errors.As(e.failure, &invalid) && invalid.Reason == x509.Expired:
		return certain(Cause{
			Title:    "the certificate of " + service + " has expired or is not valid yet, or the runner's clock is wrong",
			Evidence: evidence,
			Fix:      "set the runner's clock by NTP; if it is right, the endpoint has an old certificate",
		})
	case errors.As(e.failure, &name):
		return certain(Cause{
			Title:    "another server responded instead of " + service + ": its certificate is for another name",
			Evidence: evidence,
			Fix:      "check sts-endpoint, and look for a proxy that responds instead of it",
		})
	}
	return certain(Cause{
		Title:    "no trusted certificate authority signed the certificate of " + service,
		Evidence: append(evidence, "a TLS-inspecting proxy signs with its own certificate authority"),
		Fix:      "if that authority is your company's, set its certificate in ca-bundle; if not, something on the way reads what is sent, and nothing should",
	})
}

// unreachable explains that there is no response of a service.
func (e explainer) unreachable(service string, reason transport.Reason) Explanation {
	switch {
	case reason == transport.UntrustedCertificate:
		return e.untrusted(service)
	case reason == transport.ProxyRefused, reason == transport.ProxyUnreachable:
		c := Cause{
			Title:    "the proxy " + quoted(e.job.Proxy) + " does not connect the step to " + service,
			Evidence: []string{"it refused to open a tunnel"},
			Fix:      "allow that host in the proxy, set its user and password in http-proxy, or list the host in no-proxy when it is reached directly",
		}
		if reason == transport.ProxyUnreachable {
			c.Evidence = []string{"the runner does not reach it"}
			c.Fix = "check the host and the port in http-proxy and the runner's firewall, or list the host in no-proxy when it is reached directly"
		}
		return certain(c)
	case reason == transport.NoSuchHost:
		return likely(Cause{
			Title:    "the runner's DNS does not know the name of " + service,
			Evidence: e.endpointEvidence(service),
			Fix:      "check aws-region and sts-endpoint, and the DNS of the runner's network",
		})
	case errors.Is(e.failure, context.DeadlineExceeded): // of an attempt or of the step
		return likely(Cause{
			Title:    service + " was too slow, or something on the way drops what is sent to it",
			Evidence: append([]string{e.timeLimit() + ", and each attempt one of 10 s"}, e.proxied()...),
			Fix:      "run the job again; if that does not help, check the firewall of the runner's network, which may drop packets without a response",
		})
	}
	return likely(Cause{
		Title:    "the runner does not reach " + service,
		Evidence: append(e.endpointEvidence(service), e.proxied()...),
		Fix:      "check the network of the runner: its firewall, its proxy (http-proxy, no-proxy), its DNS",
	})
}

func (e explainer) endpointEvidence(service string) []string {
	if e.plan.Endpoint == "" || service != sts {
		return nil
	}
	return []string{"sts-endpoint replaces the region's endpoint: " + quoted(e.endpointHost())}
}
