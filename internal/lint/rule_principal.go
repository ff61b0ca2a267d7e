package lint

import (
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

var _ = register(Rule{
	Name:     "principal-wildcard",
	Severity: Error,
	Why:      "* matches everyone: every AWS account, and everyone who holds a token from a provider in this account.",
	Fix:      nameHubRole,
	Doc:      principals,
	Check: func(p *pass) {
		for _, s := range p.trusting() {
			for _, principal := range s.Principals {
				switch {
				case !everyone(principal):
				case narrowed(s, callers...):
					p.report(principal.Position, finding{severity: Warning,
						message: "the principal is everyone, and only the statement's conditions restrict who can " +
							"assume the role"})
				default:
					p.reportf(principal.Position,
						"everyone can assume the role, from any account or with a token from any provider in the "+
							"role's account")
				}
			}
		}
	},
})

// callers are the keys by which a trust policy can distinguish callers.
var callers = []string{
	"aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:userid",
	"aws:PrincipalTag/",
}

var _ = register(Rule{
	Name:     "principal-account-root",
	Severity: Warning,
	Why:      "Trusting an account trusts everyone who can write policies in it.",
	Fix:      nameHubRole,
	Doc:      principals,
	Check: func(p *pass) {
		for _, s := range p.trusting() {
			for _, principal := range s.Principals {
				if isAccount(principal) && !narrowed(s, "aws:PrincipalArn", "aws:userid", "aws:PrincipalTag/") {
					p.reportf(principal.Position,
						"%s is the whole account: any role or user in it whose policies allow it can assume this "+
							"role", quote(principal.Text))
				}
			}
		}
	},
})

func isAccount(p policy.Principal) bool {
	return p.Type.Text == "AWS" &&
		(strings.HasSuffix(p.Text, ":root") || len(p.Text) == 12 && strings.Trim(p.Text, "0123456789") == "")
}

// trusting returns the statements of a trust policy that allow something.
func (d *document) trusting() []policy.Statement {
	var found []policy.Statement
	for _, s := range d.Statements {
		if d.kind == Trust && s.Effect == policy.Allow {
			found = append(found, s)
		}
	}
	return found
}

var _ = register(Rule{
	Name:     "provider-account",
	Severity: Error,
	Why:      "STS looks up a token's provider in the role's own account.",
	Fix:      "create the provider in the role's account, and use its ARN",
	Doc:      oidcRole,
	Check: func(p *pass) {
		if p.kind != Trust || p.role.arn == "" {
			return
		}
		for _, s := range p.Statements {
			for _, principal := range s.Principals {
				_, federated := provider(principal)
				if own, other := account(p.role.arn), account(principal.Text); federated && other != own {
					p.reportf(principal.Position,
						"the provider is in account %s, but the role is in account %s; STS uses providers of the "+
							"role's account only",
						quote(other), quote(own))
				}
			}
		}
	},
})
