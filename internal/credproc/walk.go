package credproc

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/transport"
)

// The variables by which the runner lets a step request a token.
const (
	requestURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	requestToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// walk is one hop of a plan.
type walk struct {
	plan    hop.Plan
	network transport.Network
	getenv  func(string) string
	claims  idtoken.Claims // of the token; empty until it is requested
	spoke   hop.Session
}

// environmentID hashes the variables that can change a call's outcome: a SHA-256, in hexadecimal. Steps of one job have
// the same request token, and each may have its own proxy and certificate authorities.
func environmentID(getenv func(string) string) string {
	sum := sha256.New()
	for _, name := range []string{requestURL, requestToken, "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		fmt.Fprintf(sum, "%q\n", getenv(name))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// newWalk prepares a walk. Its error is about the environment of this one call and must not be shared with others.
func newWalk(planPath string, plan hop.Plan, getenv func(string) string) (*walk, *Error) {
	if err := checkRunner(getenv); err != nil {
		return nil, err
	}
	network, err := networkOf(planPath, plan, getenv)
	if err != nil {
		return nil, newError(err.Error(), nil)
	}
	return &walk{plan: plan, network: network, getenv: getenv}, nil
}

func (w *walk) run(ctx context.Context) error {
	return hop.Run(ctx, w.plan, w.network, hop.Hooks{
		Token: w.token,
		// stdout belongs to the SDK, to which a line with a mask would be invalid JSON, and nothing secret is written
		// anywhere else. The runner masks nothing that it does not read; the SDK prints nothing.
		Mask:   func(string) {},
		Export: func(spokes []hop.Session) error { w.spoke = spokes[0]; return nil },
	})
}

func (w *walk) token(ctx context.Context, audience string) (string, error) {
	token, err := idtoken.New(w.getenv, w.network, w.plan.MaxAttempts, nil).Request(ctx, audience)
	if err != nil {
		return "", err
	}
	w.claims, err = idtoken.ParseClaims(token)
	return token, err
}

// explain returns the failure of the hop with its possible causes.
func (w *walk) explain(err error) *Error {
	plan := w.plan
	plan.TimeoutSeconds = int(timeout(plan).Seconds())
	return explained(diagnose.Explain(err, plan, w.claims, diagnose.Job{
		Event: w.getenv("GITHUB_EVENT_NAME"), Actor: w.getenv("GITHUB_ACTOR"), Repository: w.getenv("GITHUB_REPOSITORY"),
		RunID: w.getenv("GITHUB_RUN_ID"), Proxy: w.network.ProxyHost(),
	}))
}

// checkRunner checks what the runner sets for a step.
func checkRunner(getenv func(string) string) *Error {
	for _, name := range []string{requestURL, requestToken} {
		if getenv(name) != "" {
			continue
		}
		missing := &hop.Error{Stage: hop.StageToken, Err: &idtoken.Error{MissingEnv: name}}
		return newError(missing.Error(), []string{
			"credentials are renewed only inside the job: run the tool in a step of the job that has permissions: id-token: write",
			"the runner sets " + requestURL + " and " + requestToken + " for every step of such a job; a tool that cleans its environment (sudo, env -i, docker run) loses them and must keep both",
		})
	}
	value := getenv(requestURL)
	if u, err := url.Parse(value); err != nil || u.Host == "" || !transport.Confidential(u) {
		return newError(fmt.Sprintf("%s: %s is not an https URL (http is for loopback only)", requestURL, plain.Quote(value)), nil)
	}
	return nil
}

// networkOf returns the network of the plan, and that of the environment where the plan has none.
func networkOf(planPath string, plan hop.Plan, getenv func(string) string) (transport.Network, error) {
	name, value, noProxy := "proxy", plan.Proxy, plan.NoProxy
	if value == "" {
		name, value = transport.FromEnv(getenv, "HTTPS_PROXY", "https_proxy")
	}
	if noProxy == "" {
		_, noProxy = transport.FromEnv(getenv, "NO_PROXY", "no_proxy")
	}
	var proxy *url.URL
	var roots *x509.CertPool
	var err error
	if value != "" {
		if proxy, err = transport.ParseProxy(value); err != nil {
			return transport.Network{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if plan.CABundle != "" {
		text, err := transport.ReadBundle(filepath.Join(filepath.Dir(planPath), plan.CABundle))
		if err == nil {
			roots, err = transport.ParseRoots(text)
		}
		if err != nil {
			return transport.Network{}, fmt.Errorf("caBundle: %s: %w", plain.Quote(plan.CABundle), err)
		}
	}
	return transport.NewNetwork(proxy, noProxy, roots), nil
}
