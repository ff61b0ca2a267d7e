package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

var _ = register(Rule{
	Name:     "resource-not-role",
	Severity: Error,
	Why:      "Only a role can be assumed; a statement for any other resource allows nothing.",
	Fix:      "write arn:aws:iam::ACCOUNT:role/NAME, including the role's path if it has one",
	Doc:      iamGuide + "reference_policies_elements_resource.html",
	Check: func(p *pass) {
		for _, s := range p.permitting() {
			other := func(v policy.Value) bool { return !strings.HasPrefix(strings.ToLower(v.Text), "sts:") }
			if s.NotActions != nil || slices.ContainsFunc(s.Actions, other) ||
				!names(s, assumeRole) && !names(s, tagSession) && !names(s, setSourceIdentity) {
				continue
			}
			for _, v := range s.Resources {
				if reason := notARole(v.Text); reason != "" {
					p.reportf(v.Position, "%s is not a role that can be assumed: %s", quote(v.Text), reason)
				}
			}
		}
	},
})

// permitting returns the statements of a permission policy that allow something.
func (d *document) permitting() []policy.Statement {
	var found []policy.Statement
	for _, s := range d.Statements {
		if d.kind != Trust && s.Effect == policy.Allow {
			found = append(found, s)
		}
	}
	return found
}

// notARole returns why a resource cannot be the ARN of a role, or "".
func notARole(resource string) string {
	if !strings.HasPrefix(resource, "arn:") || strings.Count(resource, ":") < 5 {
		return "" // * is everything, and IAM rejects the rest
	}
	service, region, owner, name := arnField(resource, 2), arnField(resource, 3), account(resource),
		arnField(resource, 5)
	begin, _, wild := strings.Cut(name, "*")
	switch {
	case service == "sts":
		return "it is a session; write the role's ARN, arn:PARTITION:iam::ACCOUNT:role/PATH/NAME"
	case service != "iam":
		return "its service is not iam"
	case strings.Trim(region, "*") != "":
		return "a role's ARN has no region"
	case owner == "":
		return "a role's ARN includes the account"
	case !strings.HasPrefix(name, "role/") && !(wild && strings.HasPrefix("role/", begin)) &&
		!strings.Contains(name, "?"):
		return "the last part of a role's ARN begins with role/"
	}
	return ""
}

// targets are the keys by which a permission policy can distinguish roles.
var targets = []string{
	"iam:ResourceTag/", "aws:ResourceTag/", "aws:ResourceAccount", "aws:ResourceOrgID", "aws:ResourceOrgPaths",
}

var _ = register(Rule{
	Name:     "resource-wildcard",
	Severity: Warning,
	Why: "With a pattern, the hub can assume every matching role that trusts it, including roles in accounts " +
		"of outsiders.",
	Fix: "list the ARNs of the spokes, or add a condition on iam:ResourceTag/KEY",
	Doc: iamGuide + "reference_policies_elements_resource.html",
	Check: func(p *pass) {
		if p.kind == Boundary || p.kind == SCP { // they grant nothing, so a pattern is harmless
			return
		}
		for _, s := range p.permitting() {
			switch {
			case !allows(s, assumeRole) || narrowed(s, targets...):
			case len(s.NotResources) > 0:
				p.reportf(s.NotResources[0].Position,
					"NotResource allows the hub to assume every role except those listed, in any account")
			default:
				for _, v := range s.Resources {
					p.reportPattern(v)
				}
			}
		}
	},
})

// reportPattern reports a resource that stands for several roles.
func (p *pass) reportPattern(v policy.Value) {
	const allow = "%s allows the hub to assume "
	ps, _ := pieces(arnField(v.Text, 5), true, p.variables())
	anyAccount := v.Text == "*" || strings.ContainsAny(account(v.Text), "*?")
	anyRole := v.Text == "*" || wildcards(ps) > 0 && strings.HasPrefix("role/", literal(ps))
	switch {
	case v.Text != "*" && arnField(v.Text, 2) != "iam":
	case !anyAccount && wildcards(ps) == 0:
	case anyAccount && anyRole:
		p.reportf(v.Position, allow+"every role that trusts it, in any account, including those of outsiders",
			quote(v.Text))
	case anyAccount:
		p.reportf(v.Position, allow+"a role of that name in any account, including those of outsiders", quote(v.Text))
	case anyRole:
		p.reportf(v.Position, allow+"every role of the account that trusts it", quote(v.Text))
	default:
		p.report(v.Position, finding{severity: Note,
			message: fmt.Sprintf(allow+"every role whose name matches, including future ones", quote(v.Text))})
	}
}
