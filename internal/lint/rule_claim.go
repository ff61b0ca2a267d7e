package lint

import (
	"fmt"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

var _ = register(Rule{
	Name:     "claim-not-carried",
	Severity: Error,
	Why: "AWS provides condition keys for sub, aud, amr and ten other GitHub claims " +
		"(for a GitHub Enterprise Server, only for the first three); other claims have no key.",
	Fix: "use a claim that has a condition key, or customize the subject to include the claim",
	Doc: stsActions,
	Check: func(p *pass) {
		p.reportAbsent(notCarried, func(c *condition) string {
			if issuer, _ := issuerAndClaim(c.Key.Text); !chain.CarriesClaims(issuer) {
				return "for this issuer's tokens, AWS provides condition keys only for sub, aud and amr"
			}
			return "AWS provides condition keys only for " + strings.Join(chain.ClaimNames, ", ") +
				", sub, aud and amr"
		})
	},
})

var _ = register(Rule{
	Name:     "claim-only-at-hub",
	Severity: Error,
	Why: "Of a token's claims, only sub, aud and amr remain condition keys in the hub's session; the others " +
		"exist only in the hub call.",
	Fix: "move the condition to the hub's trust policy, and restrict :sub and :aud here",
	Doc: stsKeys,
	Check: func(p *pass) {
		p.reportAbsent(onlyAtHub, func(*condition) string {
			return "of a token's claims, only sub, aud and amr remain in the hub's session"
		})
	},
})

var _ = register(Rule{
	Name:     "claim-other-issuer",
	Severity: Error,
	Why:      "The condition keys of a token begin with its own issuer, including the path of an enterprise.",
	Fix:      "begin the key with the issuer of the statement's provider",
	Doc:      stsKeys,
	Check: func(p *pass) {
		p.reportAbsent(ofOtherIssuer,
			func(c *condition) string { return "the statement's provider is " + quoteAll(c.issuers) })
	},
})

var _ = register(Rule{
	Name:     "key-never-present",
	Severity: Error,
	Why:      "A condition on a key that the call never has either disables the statement or restricts nothing.",
	Fix: "remove the condition, or use a key that the call has: " +
		"aws:PrincipalArn, aws:PrincipalOrgID or sts:ExternalId for a spoke, claims for the hub",
	Doc: iamGuide + "reference_policies_condition-keys.html",
	Check: func(p *pass) {
		p.reportAbsent(ofOtherCall, func(c *condition) string {
			switch {
			case strings.EqualFold(c.Key.Text, durationKey):
				return "neither AssumeRole nor AssumeRoleWithWebIdentity has this key"
			case isOneOf(c.Key.Text, serviceKeys):
				return "only calls made by AWS services have it"
			}
			return "a call with a GitHub token does not have this key"
		})
	},
})

// reportAbsent reports the conditions whose key is absent for one reason, and what follows from that.
func (p *pass) reportAbsent(why absence, explain func(*condition) string) {
	for _, c := range p.conditions {
		if c.absence != why {
			continue
		}
		f := finding{message: fmt.Sprintf("the key %s is never present: %s", quote(c.Key.Text), explain(c))}
		met := metWithout(c.Condition)
		switch {
		case c.statement.Effect == policy.Allow && met:
			f.message += fmt.Sprintf("; so %s is always met and restricts nothing", c.Operator.Text)
			f.severity = Warning
		case c.statement.Effect == policy.Allow:
			f.message += "; so the statement never applies"
		case met:
			continue // the Deny depends on its other conditions only
		default:
			f.message += "; so the Deny never applies"
			f.severity = Warning
		}
		p.report(c.Key.Position, f)
	}
}
