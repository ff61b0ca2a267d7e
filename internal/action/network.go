package action

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/hop"
)

// network reads how GitHub and AWS are reached.
func (r *reader) network(in *inputs) {
	in.proxy, in.proxyPasswords = r.proxy()
	if in.proxy != nil && r.get("http-proxy") != "" {
		in.givenProxy = in.proxy.String()
	}
	in.givenNoProxy = r.get("no-proxy")
	in.noProxy = r.or(in.givenNoProxy, "NO_PROXY", "no_proxy")
	if _, has := in.password(); in.autoRefresh && in.givenProxy != "" && has {
		r.problem("http-proxy", "its password would have to lie in a file for auto-refresh; set the variable HTTPS_PROXY of the job in its place")
	}
	r.roots(in)
	if value := r.get("sts-endpoint"); value != "" {
		endpoint, err := hop.ParseEndpoint(value)
		if err != nil {
			r.refused("sts-endpoint", value, err)
		}
		in.endpoint = endpoint
		r.endpointRegion(endpoint, in.region)
	}
}

// password is that of the proxy.
func (in inputs) password() (password string, set bool) {
	if in.proxy == nil {
		return "", false
	}
	return in.proxy.User.Password()
}

// maxCABundle is how much of a file of certificates is read, in bytes. All the authorities that a system believes
// have some 200 KiB.
const maxCABundle = 1 << 20

// roots reads ca-bundle, which is a PEM text or the path of one.
func (r *reader) roots(in *inputs) {
	value := r.get("ca-bundle")
	if value == "" {
		return
	}
	text, shown := []byte(value), "the text"
	if !strings.Contains(value, "-----BEGIN ") {
		shown = quote(value)
		var err error
		if text, err = readCABundle(value); err != nil {
			r.problem("ca-bundle", "%s: %s (a PEM text, or the path of one below the workspace or the runner's temp directory)", shown, err)
			return
		}
	}
	roots, err := hop.ParseRoots(text)
	if err != nil {
		r.problem("ca-bundle", "%s: %s", shown, err)
		return
	}
	in.roots, in.caBundle = roots, string(text)
}

func readCABundle(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("there is no such file in this container")
	}
	if !info.Mode().IsRegular() || info.Size() > maxCABundle {
		return nil, fmt.Errorf("it is not a regular file of at most %d bytes", maxCABundle)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read")
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxCABundle))
}

// endpointRegion holds an endpoint of AWS to the region that signs for it: another one is refused by
// AWS as a wrong signature, and only at the second call.
func (r *reader) endpointRegion(endpoint *url.URL, region string) {
	if endpoint == nil {
		return
	}
	labels := strings.Split(endpoint.Hostname(), ".")
	if len(labels) < 3 || labels[0] != "sts" && labels[0] != "sts-fips" || labels[1] == region {
		return
	}
	if _, err := hop.RegionPartition(labels[1]); err == nil {
		r.problem("sts-endpoint", "%s is the endpoint of %s, but aws-region is %s", quote(endpoint.String()), labels[1], quote(region))
	}
}

func (r *reader) proxy() (proxy *url.URL, passwords []string) {
	name, value := "http-proxy", r.get("http-proxy")
	if value == "" {
		name, value = "HTTPS_PROXY", r.or("", "HTTPS_PROXY", "https_proxy")
	}
	if value == "" {
		return nil, nil
	}
	u, err := hop.ParseProxy(value)
	if err != nil {
		r.problem(name, "%s", err)
		return nil, nil
	}
	return u, proxyPasswords(value, u)
}

// proxyPasswords gives the password in the forms in which it can turn up: as the proxy gets it, as it
// was written, and as net/url and a form would write it. The runner derives one more from each of
// them (Uri.EscapeDataString), and base64.
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
