package lab

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/policy"
)

// tokenGrace is how long after its exp IAM still accepts a token (IAM User Guide, "OIDC federation"). The lab
// allows the same before nbf and iat.
const tokenGrace = 5 * time.Minute

// tokenAge is the age of a token's iat above which STS rejects it as too old. Public logs show that such a limit
// exists ("Token too old: 441398"); a day is the lab's interpretation of them.
const tokenAge = 24 * time.Hour

// unvalidated is the error that STS has returned since 2026, both if the account has no provider for the issuer
// and if the provider does not list the audience.
func unvalidated() *apiError {
	return invalidToken("The web identity token provided could not be validated. " +
		"See the AssumeRoleWithWebIdentity documentation for requirements.")
}

func invalidToken(message string) *apiError {
	return badRequest("InvalidIdentityToken", "%s", message)
}

// noKey has two spaces after the comma, as on AWS.
func noKey() *apiError {
	return invalidToken("Couldn't retrieve verification key from your identity provider,  " +
		"please reference AssumeRoleWithWebIdentity documentation for requirements")
}

// webDenied is the single error for a role that does not exist, a principal that does not match and a condition
// that fails.
func webDenied() *apiError {
	return forbidden("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
}

// expiredToken counts in seconds since 1970.
func expiredToken(now, expires time.Time) *apiError {
	return badRequest("ExpiredTokenException",
		"Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), expires.Unix())
}

func (l *Lab) assumeRoleWithWebIdentity(c *call) (*result, *apiError) {
	if refused := c.parameters(); refused != nil {
		return nil, refused
	}
	t, err := parseToken(c.params.token)
	if err != nil {
		return nil, invalidToken("The ID Token provided is not a valid JWT. " +
			"(You may see this error if you sent an Access Token)")
	}
	c.webToken = &t
	if c.role = l.world.roles[c.params.roleARN]; c.role == nil {
		return nil, webDenied()
	}
	if refused := c.regionDisabled(c.role.account); refused != nil {
		return nil, refused
	}
	if refused := c.withinMaximum(); refused != nil {
		return nil, refused
	}
	issuer := strings.TrimPrefix(t.claims.Text("iss"), "https://")
	found, ok := c.role.account.providers[issuer]
	if !ok || issuer == t.claims.Text("iss") {
		return nil, unvalidated()
	}
	c.provider = &found
	if refused := l.verify(c); refused != nil {
		return nil, refused
	}
	audience, refused := t.audience(found)
	if refused != nil {
		return nil, refused
	}
	if refused := c.claimedTags(); refused != nil {
		return nil, refused
	}
	if refused := l.admit(c); refused != nil {
		return nil, refused
	}
	out := l.grant(c)
	out.Provider, out.Audience, out.SubjectFromWebIdentityToken = found.arn, audience, t.claims.Text("sub")
	return out, nil
}

// withinMaximum checks the duration against the role.
func (c *call) withinMaximum() *apiError {
	if c.params.duration > c.role.maxDuration {
		return badRequest("ValidationError",
			"The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return nil
}

// verify checks the signature against the issuer's key set, then the times and the required claims. GitHub signs
// with RS256, and the lab accepts nothing else: a token that names another algorithm, none for example, is
// rejected before its signature is checked.
func (l *Lab) verify(c *call) *apiError {
	t := c.webToken
	if t.alg != "RS256" {
		return unvalidated()
	}
	if l.keysUnreachable() || t.kid != l.key.id {
		return noKey()
	}
	if !t.signedBy(l.key) {
		return unvalidated() // AWS's text for a bad signature is not public
	}
	for _, claim := range []string{"exp", "iat"} {
		if _, ok := t.seconds(claim); !ok {
			return invalidToken("Missing a required claim: " + claim + ".")
		}
	}
	expires, _ := t.seconds("exp")
	issued, _ := t.seconds("iat")
	notBefore, hasNotBefore := t.seconds("nbf")
	switch {
	case !c.now.Before(expires.Add(tokenGrace)):
		return expiredToken(c.now, expires)
	case c.now.Sub(issued) > tokenAge:
		return badRequest("ExpiredTokenException", "Token too old: %d", int64(c.now.Sub(issued).Seconds()))
	case issued.After(c.now.Add(tokenGrace)), hasNotBefore && notBefore.After(c.now.Add(tokenGrace)):
		return unvalidated()
	case t.claims.Text("sub") == "":
		return invalidToken("Missing a required claim: sub.")
	}
	return nil
}

// audience returns the audience that counts: azp if the token has it (IAM User Guide, "Available keys for AWS OIDC
// federation"). It must be a client id of the provider.
func (t *token) audience(p provider) (string, *apiError) {
	audiences, azp := t.claims.Texts("aud"), t.claims.Text("azp")
	switch {
	case len(audiences) > 1 && azp == "":
		return "", invalidToken("Token audience contains more than one audience while authorized party is not present")
	case len(audiences) == 0:
		return "", unvalidated()
	}
	audience := t.claims.Audience()
	if !slices.Contains(p.clientIDs, audience) {
		return "", unvalidated()
	}
	return audience, nil
}

// claimedTags reads session tags and source identity of a web identity: they come from these claims
// alone ("Pass session tags in AWS STS"). GitHub's tokens have none of them.
func (c *call) claimedTags() *apiError {
	claim, _ := c.webToken.claims["https://aws.amazon.com/tags"].(map[string]any)
	principal, _ := claim["principal_tags"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(principal)) {
		list, _ := principal[key].([]any)
		if len(list) != 1 {
			return badRequest("InvalidParameterValue", "A session tag has one value.")
		}
		text, _ := list[0].(string)
		c.effective.sent = append(c.effective.sent, tag{Key: key, Value: text})
	}
	transitive, _ := claim["transitive_tag_keys"].([]any)
	for _, key := range transitive {
		text, _ := key.(string)
		c.effective.transitive = append(c.effective.transitive, text)
	}
	c.effective.sourceIdentity = c.webToken.claims.Text("https://aws.amazon.com/source_identity")
	if problem := c.effective.sent.Problem(); problem != "" {
		return badRequest("InvalidParameterValue", "The token's tags: %s", problem)
	}
	return tagRules(c.effective.sent, c.effective.transitive, nil)
}

func (l *Lab) assumeRole(c *call) (*result, *apiError) {
	if refused := c.parameters(); refused != nil {
		return nil, refused
	}
	// All callers of the lab are sessions, so the limit of a chained session always applies. A longer duration
	// fails the call; it is not shortened ("Methods to assume a role", role chaining).
	if c.params.duration > time.Hour {
		return nil, badRequest("ValidationError",
			"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	c.effective = effective{
		sent: c.params.tags, transitive: c.params.transitive, inherited: c.caller.Transitive,
		sourceIdentity: c.params.sourceIdentity,
	}
	if refused := tagRules(c.effective.sent, c.effective.transitive, c.effective.inherited); refused != nil {
		return nil, refused
	}
	if c.role = l.world.roles[c.params.roleARN]; c.role == nil {
		return nil, denied(c, "sts:AssumeRole", policy.Side{Kind: policy.Trust})
	}
	// The role's maximum is never below one hour, the limit for every caller of the lab, which is itself a
	// session.
	if refused := l.admit(c); refused != nil {
		return nil, refused
	}
	return l.grant(c), nil
}
