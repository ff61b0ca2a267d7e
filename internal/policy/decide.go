package policy

import (
	"fmt"
	"slices"
	"strings"
)

// grant is how directly a trust policy's principal names the caller, weakest first. In the role's own account it
// determines which of the caller's policies still limit the permission; see Authorize.
type grant int

const (
	grantNone    grant = iota
	grantAccount       // the account, which decides by its identity-based policies
	grantRole          // the caller's role
	grantDirect        // the session, the federated provider, or everyone
)

// Decide evaluates one document that has passed Check for its kind. An explicit Deny overrides any Allow, and an
// action that no statement allows is refused ("Policy evaluation logic", IAM User Guide). Only a trust policy has
// principals, and only the other kinds have resources: a trust policy always applies to its own role. If several
// statements allow, the one whose principal names the caller most directly decides.
func (d *Document) Decide(kind Kind, r Request) Decision {
	best := Decision{Statement: -1}
	variables := d.Version.Text == "2012-10-17"
	for i, s := range d.Statements {
		granted, by, miss := s.apply(kind, r, variables)
		if miss != nil {
			miss.Statement = i
			best.Misses = append(best.Misses, *miss)
			continue
		}
		wins := best.Effect == Implicit || s.Effect == Deny && best.Effect == Allow ||
			s.Effect == Allow && best.Effect == Allow && granted > best.grant
		if wins {
			best.Effect, best.Statement, best.Principal, best.grant = s.Effect, i, by, granted
		}
	}
	best.Delegates = best.Effect == Allow && best.grant == grantAccount
	return best
}

// apply returns why a statement does not apply to a request, or nil if it does.
func (s Statement) apply(kind Kind, r Request, variables bool) (granted grant, by Value, miss *Miss) {
	if kind == Trust {
		if granted, by = name(s.Principals, r.Caller); granted == grantNone {
			return 0, Value{}, &Miss{Element: "Principal"}
		}
	}
	action := func(v Value) bool { return matchAction(v.Text, r.Action) }
	switch {
	case s.NotActions != nil && slices.ContainsFunc(s.NotActions, action):
		return 0, Value{}, &Miss{Element: "NotAction"}
	case s.NotActions == nil && !slices.ContainsFunc(s.Actions, action):
		return 0, Value{}, &Miss{Element: "Action"}
	}
	if kind != Trust {
		if element := s.resourceMiss(r, variables); element != "" {
			return 0, Value{}, &Miss{Element: element}
		}
	}
	for _, c := range s.Conditions {
		if ok, want := c.met(r.Context, variables); !ok {
			got, present := r.Context.Values(c.Key.Text)
			return 0, Value{}, &Miss{
				Element: "Condition", Operator: c.Operator.Text, Key: c.Key.Text, Present: present, Got: got, Want: want,
			}
		}
	}
	return granted, by, nil
}

// resourceMiss returns the element that excludes the request's resource, or "". A variable that the request lacks
// never matches a resource, under Resource or NotResource.
func (s Statement) resourceMiss(r Request, variables bool) string {
	element, patterns := "Resource", s.Resources
	if s.NotResources != nil {
		element, patterns = "NotResource", s.NotResources
	}
	matches, resolved := false, true
	for _, v := range patterns {
		p, ok := compile(v.Text, r.Context, variables)
		resolved = resolved && ok
		matches = matches || ok && p.ofResource().match(r.Resource)
	}
	if element == "Resource" && matches || element == "NotResource" && !matches && resolved {
		return ""
	}
	return element
}

// name returns the principal that names the caller most directly ("AWS JSON policy elements: Principal").
func name(principals []Principal, caller Caller) (best grant, by Value) {
	for _, p := range principals {
		if g := p.names(caller); g > best {
			best, by = g, p.Value
		}
	}
	return best, by
}

func (p Principal) names(caller Caller) grant {
	switch {
	case p.Text == "":
		return grantNone
	case p.Type.Text == "Federated":
		if p.Text == caller.Federated {
			return grantDirect
		}
		return grantNone
	case p.Text == "*" && (p.Type.Text == "AWS" || p.Type.Text == "*"):
		return grantDirect // both forms mean everyone, including the bearer of a web identity
	case p.Type.Text != "AWS" || caller.Account == "":
		return grantNone
	case p.Text == caller.SessionARN:
		return grantDirect
	// IAM stores a role's unique id instead of the ARN. A role that was deleted and created again is not the one
	// that was trusted, and the policy then shows the id.
	case p.Text == caller.RoleARN, p.Text == caller.RoleID:
		return grantRole
	case p.Text == caller.Account, p.Text == "arn:"+Partition(caller.RoleARN)+":iam::"+caller.Account+":root":
		return grantAccount
	}
	return grantNone
}

// Partition returns the partition of an ARN, or "" if arn is not one.
func Partition(arn string) string { return arnField(arn, 1) }

// Account returns the account ID of an ARN, or "" if it has none.
func Account(arn string) string { return arnField(arn, 4) }

func arnField(arn string, i int) string {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) < 6 {
		return ""
	}
	return fields[i]
}

// Describe returns a readable name for a statement: its number from 1, and its Sid if it has one.
func (d *Document) Describe(statement int) string {
	s := fmt.Sprintf("statement %d", statement+1)
	if sid := d.Statements[statement].SID.Text; sid != "" {
		s += fmt.Sprintf(" (%q)", sid)
	}
	return s
}

// String describes what did not match, with the request's values and the document's.
func (m Miss) String() string {
	switch {
	case m.Element != "Condition":
		return m.Element + " does not match"
	case !m.Present:
		return fmt.Sprintf("%s %s: want %s, and the request has no such key", m.Operator, m.Key, quoted(m.Want))
	}
	return fmt.Sprintf("%s %s: want %s, got %s", m.Operator, m.Key, quoted(m.Want), quoted(m.Got))
}

func quoted(values []string) string {
	var q []string
	for _, v := range values {
		q = append(q, fmt.Sprintf("%q", v))
	}
	return strings.Join(q, " or ")
}
