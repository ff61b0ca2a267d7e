package lab

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The services, as faults and counts name them.
const (
	issuerService = "issuer"
	stsService    = "sts"
)

// maxBody limits a request to STS. AWS publishes no limit; the members of a request are far smaller, with a token
// of 20,000 bytes the largest.
const maxBody = 256 << 10

// call is one request to STS on its way through the checks.
type call struct {
	request   *http.Request
	body      []byte
	form      url.Values
	action    string
	id        string // x-amzn-RequestId
	now       time.Time
	region    string
	caller    *session // nil for a web identity
	webToken  *token   // nil but for a web identity
	provider  *provider
	role      *role // the requested role; nil if there is none
	params    params
	effective effective
}

// STS returns AWS's side: AssumeRoleWithWebIdentity, AssumeRole and GetCallerIdentity of the query API of
// 2011-06-15, as POST forms and as GET queries, which AWS accepts too.
func (l *Lab) STS() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{request: r, id: uuid(), now: l.now()}
		refused := c.read(w)
		c.region = l.world.endpointRegion(r.Host)
		l.serve(w, r, stsService, c.name(), func(fault *Fault) *answer {
			if refused != nil {
				return refused.answer(c.id)
			}
			if refused := fault.refusal(c); refused != nil {
				return refused.answer(c.id)
			}
			out, refused := l.operate(c)
			l.record(c, out, refused)
			if refused != nil {
				return refused.answer(c.id)
			}
			fault.twist(out, c.now)
			a, err := out.answer(c.action, c.id)
			if err != nil {
				return refuse(http.StatusInternalServerError, "InternalFailure", "%v", err).answer(c.id)
			}
			return a
		})
	})
}

// name returns the action as logs and faults name it.
func (c *call) name() string {
	if slices.Contains([]string{"AssumeRoleWithWebIdentity", "AssumeRole", "GetCallerIdentity"}, c.action) {
		return c.action
	}
	return "unknown"
}

// read parses the request. The errors of the query protocol are in the STS API reference, "Common errors"; the
// text for an unknown operation is that of all of AWS's query APIs.
func (c *call) read(w http.ResponseWriter) *apiError {
	r := c.request
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
			"The request body is larger than %d bytes.", maxBody)
	}
	if err != nil {
		return badRequest("IncompleteBody", "The request body ended early.")
	}
	c.body = body
	raw := r.URL.RawQuery
	switch {
	case r.URL.Path != "/" && r.URL.Path != "":
		return refuse(http.StatusNotFound, "UnknownOperationException", "There is nothing at %s.", r.URL.Path)
	case r.Method == http.MethodPost:
		mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || mediaType != "application/x-www-form-urlencoded" {
			return badRequest("MissingAction", "The body is not a form of application/x-www-form-urlencoded.")
		}
		raw = string(body)
	case r.Method != http.MethodGet:
		return refuse(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"The method %s is not one of POST and GET.", r.Method)
	}
	if c.form, err = url.ParseQuery(raw); err != nil {
		return refuse(http.StatusNotFound, "MalformedQueryString", "The query string contains a syntax error.")
	}
	for name, values := range c.form {
		if len(values) > 1 {
			return refuse(http.StatusNotFound, "MalformedQueryString", "The parameter %s is there twice.", name)
		}
	}
	c.action = c.form.Get("Action")
	version := c.form.Get("Version")
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	if c.action == "" {
		return badRequest("MissingAction", "The request is missing an action.")
	}
	if c.name() == "unknown" || version != apiVersion {
		return badRequest("InvalidAction", "Could not find operation %s for version %s", c.action, version)
	}
	return nil
}

// operate runs the checks in the order in which STS makes them: the caller, whether the region is active for them,
// the form of the parameters, and last their meaning.
func (l *Lab) operate(c *call) (*result, *apiError) {
	if c.action != "AssumeRoleWithWebIdentity" {
		if refused := l.authenticate(c); refused != nil {
			return nil, refused
		}
		if refused := c.regionDisabled(c.caller.role.account); refused != nil {
			return nil, refused
		}
	}
	switch c.action {
	case "AssumeRoleWithWebIdentity":
		return l.assumeRoleWithWebIdentity(c)
	case "AssumeRole":
		return l.assumeRole(c)
	}
	// GetCallerIdentity is never denied, whatever the policies say (STS API reference).
	return &result{Arn: c.caller.ARN(), UserID: c.caller.userID(), Account: c.caller.role.account.id}, nil
}

func (c *call) regionDisabled(a *account) *apiError {
	if !slices.Contains(a.disabledRegions, c.region) {
		return nil
	}
	return regionDisabled(a.id)
}

// regionDisabled has no space after the colon, as on AWS.
func regionDisabled(accountID string) *apiError {
	return forbidden("RegionDisabledException", "STS is not activated in this region for account:%s. "+
		"Your account administrator can activate STS in this region using the IAM Console.", accountID)
}

// endpointRegion returns the region of an unsigned request: the one in the host's name, else the world's first,
// else us-east-1. A signed request names its own.
func (w *World) endpointRegion(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	labels := strings.Split(host, ".")
	if len(labels) > 2 && strings.HasPrefix(labels[0], "sts") && regionName.MatchString(labels[1]) {
		return labels[1]
	}
	if len(w.regions) > 0 {
		return w.regions[0]
	}
	return "us-east-1"
}

// knowsRegion reports whether the world has the region.
func (w *World) knowsRegion(region string) bool {
	if len(w.regions) == 0 {
		return regionName.MatchString(region)
	}
	return slices.Contains(w.regions, region)
}
