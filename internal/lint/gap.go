package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// gap is an action that a hop needs and one side of the hub's call to a spoke does not allow.
type gap struct {
	action  string
	at      policy.Position
	finding finding
}

// side is one side of the spoke call: what a document allows, regardless of conditions.
type side struct {
	*document
	at      policy.Position // of the action in the statement that allows sts:AssumeRole
	allowed func(action string) bool
}

func (s side) lacks(action string, f finding) { s.gaps = append(s.gaps, gap{action, s.at, f}) }

// second are the actions that both sides must allow in addition to sts:AssumeRole, with what they send ("Pass
// session tags in AWS STS", "Monitor and control actions taken with assumed roles", IAM User Guide).
var second = []struct{ action, sends string }{
	{tagSession, "session tags"},
	{setSourceIdentity, "a source identity"},
}

// findGaps compares the two sides of the spoke calls, and adds the gaps to the documents that have them. A
// document without its other side may belong to a hop without session tags, which is no mistake.
func findGaps(documents []*document) {
	var spokes, hubs []*document
	for _, d := range documents {
		switch {
		case d.unreadable != nil:
		case d.kind == Trust && len(d.spokeSides()) > 0:
			spokes = append(spokes, d)
		case (d.kind == Permissions || d.kind == Managed) && len(d.hubSides("")) > 0:
			hubs = append(hubs, d)
		}
	}
	for _, needed := range second {
		for _, spoke := range spokes {
			compareSpoke(needed.action, needed.sends, spoke, spokes, hubs)
		}
		for _, hub := range hubs {
			if len(spokes) == 0 {
				alone(needed.action, needed.sends, hub.hubSides(""))
			}
		}
		compareUnknown(needed.action, needed.sends, spokes, hubs)
	}
}

// alone finds the sides that lack an action while the other side is unknown.
func alone(action, sends string, sides []side) {
	for _, s := range sides {
		if action == tagSession && !s.allowed(action) {
			s.lacks(action, finding{severity: Note,
				message: fmt.Sprintf("%s is allowed and %s is not: the hop works only without %s",
					assumeRole, action, sends)})
		}
	}
}

// compareSpoke compares a spoke whose role is known, from the output of get-role, with the hubs; or it looks at the
// spoke alone.
func compareSpoke(action, sends string, spoke *document, spokes, hubs []*document) {
	if len(hubs) == 0 {
		if len(spokes) == 1 || spoke.role.arn != "" {
			alone(action, sends, spoke.spokeSides())
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
			s.lacks(action, finding{message: fmt.Sprintf(
				"the hub may send %s to %s (%s), but this trust policy does not allow %s",
				sends, quote(spoke.role.arn), from[0].source.shown, action)})
		case !hubAllows && s.allowed(action):
			from[0].lacks(action, finding{message: fmt.Sprintf(
				"%s allows %s (%s), but no permission policy in the files does",
				quote(spoke.role.arn), action, spoke.source.shown)})
		}
	}
}

// compareUnknown compares all spokes whose role is unknown with the hubs, together: a hub's permission may be for
// any of them. So it is certain only if a whole side lacks the action.
func compareUnknown(action, sends string, spokes, hubs []*document) {
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
	switch spokeAllows, hubAllows := slices.ContainsFunc(to, allows), slices.ContainsFunc(from, allows); {
	case hubAllows && !spokeAllows:
		for _, s := range to {
			s.lacks(action, finding{message: fmt.Sprintf(
				"the hub may send %s (%s), but this trust policy does not allow %s",
				sends, from[0].source.shown, action)})
		}
	case spokeAllows && !hubAllows:
		for _, s := range from {
			s.lacks(action, finding{message: fmt.Sprintf(
				"a spoke's trust policy allows %s (%s), but no permission policy in the files does",
				action, to[0].source.shown)})
		}
	case !spokeAllows:
		alone(action, sends, from[:1])
		alone(action, sends, to[:1])
	}
}

// spokeSides returns a side for each principal that a trust policy allows to make a signed call.
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

// isRootOf reports whether a principal is the account of another one.
func isRootOf(root, principal string) bool {
	id := account(principal)
	return id != "" && (root == id || strings.HasSuffix(root, "::"+id+":root"))
}

// hubSides returns a side for each statement of a permission policy that allows a spoke call; with a role, only
// those that match it.
func (d *document) hubSides(role string) []side {
	var sides []side
	for _, s := range d.Statements {
		for _, v := range s.Resources {
			ps, _ := pieces(v.Text, true, d.variables())
			resource, _ := filled(ps, func(int, byte) string { return "x" }) // a role that matches
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

// grants reports whether some statement allows an action on a role, regardless of its conditions.
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
