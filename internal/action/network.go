package action

import (
	"crypto/x509"
	"net/url"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/transport"
)

// reach reads how GitHub and AWS are reached.
func (r *reader) reach(in *inputs) {
	in.plan.Endpoint = r.get("sts-endpoint")
	in.plan.NoProxy = r.get("no-proxy")
	proxy := r.proxy(in)
	in.network = transport.NewNetwork(proxy, r.or(in.plan.NoProxy, "NO_PROXY", "no_proxy"), r.roots(in))
}

// proxy reads the proxy. The plan has that of the input, which auto-refresh writes to disk, without a password.
func (r *reader) proxy(in *inputs) *url.URL {
	name, value := "http-proxy", r.get("http-proxy")
	given := value != ""
	if !given {
		name, value = transport.FromEnv(r.getenv, "HTTPS_PROXY", "https_proxy")
	}
	if value == "" {
		return nil
	}
	u, err := transport.ParseProxy(value)
	if err != nil {
		r.problem(name, "%s", err)
		return nil
	}
	in.proxyPasswords = proxyPasswords(value, u)
	if _, has := u.User.Password(); given && has && in.autoRefresh {
		r.problem("http-proxy", "auto-refresh would have to write its password to disk; set the variable HTTPS_PROXY of the job instead")
	}
	if given {
		plan := *u
		if u.User != nil {
			plan.User = url.User(u.User.Username())
		}
		in.plan.Proxy = plan.String()
	}
	return u
}

// roots reads ca-bundle, which is a PEM text or the path of one.
func (r *reader) roots(in *inputs) *x509.CertPool {
	value := r.get("ca-bundle")
	if value == "" {
		return nil
	}
	text, shown := []byte(value), "the text"
	if !strings.Contains(value, "-----BEGIN ") {
		shown = plain.Quote(value)
		var err error
		if text, err = transport.ReadBundle(value); err != nil {
			r.problem("ca-bundle", "%s: %s (a PEM text, or the path of one below the workspace or the runner's temp directory)", shown, err)
			return nil
		}
	}
	roots, err := transport.ParseRoots(text)
	if err != nil {
		r.problem("ca-bundle", "%s: %s", shown, err)
		return nil
	}
	in.caBundle = string(text)
	return roots
}

// proxyPasswords returns the password in the forms in which it can appear: as the proxy receives it, as it was written,
// and as net/url and a form would write it. The runner derives one more from each of them (Uri.EscapeDataString), and
// base64.
func proxyPasswords(raw string, u *url.URL) []string {
	_, authority, found := strings.Cut(raw, "://")
	if !found {
		authority = raw
	}
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	userinfo := authority[:max(strings.LastIndex(authority, "@"), 0)]
	_, written, _ := strings.Cut(userinfo, ":")
	_, normal, _ := strings.Cut(u.User.String(), ":")
	password, _ := u.User.Password()
	var forms []string
	for _, form := range []string{password, written, normal, url.QueryEscape(password)} {
		// A mask of nothing, or of white space, is a warning of the runner's and hides nothing.
		if strings.TrimSpace(form) != "" && !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	return forms
}
