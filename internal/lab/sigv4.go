package lab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature Version 4 (IAM User Guide, "Create a signed AWS API request").
const (
	algorithm  = "AWS4-HMAC-SHA256"
	amzDate    = "20060102T150405Z"
	signedSkew = 5 * time.Minute // STS names it in its own errors: "(20260101T001000Z - 5 min.)"
)

const mismatch = "The request signature we calculated does not match the signature you provided. " +
	"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

// authorization is the parsed Authorization header.
type authorization struct {
	accessKeyID, date, region, service, terminator string
	signedHeaders                                  []string
	signature                                      string
}

var authorizationField = regexp.MustCompile(`^(Credential|SignedHeaders|Signature)=(\S+)$`)

func parseAuthorization(header string) (authorization, bool) {
	rest, found := strings.CutPrefix(header, algorithm+" ")
	if !found {
		return authorization{}, false
	}
	fields := map[string]string{}
	for _, part := range strings.Split(rest, ",") {
		field := authorizationField.FindStringSubmatch(strings.TrimSpace(part))
		if field == nil {
			return authorization{}, false
		}
		fields[field[1]] = field[2]
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || fields["SignedHeaders"] == "" || fields["Signature"] == "" {
		return authorization{}, false
	}
	return authorization{
		accessKeyID: scope[0], date: scope[1], region: scope[2], service: scope[3], terminator: scope[4],
		signedHeaders: strings.Split(fields["SignedHeaders"], ";"), signature: fields["Signature"],
	}, true
}

// authenticate identifies the signer of the request, and takes the region from the signature's scope.
func (l *Lab) authenticate(c *call) *apiError {
	header := c.request.Header.Get("Authorization")
	if header == "" {
		return forbidden("MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	auth, ok := parseAuthorization(header)
	if !ok {
		return badRequest("IncompleteSignature",
			"Authorization header requires Credential, SignedHeaders, and Signature.")
	}
	date := c.request.Header.Get("X-Amz-Date")
	signed, err := time.Parse(amzDate, date)
	if err != nil {
		return badRequest("IncompleteSignature", "Date must be in ISO-8601 'basic format'. Got '%s'.", date)
	}
	if refused := auth.scope(l.world, date); refused != nil {
		return refused
	}
	if refused := c.covers(auth.signedHeaders); refused != nil {
		return refused
	}
	if now := c.now.UTC(); signed.Before(now.Add(-signedSkew)) {
		return doesNotMatch("Signature expired: %s is now earlier than %s (%s - 5 min.)",
			date, now.Add(-signedSkew).Format(amzDate), now.Format(amzDate))
	} else if signed.After(now.Add(signedSkew)) {
		return doesNotMatch("Signature not yet current: %s is still later than %s (%s + 5 min.)",
			date, now.Add(signedSkew).Format(amzDate), now.Format(amzDate))
	}
	l.mu.Lock()
	caller := l.sessions[auth.accessKeyID]
	l.mu.Unlock()
	if caller == nil || !hmac.Equal([]byte(caller.token), []byte(c.request.Header.Get("X-Amz-Security-Token"))) {
		return forbidden("InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	want, err := hex.DecodeString(auth.signature)
	if err != nil || !hmac.Equal(want, auth.sign(caller.secret, date, c.canonical(auth.signedHeaders))) {
		return doesNotMatch(mismatch)
	}
	if !c.now.Before(caller.expires) {
		return expiredSession()
	}
	c.caller, c.region = caller, auth.region
	return nil
}

func doesNotMatch(format string, args ...any) *apiError {
	return forbidden("SignatureDoesNotMatch", format, args...)
}

func expiredSession() *apiError {
	return forbidden("ExpiredToken", "The security token included in the request is expired")
}

// scope checks the signature's credential scope.
func (a authorization) scope(w *World, date string) *apiError {
	switch {
	case a.date != date[:8]:
		return doesNotMatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "+
			"'%s' != '%s', from '%s'.", a.date, date[:8], date)
	case !w.knowsRegion(a.region):
		return doesNotMatch("Credential should be scoped to a valid region.")
	case a.service != "sts":
		return doesNotMatch("Credential should be scoped to correct service: 'sts'.")
	case a.terminator != "aws4_request":
		return doesNotMatch("Credential should be scoped with a valid terminator: 'aws4_request', not '%s'.",
			a.terminator)
	}
	return nil
}

// covers checks that the signature covers the host and every x-amz- header ("Create a signed AWS API request",
// canonical headers), and that a payload hash in a header matches the body.
func (c *call) covers(signed []string) *apiError {
	if !slices.Contains(signed, "host") {
		return doesNotMatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range c.request.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(signed, name) {
			return doesNotMatch("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	if hash := c.request.Header.Get("X-Amz-Content-Sha256"); hash != "" && hash != hexSHA256(c.body) {
		return doesNotMatch(mismatch)
	}
	return nil
}

// canonical returns the request in the form that is signed.
func (c *call) canonical(signed []string) string {
	var headers strings.Builder
	for _, name := range signed {
		values := slices.Clone(c.request.Header.Values(name))
		switch name {
		case "host":
			values = []string{c.request.Host}
		case "content-length":
			values = []string{strconv.FormatInt(c.request.ContentLength, 10)} // net/http keeps it out of Header
		}
		for i, v := range values {
			values[i] = strings.Join(strings.Fields(v), " ")
		}
		headers.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	return strings.Join([]string{
		c.request.Method, "/", canonicalQuery(c.request.URL.Query()), headers.String(),
		strings.Join(signed, ";"), hexSHA256(c.body),
	}, "\n")
}

// canonicalQuery sorts by name, then by value, each percent-encoded except for the unreserved characters.
func canonicalQuery(query url.Values) string {
	encoded := map[string][]string{}
	for name, values := range query {
		for _, value := range values {
			encoded[percent(name)] = append(encoded[percent(name)], percent(value))
		}
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(encoded)) {
		for _, value := range slices.Sorted(slices.Values(encoded[name])) {
			pairs = append(pairs, name+"="+value)
		}
	}
	return strings.Join(pairs, "&")
}

func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func (a authorization) sign(secret, date, canonical string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{a.date, a.region, a.service, a.terminator} {
		key = hmacSHA256(key, part)
	}
	scope := strings.Join([]string{a.date, a.region, a.service, a.terminator}, "/")
	return hmacSHA256(key, strings.Join([]string{algorithm, date, scope, hexSHA256([]byte(canonical))}, "\n"))
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
