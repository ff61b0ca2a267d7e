package lint

import (
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

var _ = register(Rule{
	Name:     "audience-missing",
	Severity: Warning,
	Why: "Without a condition on the audience, a token requested for another service can also be used to " +
		"assume this role.",
	Fix: "add \"ISSUER:aud\": \"sts.amazonaws.com\" under StringEquals",
	Doc: oidcRole,
	Check: func(p *pass) {
		for _, t := range p.trusts {
			if len(t.audiences()) == 0 {
				p.reportf(t.statement.Position, "no condition restricts %s (a bare * does not count): "+
					"a token requested for another service is accepted too, if the provider lists its audience",
					quote(t.issuer+":aud"))
			}
		}
	},
})

var _ = register(Rule{
	Name:     "audience-several",
	Severity: Note,
	Why:      "Each additional audience allows tokens that were requested for another purpose.",
	Fix:      "keep only the audience that the action requests",
	Doc:      githubOIDC,
	Check: func(p *pass) {
		for _, t := range p.trusts {
			if all := t.audiences(); len(all) > 1 {
				var texts []string
				for _, v := range all {
					texts = append(texts, v.Text)
				}
				p.reportf(all[0].Position, "tokens for %d audiences are accepted: %s", len(all), quoteAll(texts))
			}
		}
	},
})

var _ = register(Rule{
	Name:     "audience-unknown",
	Severity: Note,
	Why:      "By default, the action requests tokens for sts.amazonaws.com, or for sts.amazonaws.com.cn in China.",
	Fix:      "set the action's audience input to the same value, and add it to the provider's client IDs",
	Doc:      githubOIDC,
	Check: func(p *pass) {
		for _, t := range p.trusts {
			all := t.audiences()
			if len(all) == 1 && all[0].Text != chain.DefaultAudience("aws") &&
				all[0].Text != chain.DefaultAudience("aws-cn") {
				p.reportf(all[0].Position, "the audience %s is not one that the action requests by default",
					quote(all[0].Text))
			}
		}
	},
})

// audiences returns the audiences that a statement requires one of, each once.
func (t *trust) audiences() []policy.Value {
	var found []policy.Value
	for _, c := range t.statement.Conditions {
		o := parseOperator(c.Operator.Text)
		if !hasKey(c, t.issuer+":aud") || !o.positive() || !known(c) {
			continue
		}
		for _, v := range c.Values {
			listed := slices.ContainsFunc(found, func(other policy.Value) bool { return other.Text == v.Text })
			if anything := o.wild() && strings.Trim(v.Text, "*?") == ""; !anything && !listed {
				found = append(found, v)
			}
		}
	}
	return found
}
