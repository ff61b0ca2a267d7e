package lint

import (
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// condition is a condition with an operator that IAM has, and the requests that its statement is about.
type condition struct {
	policy.Condition
	operator
	statement policy.Statement
	web       bool // tokens: sts:AssumeRoleWithWebIdentity
	chained   bool // signed calls: sts:AssumeRole
	absence   absence
	issuers   []string // of the statement's providers
}

// absence is why no request that a statement is about has a condition's key.
type absence int

const (
	notAbsent     absence = iota
	ofOtherIssuer         // the statement's providers have other issuers
	notCarried            // AWS makes no condition key of the claim
	onlyAtHub             // only the hub call has the claim
	ofOtherCall           // only other calls have the key
)

// serviceKeys are keys that only an AWS service sends when it acts for someone ("AWS global condition context
// keys"), and durationKey, which looks like one of AssumeRole's.
var serviceKeys = []string{"aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID", "aws:SourceOrgPaths", durationKey}

const durationKey = "sts:DurationSeconds"

// callerKeys are keys of a signed call, which a token is not, and of what AssumeRoleWithWebIdentity cannot send.
// GitHub's tokens contain neither session tags nor a source identity.
var callerKeys = []string{
	"aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalTag/",
	"aws:PrincipalType", "aws:userid", "aws:username", "sts:ExternalId", "aws:RequestTag/", "aws:TagKeys",
	"sts:TransitiveTagKeys", "sts:SourceIdentity", "aws:SourceIdentity",
}

func isOneOf(key string, list []string) bool {
	return slices.ContainsFunc(list, func(known string) bool {
		if strings.HasSuffix(known, "/") {
			return strings.HasPrefix(strings.ToLower(key), strings.ToLower(known))
		}
		return strings.EqualFold(key, known)
	})
}

func (d *document) classifyConditions() []*condition {
	var all []*condition
	for _, s := range d.Statements {
		providers := issuers(s)
		web := d.kind == Trust && names(s, webIdentity) && len(providers) > 0
		chained := d.kind != Trust || signed(s)
		for _, one := range s.Conditions {
			if known(one) {
				c := &condition{
					Condition: one, operator: parseOperator(one.Operator.Text), statement: s,
					web: web, chained: chained, issuers: providers,
				}
				c.absence = c.classify()
				all = append(all, c)
			}
		}
	}
	return all
}

func (c *condition) classify() absence {
	issuer, claim := issuerAndClaim(c.Key.Text)
	own := func(provider string) bool { return strings.EqualFold(provider, issuer) }
	switch {
	case issuer != "" && c.web && !slices.ContainsFunc(c.issuers, own):
		return ofOtherIssuer
	case issuer != "" && !isGitHub(issuer):
		return notAbsent // nothing is known about this provider
	case issuer != "" && slices.Contains([]string{"sub", "aud", "amr", "oaud"}, claim):
		return notAbsent
	case issuer != "" && (!slices.Contains(chain.ClaimNames, claim) || !chain.CarriesClaims(issuer)):
		return notCarried
	case issuer != "" && !c.web && c.chained:
		return onlyAtHub
	case isOneOf(c.Key.Text, serviceKeys) && (c.chained || c.web):
		return ofOtherCall
	case isOneOf(c.Key.Text, callerKeys) && c.web && !c.chained:
		return ofOtherCall
	}
	return notAbsent
}

// issuerAndClaim splits the key of a token's claim at its last colon. Other keys have no issuer.
func issuerAndClaim(key string) (issuer, claim string) {
	i := strings.LastIndexByte(key, ':')
	if i < 0 || !strings.Contains(key[:i], ".") || strings.Contains(key[i:], "/") {
		return "", ""
	}
	return strings.ToLower(key[:i]), strings.ToLower(key[i+1:])
}
