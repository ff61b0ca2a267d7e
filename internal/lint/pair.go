package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// side is one side of the hop into a spoke: what a document allows, its conditions left aside.
type side struct {
	*document
	at      policy.Position // of the action in the statement that allows sts:AssumeRole
	allowed func(action string) bool
}

// second are the actions that a hop needs beside sts:AssumeRole, on both sides ("Pass session tags in AWS STS",
// "Monitor and control actions taken with assumed roles", IAM User Guide), the rule that looks after each, and
// what sends it.
var second = []struct{ action, rule, what string }{
	{tagSession, "tagsession-missing", "session tags"},
	{setSourceIdentity, "setsourceidentity-missing", "a source identity"},
}

// pair holds the two sides of the hop into a spoke against each other, and says what one of them lacks. A
// document alone may be one half of a hop without tags, which is no mistake.
func pair(documents []*document) {
	var spokes, hubs []*document
	for _, d := range documents {
		switch {
		case d.kind == Trust && len(d.spokeSides()) > 0:
			spokes = append(spokes, d)
		case d.kind == Permissions || d.kind == Managed:
			if len(d.hubSides("")) > 0 {
				hubs = append(hubs, d)
			}
		}
	}
	for _, needed := range second {
		for _, spoke := range spokes {
			pairSpoke(needed.action, needed.rule, needed.what, spoke, spokes, hubs)
		}
		for _, hub := range hubs {
			if len(spokes) == 0 {
				alone(needed.action, needed.rule, needed.what, hub.hubSides(""))
			}
		}
		pairUnknown(needed.action, needed.rule, needed.what, spokes, hubs)
	}
}

// alone reports a side that lacks an action while the other side is not known.
func alone(action, rule, what string, sides []side) {
	for _, s := range sides {
		if action == tagSession && !s.allowed(action) {
			s.add(rule, s.at, finding{severity: Note, message: fmt.Sprintf("%s is allowed and %s is not: the hop works without %s only", assumeRole, action, what)})
		}
	}
}

// pairSpoke looks at a spoke whose role is known, from the output of get-role, or at one alone.
func pairSpoke(action, rule, what string, spoke *document, spokes, hubs []*document) {
	if len(hubs) == 0 {
		if len(spokes) == 1 || spoke.role.arn != "" {
			alone(action, rule, what, spoke.spokeSides())
		}
		return
	}
	if spoke.role.arn == "" {
		return
	}
	var from []side
	for _, hub := range hubs {
		from = append(from, hub.hubSides(spoke.role.arn)...)
	}
	if len(from) == 0 {
		return // another hub's
	}
	hubAllows := slices.ContainsFunc(from, func(s side) bool { return s.allowed(action) })
	for _, s := range spoke.spokeSides() {
		switch {
		case hubAllows && !s.allowed(action):
			s.add(rule, s.at, finding{message: fmt.Sprintf("the hub may send %s to %s (%s), and this trust policy does not allow %s",
				what, quote(spoke.role.arn), from[0].source.shown, action)})
		case !hubAllows && s.allowed(action):
			from[0].add(rule, from[0].at, finding{message: fmt.Sprintf("%s allows %s (%s), and no permission policy among the files does",
				quote(spoke.role.arn), action, spoke.source.shown)})
		}
	}
}

// pairUnknown looks at all spokes whose role is not known, at once: one of the hub's permissions may be for any
// of them. So it is sure of something only when a whole side lacks the action.
func pairUnknown(action, rule, what string, spokes, hubs []*document) {
	var to, from []side
	for _, d := range spokes {
		if d.role.arn == "" {
			to = append(to, d.spokeSides()...)
		}
	}
	for _, d := range hubs {
		from = append(from, d.hubSides("")...)
	}
	if len(to) == 0 || len(from) == 0 {
		return
	}
	allows := func(s side) bool { return s.allowed(action) }
	switch {
	case slices.ContainsFunc(from, allows) && !slices.ContainsFunc(to, allows):
		for _, s := range to {
			s.add(rule, s.at, finding{message: fmt.Sprintf("the hub may send %s (%s), and this trust policy does not allow %s", what, from[0].source.shown, action)})
		}
	case slices.ContainsFunc(to, allows) && !slices.ContainsFunc(from, allows):
		for _, s := range from {
			s.add(rule, s.at, finding{message: fmt.Sprintf("a spoke's trust policy allows %s (%s), and no permission policy among the files does", action, to[0].source.shown)})
		}
	case !slices.ContainsFunc(to, allows):
		alone(action, rule, what, from[:1])
		alone(action, rule, what, to[:1])
	}
}

// spokeSides are the principals that a trust policy lets in by a signed call, one side each.
func (d *document) spokeSides() []side {
	var sides []side
	seen := map[string]bool{}
	for _, s := range d.Statements {
		for _, p := range s.Principals {
			if !allows(s, assumeRole) || p.Type.Text != "AWS" || seen[p.Text] {
				continue
			}
			seen[p.Text] = true
			principal := p.Text
			sides = append(sides, side{d, actionsAt(s), func(action string) bool {
				return slices.ContainsFunc(d.Statements, func(other policy.Statement) bool {
					covers := func(p policy.Principal) bool {
						return p.Type.Text == "AWS" && p.Text == principal || everyone(p) || isRootOf(p.Text, principal)
					}
					return allows(other, action) && slices.ContainsFunc(other.Principals, covers)
				})
			}})
		}
	}
	return sides
}

// isRootOf tells whether a principal is the account of another one.
func isRootOf(root, principal string) bool {
	id := account(principal)
	return id != "" && (root == id || strings.HasSuffix(root, "::"+id+":root"))
}

// hubSides are the resources of a permission policy that it allows a hop into, one side each; with a role, only
// those that fit it.
func (d *document) hubSides(role string) []side {
	var sides []side
	for _, s := range d.Statements {
		for _, v := range s.Resources {
			ps, _ := pieces(v.Text, true, d.Version.Text == "2012-10-17")
			resource, _ := filled(ps, func(int, byte) string { return "x" }) // a role that fits
			if !allows(s, assumeRole) || role != "" && !d.grants(assumeRole, role) {
				continue
			}
			if role != "" {
				resource = role
			}
			sides = append(sides, side{d, actionsAt(s), func(action string) bool { return d.grants(action, resource) }})
			break
		}
	}
	return sides
}

// grants tells whether some statement allows an action on a role, whatever its conditions.
func (d *document) grants(action, role string) bool {
	probe := policy.Document{Version: d.Version}
	for _, s := range d.Statements {
		if s.Effect == policy.Allow {
			s.Conditions = nil
			probe.Statements = append(probe.Statements, s)
		}
	}
	return probe.Decide(policy.Identity, policy.Request{Action: action, Resource: role}).Effect == policy.Allow
}
