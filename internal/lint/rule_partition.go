package lint

import (
	"fmt"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

var _ = register(Rule{
	Name:     "partition-mismatch",
	Severity: Error,
	Why:      "Partitions are separate: a role or provider of another partition cannot be used.",
	Fix:      "use the role's partition (arn:aws, arn:aws-cn or arn:aws-us-gov) and the audience of that partition",
	Doc:      iamGuide + "reference_identifiers.html",
	Check: func(p *pass) {
		own := p.partition()
		whose := "the document's first ARN"
		if p.role.arn != "" {
			whose = "the role " + quote(p.role.arn)
		}
		for _, v := range p.arns() {
			if other := partition(v.Text); other != own {
				p.reportf(v.Position, "%s is in the partition %s, but %s is in %s",
					quote(v.Text), quote(other), whose, quote(own))
			}
		}
		for _, s := range p.Statements {
			for _, issuer := range issuers(s) {
				for _, c := range s.Conditions {
					if isGitHub(issuer) && hasKey(c, issuer+":aud") {
						p.reportAudiences(own, c)
					}
				}
			}
		}
	},
})

// reportAudiences reports the values of a condition that are the default audience of another partition.
func (p *pass) reportAudiences(own string, c policy.Condition) {
	other := chain.DefaultAudience("aws-cn")
	if own == "aws-cn" {
		other = chain.DefaultAudience("aws")
	}
	for _, v := range c.Values {
		if v.Text == other {
			p.report(v.Position, finding{severity: Warning, message: fmt.Sprintf(
				"the audience %s is not the default of the partition %s, which is %s unless the input audience is set",
				quote(v.Text), own, quote(chain.DefaultAudience(own)))})
		}
	}
}
