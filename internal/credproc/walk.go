package credproc

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
)

// The variables by which the runner lets a step ask for a token.
const (
	requestURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	requestToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// walk is one hop of a chain.
type walk struct {
	file   string // of the chain
	chain  Chain
	getenv func(string) string
	run    diagnose.Run // what is known of the run
	spoke  hop.Session
}

// asker tells calls apart whose walks can end differently, by what a walk takes from its own environment: a SHA-256, in
// hexadecimal. Steps of one job have the same request token, and each may have a proxy and certificate authorities of its own.
func asker(getenv func(string) string) string {
	sum := sha256.New()
	for _, name := range []string{requestURL, requestToken, "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		fmt.Fprintf(sum, "%q\n", getenv(name))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// prepare puts the hop together. Its error is about the environment of this one call, which says nothing of any
// other.
func (w *walk) prepare() (hop.Hop, *Error) {
	if err := w.checkRunner(); err != nil {
		return hop.Hop{}, err
	}
	proxy, proxyHost, err := w.proxy()
	if err != nil {
		return hop.Hop{}, newError(err.Error(), nil)
	}
	h := hop.Hop{
		// stdout belongs to the SDK, to which a line with a mask would be no JSON, and nothing secret is written
		// anywhere else. The runner masks nothing that it is not shown; the SDK shows nothing.
		Mask:        func(string) {},
		Export:      func(spokes []hop.Session) error { w.spoke = spokes[0]; return nil },
		Audience:    w.chain.Audience,
		SessionName: w.chain.SessionName,
		Region:      w.chain.Region,
		Proxy:       proxy,
		MaxAttempts: w.chain.MaxAttempts,
	}
	spoke := hop.Spoke{
		Duration:          time.Duration(w.chain.DurationSeconds) * time.Second,
		TransitiveTagKeys: w.chain.TransitiveTagKeys,
		SourceIdentity:    w.chain.SourceIdentity,
		ExternalID:        w.chain.ExternalID,
		Policy:            w.chain.Policy,
		PolicyARNs:        w.chain.PolicyARNs,
	}
	// The chain's fields are checked, so none of these fails.
	if h.Hub, err = hop.ParseRoleARN(w.chain.Hub); err != nil {
		return hop.Hop{}, newError("hub: "+err.Error(), nil)
	}
	if spoke.Role, err = hop.ParseRoleARN(w.chain.Spoke); err != nil {
		return hop.Hop{}, newError("spoke: "+err.Error(), nil)
	}
	if w.chain.Endpoint != "" {
		if h.Endpoint, err = hop.ParseEndpoint(w.chain.Endpoint); err != nil {
			return hop.Hop{}, newError("endpoint: "+err.Error(), nil)
		}
		w.run.Endpoint = h.Endpoint.Host
	}
	h.Spokes = []hop.Spoke{spoke}
	if w.chain.CABundle != "" {
		if h.Roots, err = readRoots(filepath.Join(filepath.Dir(w.file), w.chain.CABundle)); err != nil {
			return hop.Hop{}, newError("caBundle: "+err.Error(), nil)
		}
	}

	h.Tags = func() []hop.Tag { return w.chain.Tags }
	minter := idtoken.New(w.getenv, proxy, h.Roots, w.chain.MaxAttempts, nil)
	h.Token = func(ctx context.Context, audience string) (string, error) {
		token, err := minter.Mint(ctx, audience)
		if err != nil {
			return "", err
		}
		w.run.Claims, err = idtoken.ParseClaims(token)
		return token, err
	}

	w.run.Hub, w.run.Spoke, w.run.Region, w.run.Proxy = h.Hub, spoke.Role, h.Region, proxyHost
	w.run.Audience, w.run.SessionName, w.run.Duration, w.run.Tags = h.Audience, h.SessionName, spoke.Duration, w.chain.Tags
	w.run.TransitiveTagKeys, w.run.SourceIdentity, w.run.ExternalID = spoke.TransitiveTagKeys, spoke.SourceIdentity, spoke.ExternalID != ""
	w.run.InlinePolicy, w.run.ManagedPolicies = spoke.Policy != "", len(spoke.PolicyARNs) > 0
	w.run.Attempts, w.run.Timeout = h.MaxAttempts, w.chain.timeout()
	w.run.Event, w.run.Actor = w.getenv("GITHUB_EVENT_NAME"), w.getenv("GITHUB_ACTOR")
	w.run.Repository, w.run.ID = w.getenv("GITHUB_REPOSITORY"), w.getenv("GITHUB_RUN_ID")
	return h, nil
}

// explain tells what a hop that failed may have failed for.
func (w *walk) explain(err error) *Error { return explained(diagnose.Explain(err, w.run)) }

// checkRunner looks at what the runner gives to a step.
func (w *walk) checkRunner() *Error {
	for _, name := range []string{requestURL, requestToken} {
		if w.getenv(name) != "" {
			continue
		}
		missing := &hop.Error{Stage: hop.StageToken, Err: &idtoken.Error{MissingEnv: name}}
		return newError(missing.Error(), []string{
			"credentials are renewed only inside the job: run the tool in a step of the job that has permissions: id-token: write",
			"the runner sets " + requestURL + " and " + requestToken + " for every step of such a job; a tool that cleans its environment (sudo, env -i, docker run) loses them and must be told to keep both",
		})
	}
	value := w.getenv(requestURL)
	if u, err := url.Parse(value); err != nil || u.Host == "" || !hop.Confidential(u) {
		return newError(fmt.Sprintf("%s: %s is not an https URL (http is for loopback only)", requestURL, quote(value)), nil)
	}
	return nil
}

// proxy gives the way to a host, as the action takes it, and the proxy's HOST:PORT.
func (w *walk) proxy() (way func(*url.URL) (*url.URL, error), host string, err error) {
	value, noProxy := w.chain.Proxy, w.chain.NoProxy
	if value == "" {
		value = w.first("HTTPS_PROXY", "https_proxy")
	}
	if noProxy == "" {
		noProxy = w.first("NO_PROXY", "no_proxy")
	}
	if value == "" {
		return func(*url.URL) (*url.URL, error) { return nil, nil }, "", nil
	}
	u, err := hop.ParseProxy(value)
	if err != nil {
		return nil, "", fmt.Errorf("HTTPS_PROXY: %w", err)
	}
	config := httpproxy.Config{HTTPSProxy: u.String(), NoProxy: noProxy}
	return config.ProxyFunc(), u.Host, nil
}

// readRoots reads the certificates that the action has left beside the chain.
func readRoots(path string) (*x509.CertPool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxCABundle {
		return nil, fmt.Errorf("%s is not a regular file of at most %d bytes", quote(path), maxCABundle)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return hop.ParseRoots(text)
}

// first gives the first of the variables that is set.
func (w *walk) first(names ...string) string {
	for _, name := range names {
		if value := strings.TrimSpace(w.getenv(name)); value != "" {
			return value
		}
	}
	return ""
}
