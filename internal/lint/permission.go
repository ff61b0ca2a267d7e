package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// targets are the keys by which a permission policy can tell roles apart.
var targets = []string{
	"iam:ResourceTag/", "aws:ResourceTag/", "aws:ResourceAccount", "aws:ResourceOrgID", "aws:ResourceOrgPaths",
}

// lintPermissions looks at a statement of a policy that says what a session may do. Boundaries and service
// control policies only limit, so it is no harm if they allow much.
func (d *document) lintPermissions(s policy.Statement) {
	if s.Effect != policy.Allow {
		return
	}
	if d.kind != Boundary && d.kind != SCP && allows(s, assumeRole) {
		d.lintResources(s)
	}
	hopOnly := !slices.ContainsFunc(s.Actions, func(v policy.Value) bool { return !strings.HasPrefix(strings.ToLower(v.Text), "sts:") })
	if s.NotActions != nil || !hopOnly || !names(s, assumeRole) && !names(s, tagSession) && !names(s, setSourceIdentity) {
		return
	}
	for _, v := range s.Resources {
		if reason := notARole(v.Text); reason != "" {
			d.add("resource-not-role", v.Position, finding{message: fmt.Sprintf("%s is no role that can be assumed: %s", quote(v.Text), reason)})
		}
	}
}

// notARole tells why a resource cannot be the ARN of a role, or "".
func notARole(resource string) string {
	if !strings.HasPrefix(resource, "arn:") || strings.Count(resource, ":") < 5 {
		return "" // * is everything, and the rest is refused
	}
	service, region, owner, name := arnField(resource, 2), arnField(resource, 3), account(resource), arnField(resource, 5)
	begin, _, wild := strings.Cut(name, "*")
	switch {
	case service == "sts":
		return "it is a session; the resource is the role, arn:PARTITION:iam::ACCOUNT:role/PATH/NAME"
	case service != "iam":
		return "its service is not iam"
	case strings.Trim(region, "*") != "":
		return "a role's ARN has no region"
	case owner == "":
		return "a role's ARN has the account"
	case !strings.HasPrefix(name, "role/") && !(wild && strings.HasPrefix("role/", begin)) && !strings.Contains(name, "?"):
		return "the last part of a role's ARN begins with role/"
	}
	return ""
}

func (d *document) lintResources(s policy.Statement) {
	for _, v := range s.NotResources {
		if !narrowed(s, targets...) {
			d.add("resource-wildcard", v.Position, finding{message: "NotResource allows a hop into every role but those that it names, in any account"})
			return
		}
	}
	for _, v := range s.Resources {
		owner, name := account(v.Text), arnField(v.Text, 5)
		ps, _ := pieces(name, true, d.Version.Text == "2012-10-17")
		anyAccount := v.Text == "*" || strings.ContainsAny(owner, "*?")
		anyRole := v.Text == "*" || wildcards(ps) > 0 && strings.HasPrefix("role/", literal(ps))
		switch {
		case v.Text != "*" && arnField(v.Text, 2) != "iam": // of another service
		case !anyAccount && wildcards(ps) == 0, narrowed(s, targets...):
		case anyAccount && anyRole:
			d.add("resource-wildcard", v.Position, finding{message: fmt.Sprintf("%s allows a hop into every role of every account that trusts the hub, strangers' accounts too", quote(v.Text))})
		case anyAccount:
			d.add("resource-wildcard", v.Position, finding{message: fmt.Sprintf("%s allows a hop into any account that has a role of that name, strangers' accounts too", quote(v.Text))})
		case anyRole:
			d.add("resource-wildcard", v.Position, finding{message: fmt.Sprintf("%s allows a hop into every role of the account that trusts the hub", quote(v.Text))})
		default:
			d.add("resource-wildcard", v.Position, finding{severity: Note, message: fmt.Sprintf("%s allows a hop into every role whose name fits, future ones too", quote(v.Text))})
		}
	}
}
