package idtoken

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/pattern"
)

// maxToken is the length that AWS STS takes, in bytes: WebIdentityToken in the API's model.
const maxToken = 20000

// maxTime is the first second of the year 10000, past what RFC 3339 can write.
const maxTime = 253402300800

// Claims are the claims of a token about its job. They are read without verifying the signature: AWS does
// that. Use them for tags and messages only, and defuse them before printing.
type Claims struct {
	Subject  string
	Issuer   string
	Audience []string
	Expires  time.Time // zero when the token has no exp

	all map[string]any
}

// jwt is three parts of base64url; the form is checked so that a mask of the whole token is one line.
var jwt = pattern.Lazy(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)

// ParseClaims reads the claims of a JWT of at most 20,000 bytes.
func ParseClaims(token string) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, errors.New("the token is larger than the 20000 bytes that AWS takes")
	}
	if !jwt().MatchString(token) {
		return Claims{}, errors.New("the token is not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return Claims{}, errors.New("the token's payload is not base64url")
	}
	// Into a map, because a struct's fields would match claims in any case: SUB is not sub. The
	// decoder's messages can quote the token, so they are not passed on.
	var c Claims
	if json.Unmarshal(payload, &c.all) != nil || c.all == nil {
		return Claims{}, errors.New("the token's payload is not a JSON object of claims")
	}
	c.Subject, c.Issuer = c.Get("sub"), c.Get("iss")
	if expires, ok := c.all["exp"].(float64); ok && expires > 0 && expires < maxTime {
		c.Expires = time.Unix(int64(expires), 0)
	}
	switch audience := c.all["aud"].(type) {
	case string:
		c.Audience = []string{audience}
	case []any:
		for _, a := range audience {
			if s, ok := a.(string); ok {
				c.Audience = append(c.Audience, s)
			}
		}
	}
	return c, nil
}

// RequestExpires returns when the runner's request token, ACTIONS_ID_TOKEN_REQUEST_TOKEN, expires: after that no token
// can be requested. GitHub documents no form for it: false when it is not a JWT with an exp.
func RequestExpires(token string) (time.Time, bool) {
	claims, err := ParseClaims(token)
	return claims.Expires, err == nil && !claims.Expires.IsZero()
}

// Get returns a claim that is a string, and "" for every other. GitHub's are all strings but the times.
func (c Claims) Get(name string) string {
	s, _ := c.all[name].(string)
	return s
}

// SubjectForm is the form of a subject.
type SubjectForm string

// The forms of GitHub's subjects. Immutable ones carry the ids of owner and repository behind an
// @: for github.com repositories created, renamed or transferred since 2026-07-15, or opted in.
const (
	Legacy     SubjectForm = "legacy"     // repo:OWNER/REPO:...
	Immutable  SubjectForm = "immutable"  // repo:OWNER@OWNER-ID/REPO@REPO-ID:...
	Customized SubjectForm = "customized" // another order or choice of claims
)

var (
	immutableSubject = pattern.Lazy(`^repo:[^/:@]+@[0-9]+/[^/:@]+@[0-9]+:`)
	legacySubject    = pattern.Lazy(`^repo:[^/:@]+/[^/:@]+:`)
)

// SubjectForm returns the form of the subject.
func (c Claims) SubjectForm() SubjectForm {
	switch {
	case immutableSubject().MatchString(c.Subject):
		return Immutable
	case legacySubject().MatchString(c.Subject):
		return Legacy
	}
	return Customized
}
