package lint

import (
	"fmt"
	"slices"

	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/policy"
)

const forAllValues = "ForAllValues:"

var _ = register(Rule{
	Name:     "forallvalues-allow",
	Severity: Error,
	Why:      "ForAllValues also matches a request that does not have the key.",
	Fix:      "use the operator without ForAllValues; the key has one value",
	Doc:      iamGuide + "reference_policies_condition-single-vs-multi-valued-context-keys.html",
	Check: func(p *pass) {
		for _, c := range p.conditions {
			if c.absence != notAbsent || c.statement.Effect != policy.Allow || c.quantifier != forAllValues {
				continue
			}
			f := finding{message: fmt.Sprintf("%s also matches a request that has no %s",
				c.Operator.Text, quote(c.Key.Text))}
			if isOneOf(c.Key.Text, tagLists) {
				if requiresTags(c) {
					continue
				}
				f.severity = Note
				f.message = c.Operator.Text +
					" limits which tags may be sent but requires none: it also matches a request without tags"
				f.fix = "to require a tag, add \"Null\": {\"" + plain.Defused(plain.Shorten(c.Key.Text, maxValue)) +
					"\": \"false\"}"
			}
			p.report(c.Operator.Position, f)
		}
	},
})

// tagLists are the keys that have several values in a hop.
var tagLists = []string{"aws:TagKeys", "sts:TransitiveTagKeys"}

// requiresTags reports whether another condition of the statement fails without the key or a tag.
func requiresTags(c *condition) bool {
	return slices.ContainsFunc(c.statement.Conditions, func(other policy.Condition) bool {
		return (hasKey(other, c.Key.Text) || isOneOf(other.Key.Text, []string{"aws:RequestTag/"})) && !metWithout(other)
	})
}

var _ = register(Rule{
	Name:     "negated-missing-key",
	Severity: Warning,
	Why: "A negated operator, an operator with IfExists and Null \"true\" also match a request that lacks " +
		"the key.",
	Fix: "list the allowed values instead of the excluded ones, or add \"Null\": {\"KEY\": \"false\"}",
	Doc: operators,
	Check: func(p *pass) {
		for _, c := range p.conditions {
			if c.absence != notAbsent || c.statement.Effect != policy.Allow || c.quantifier == forAllValues ||
				!c.web && !c.chained {
				continue
			}
			_, claim := issuerAndClaim(c.Key.Text)
			if !metWithout(c.Condition) || isOneOf(c.Key.Text, alwaysPresent) ||
				c.web && (claim == "sub" || claim == "aud") {
				continue
			}
			name := c.Operator.Text
			if c.null() {
				name = `Null "true"`
			}
			p.reportf(c.Operator.Position, "%s on %s also matches a request that has no such key",
				name, quote(c.Key.Text))
		}
	},
})

// alwaysPresent are keys that every hop has, so that it does not matter what an operator does without them.
var alwaysPresent = []string{
	"aws:CurrentTime", "aws:EpochTime", "aws:SecureTransport", "aws:SourceIp", "aws:UserAgent", "aws:RequestedRegion",
	"aws:ResourceAccount", "sts:RoleSessionName", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalType",
	"aws:userid", "aws:TokenIssueTime", "aws:ViaAWSService", "aws:PrincipalIsAWSService", "aws:MultiFactorAuthPresent",
}
