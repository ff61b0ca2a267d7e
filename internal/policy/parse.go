package policy

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Parse parses a policy document by the grammar that all kinds of documents share ("Grammar of the IAM JSON policy
// language", IAM User Guide); Check has the rules of each kind. Parse is stricter than JSON: an unknown or
// duplicate element is an error. Its errors are *SyntaxError.
func Parse(data []byte) (*Document, error) {
	root, err := readJSON(data)
	if err != nil {
		return nil, err
	}
	if root.shape != object {
		return nil, syntax(root.Position, "a policy document is an object, not %s", root.shape)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, syntax(root.Position, "not JSON: %v", err)
	}
	d := &Document{characters: utf8.RuneCount(data), size: utf8.RuneCount(compact.Bytes())}
	var statements []node
	for _, f := range root.fields {
		switch f.name.Text {
		case "Version":
			if d.Version, err = single(f); err == nil && d.Version.Text != "2012-10-17" && d.Version.Text != "2008-10-17" {
				err = syntax(f.value.Position, "Version is 2012-10-17 or 2008-10-17, not %q", d.Version.Text)
			}
		case "Id":
			d.ID, err = single(f)
		case "Statement":
			statements = []node{f.value}
			if f.value.shape == list {
				statements = f.value.items
			}
			if len(statements) == 0 {
				err = syntax(f.value.Position, "Statement is empty")
			}
		default:
			err = syntax(f.name.Position, "a policy document has no element %q "+
				"(elements are Version, Id and Statement, in this spelling)", f.name.Text)
		}
		if err != nil {
			return nil, err
		}
	}
	if statements == nil {
		return nil, syntax(root.Position, "Statement is missing")
	}
	for _, n := range statements {
		s, err := statement(n)
		if err != nil {
			return nil, err
		}
		d.Statements = append(d.Statements, s)
	}
	return d, nil
}

func statement(n node) (Statement, error) {
	s := Statement{Position: n.Position}
	if n.shape != object {
		return s, syntax(n.Position, "a statement is an object, not %s", n.shape)
	}
	seen := map[string]string{}
	for _, f := range n.fields {
		var err error
		name := f.name.Text
		switch name {
		case "Sid":
			s.SID, err = single(f)
		case "Effect":
			var v Value
			if v, err = single(f); err == nil && v.Text != string(Allow) && v.Text != string(Deny) {
				err = syntax(v.Position, "Effect is Allow or Deny, not %q", v.Text)
			}
			s.Effect = Effect(v.Text)
		case "Principal":
			s.Principals, err = principals(f)
		case "NotPrincipal":
			s.NotPrincipals, err = principals(f)
		case "Action":
			s.Actions, err = values(f, false)
		case "NotAction":
			s.NotActions, err = values(f, false)
		case "Resource":
			s.Resources, err = values(f, false)
		case "NotResource":
			s.NotResources, err = values(f, false)
		case "Condition":
			s.Conditions, err = conditions(f)
		default:
			err = syntax(f.name.Position, "a statement has no element %q", name)
		}
		if err != nil {
			return s, err
		}
		seen[name] = name
		other := opposite[name]
		if seen[other] != "" {
			return s, syntax(f.name.Position, "a statement has %s or %s, not both", other, name)
		}
	}
	if s.Effect == "" {
		return s, syntax(n.Position, "the statement has no Effect")
	}
	if s.Actions == nil && s.NotActions == nil {
		return s, syntax(n.Position, "the statement has neither Action nor NotAction")
	}
	return s, nil
}

var opposite = map[string]string{
	"Principal": "NotPrincipal", "NotPrincipal": "Principal",
	"Action": "NotAction", "NotAction": "Action",
	"Resource": "NotResource", "NotResource": "Resource",
}

// single parses an element that is one string.
func single(f field) (Value, error) {
	if f.value.shape != text {
		return Value{}, syntax(f.value.Position, "%s is a string, not %s", f.name.Text, f.value.shape)
	}
	return Value{f.value.text, f.value.Position}, nil
}

// values parses an element that is a string or a list of strings. The values of a condition may also be numbers
// and booleans, kept as written.
func values(f field, scalars bool) ([]Value, error) {
	items := []node{f.value}
	if f.value.shape == list {
		items = f.value.items
	}
	if len(items) == 0 {
		return nil, syntax(f.value.Position, "%s is an empty list", f.name.Text)
	}
	var vs []Value
	for _, n := range items {
		if n.shape != text && !(scalars && (n.shape == number || n.shape == boolean)) {
			return nil, syntax(n.Position, "%s has %s where a string belongs", f.name.Text, n.shape)
		}
		vs = append(vs, Value{n.text, n.Position})
	}
	return vs, nil
}

func principals(f field) ([]Principal, error) {
	if f.value.shape == text && f.value.text == "*" {
		v := Value{"*", f.value.Position}
		return []Principal{{Type: v, Value: v}}, nil
	}
	if f.value.shape != object {
		return nil, syntax(f.value.Position, `%s is "*" or an object such as {"AWS": "..."}`, f.name.Text)
	}
	if len(f.value.fields) == 0 {
		return nil, syntax(f.value.Position, "%s is empty", f.name.Text)
	}
	var ps []Principal
	for _, kind := range f.value.fields {
		switch kind.name.Text {
		case "AWS", "Federated", "Service", "CanonicalUser":
		default:
			return nil, syntax(kind.name.Position, "%s has no type %q (types are AWS, Federated, Service and CanonicalUser)",
				f.name.Text, kind.name.Text)
		}
		vs, err := values(kind, false)
		if err != nil {
			return nil, err
		}
		for _, v := range vs {
			ps = append(ps, Principal{Type: kind.name, Value: v})
		}
	}
	return ps, nil
}

// conditions parses a Condition element. It may be an empty object: IAM's console writes one into trust policies.
func conditions(f field) ([]Condition, error) {
	if f.value.shape != object {
		return nil, syntax(f.value.Position, "Condition is an object, not %s", f.value.shape)
	}
	var cs []Condition
	for _, operator := range f.value.fields {
		if operator.value.shape != object {
			return nil, syntax(operator.value.Position, "%s is an object of condition keys, not %s",
				operator.name.Text, operator.value.shape)
		}
		if len(operator.value.fields) == 0 {
			return nil, syntax(operator.value.Position, "%s has no condition key", operator.name.Text)
		}
		for _, key := range operator.value.fields {
			vs, err := values(key, true)
			if err != nil {
				return nil, err
			}
			cs = append(cs, Condition{Operator: operator.name, Key: key.name, Values: vs})
		}
	}
	return cs, nil
}
