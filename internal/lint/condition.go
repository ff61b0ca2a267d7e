package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// serviceKeys are those that only an AWS service sends when it acts for someone ("AWS global condition context
// keys"), and one that AssumeRole never has, by its name.
var serviceKeys = []string{"aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID", "aws:SourceOrgPaths", "sts:DurationSeconds"}

// callerKeys are those of a signed call, which a token is not; and what AssumeRoleWithWebIdentity cannot send.
// A token of GitHub's brings neither session tags nor a source identity.
var callerKeys = []string{
	"aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalTag/", "aws:PrincipalType",
	"aws:userid", "aws:username", "sts:ExternalId", "aws:RequestTag/", "aws:TagKeys", "sts:TransitiveTagKeys", "sts:SourceIdentity", "aws:SourceIdentity",
}

// alwaysThere are keys that every hop has, so that it makes no difference what an operator does without them.
var alwaysThere = []string{
	"aws:CurrentTime", "aws:EpochTime", "aws:SecureTransport", "aws:SourceIp", "aws:UserAgent", "aws:RequestedRegion", "aws:ResourceAccount",
	"sts:RoleSessionName", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalType", "aws:userid", "aws:TokenIssueTime",
	"aws:ViaAWSService", "aws:PrincipalIsAWSService", "aws:MultiFactorAuthPresent",
}

// tagLists are the keys that have several values in a hop.
var tagLists = []string{"aws:TagKeys", "sts:TransitiveTagKeys"}

func isOneOf(key string, list []string) bool {
	return slices.ContainsFunc(list, func(known string) bool {
		if strings.HasSuffix(known, "/") {
			return strings.HasPrefix(strings.ToLower(key), strings.ToLower(known))
		}
		return strings.EqualFold(key, known)
	})
}

func (d *document) lintConditions(s policy.Statement) {
	providers := issuers(s)
	// Who can ask by this statement: a token, a session, or both.
	web := d.kind == Trust && names(s, webIdentity) && len(providers) > 0
	chained := d.kind != Trust || signed(s)
	for _, c := range s.Conditions {
		if !known(c) {
			continue
		}
		d.lintWildcards(c)
		if d.lintAbsent(s, c, providers, web, chained) || s.Effect != policy.Allow {
			continue
		}
		if !d.lintForAll(s, c) && (web || chained) {
			d.lintMissingKey(c, web)
		}
	}
}

// lintWildcards finds * and ? where they are characters.
func (d *document) lintWildcards(c policy.Condition) {
	base := parseOperator(c.Operator.Text).base
	if !strings.HasPrefix(base, "String") || strings.HasSuffix(base, "Like") {
		return
	}
	like := "StringLike"
	if strings.Contains(base, "Not") {
		like = "StringNotLike"
	}
	for _, v := range c.Values {
		ps, _ := pieces(v.Text, true, true)
		if wildcards(ps) > 0 {
			d.add("wildcard-under-stringequals", v.Position, finding{message: fmt.Sprintf(
				"under %s the * or ? in %s is a character like any other, and no value of %s has it", c.Operator.Text, quote(v.Text), quote(c.Key.Text)),
				fix: "write the exact value; " + like + " reads wildcards, if a pattern is what is wanted"})
		}
	}
}

// lintAbsent finds conditions on keys that no request which the statement is about can have, and tells whether
// this is one.
func (d *document) lintAbsent(s policy.Statement, c policy.Condition, providers []string, web, chained bool) bool {
	issuer, claim := issuerAndClaim(c.Key.Text)
	name, why := "", ""
	switch {
	case issuer != "" && len(providers) > 0 && web && !slices.ContainsFunc(providers, func(p string) bool { return strings.EqualFold(p, issuer) }):
		name, why = "claim-other-issuer", fmt.Sprintf("the statement's provider is %s", quoteAll(providers))
	case issuer != "" && !isGitHub(issuer):
		return false // of a provider that nothing is known about here
	case issuer != "" && slices.Contains([]string{"sub", "aud", "amr", "oaud"}, claim):
		return false
	case issuer != "" && (!slices.Contains(chain.ClaimNames, claim) || !chain.CarriesClaims(issuer)):
		name, why = "claim-not-carried", "AWS makes condition keys of "+strings.Join(chain.ClaimNames, ", ")+", sub, aud and amr only"
		if !chain.CarriesClaims(issuer) {
			why = "of this issuer's tokens AWS makes condition keys of sub, aud and amr only"
		}
	case issuer != "" && !web && chained:
		name, why = "claim-only-at-hub", "of a token's claims only sub, aud and amr stay in the hub's session"
	case isOneOf(c.Key.Text, serviceKeys) && (chained || web):
		name, why = "key-never-present", "only calls that an AWS service makes have it"
		if strings.EqualFold(c.Key.Text, "sts:DurationSeconds") {
			why = "neither AssumeRole nor AssumeRoleWithWebIdentity has such a key"
		}
	case web && !chained && isOneOf(c.Key.Text, callerKeys):
		name, why = "key-never-present", "a call with a token of GitHub's has no such key"
	default:
		return false
	}
	f := finding{message: fmt.Sprintf("the key %s is never there: %s", quote(c.Key.Text), why)}
	met := metWithout(c)
	switch {
	case s.Effect == policy.Allow && met:
		f.message += fmt.Sprintf("; so %s is always met and keeps nobody out", c.Operator.Text)
		f.severity = Warning
	case s.Effect == policy.Allow:
		f.message += "; so the statement never applies"
	case met:
		return true // what the Deny asks for is met; that it refuses is what its other conditions say
	default:
		f.message += "; so the Deny never applies"
		f.severity = Warning
	}
	d.add(name, c.Key.Position, f)
	return true
}

// issuerAndClaim divides the key of a token's claim at its last colon. Other keys have no issuer.
func issuerAndClaim(key string) (issuer, claim string) {
	i := strings.LastIndexByte(key, ':')
	if i < 0 || !strings.Contains(key[:i], ".") || strings.Contains(key[i:], "/") {
		return "", ""
	}
	return strings.ToLower(key[:i]), strings.ToLower(key[i+1:])
}

// lintForAll tells whether the condition is a ForAllValues, which lintMissingKey need not look at.
func (d *document) lintForAll(s policy.Statement, c policy.Condition) bool {
	if parseOperator(c.Operator.Text).quantifier != "ForAllValues:" {
		return false
	}
	f := finding{message: fmt.Sprintf("%s is also met when the request has no %s", c.Operator.Text, quote(c.Key.Text))}
	if isOneOf(c.Key.Text, tagLists) {
		present := slices.ContainsFunc(s.Conditions, func(other policy.Condition) bool {
			return (hasKey(other, c.Key.Text) || isOneOf(other.Key.Text, []string{"aws:RequestTag/"})) && !metWithout(other)
		})
		if present {
			return true
		}
		f.severity = Note
		f.message = fmt.Sprintf("%s limits which tags may be sent and asks for none: it is also met when there are none", c.Operator.Text)
		f.fix = "if a tag must be there, ask for it as well: \"Null\": {\"" + plain.Defused(plain.Shorten(c.Key.Text, maxValue)) + "\": \"false\"}"
	}
	d.add("forallvalues-allow", c.Operator.Position, f)
	return true
}

// lintMissingKey finds what lets a request through that lacks the key.
func (d *document) lintMissingKey(c policy.Condition, web bool) {
	_, claim := issuerAndClaim(c.Key.Text)
	if !metWithout(c) || isOneOf(c.Key.Text, alwaysThere) || web && (claim == "sub" || claim == "aud") {
		return
	}
	o := parseOperator(c.Operator.Text)
	what := c.Operator.Text
	if o.null() {
		what = `Null "true"`
	}
	d.add("negated-missing-key", c.Operator.Position, finding{message: fmt.Sprintf(
		"%s on %s is also met when the request has no such key", what, quote(c.Key.Text))})
}
