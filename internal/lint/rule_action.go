package lint

import (
	"fmt"
	"slices"
)

var _ = register(Rule{
	Name:     "action-mismatch",
	Severity: Error,
	Why: "A token is exchanged with sts:AssumeRoleWithWebIdentity and a role session calls sts:AssumeRole; " +
		"a statement that allows only the other action never applies.",
	Fix: "allow sts:AssumeRoleWithWebIdentity to the provider, and sts:AssumeRole to roles",
	Doc: oidcRole,
	Check: func(p *pass) {
		for _, s := range p.trusting() {
			web, chained := allows(s, webIdentity), allows(s, assumeRole)
			for _, principal := range s.Principals {
				if _, federated := provider(principal); federated && !web && chained {
					p.reportf(actionsAt(s),
						"tokens of the provider %s are exchanged with %s, but this statement allows %s",
						quote(principal.Text), webIdentity, assumeRole)
				}
			}
			if web && !chained && signed(s) && !slices.ContainsFunc(s.Principals, everyone) {
				p.report(actionsAt(s), finding{
					message: fmt.Sprintf("roles and accounts call %s, but this statement allows only %s",
						assumeRole, webIdentity),
					fix: "allow sts:AssumeRole and sts:TagSession",
				})
			}
		}
	},
})

var _ = register(Rule{
	Name:     "externalid-on-tagsession",
	Severity: Warning,
	Why: "AWS lists sts:ExternalId for sts:AssumeRole only; a statement that allows only sts:TagSession may " +
		"never match it.",
	Fix: "move the condition to the statement that allows sts:AssumeRole",
	Doc: stsActions,
	Check: func(p *pass) {
		for _, s := range p.trusting() {
			if !allows(s, tagSession) || allows(s, assumeRole) {
				continue
			}
			for _, c := range s.Conditions {
				if hasKey(c, "sts:ExternalId") && !metWithout(c) {
					p.reportf(c.Key.Position,
						"the statement requires sts:ExternalId and allows %s without %s; AWS lists the key for %s only",
						tagSession, assumeRole, assumeRole)
				}
			}
		}
	},
})
