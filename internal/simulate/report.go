package simulate

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// The outcomes of a simulation.
const (
	Allowed = "allowed"
	Refused = "refused"
)

// Report is the result of a simulation.
type Report struct {
	Allowed bool         `json:"allowed"`
	Calls   []callReport `json:"hops"`
}

type callReport struct {
	Name    string         `json:"hop"` // hub or spoke
	Role    string         `json:"role"`
	Caller  string         `json:"caller"`         // subject of the token, or ARN of the hub's session
	Tags    []string       `json:"tags,omitempty"` // KEY=VALUE
	Reached bool           `json:"reached"`        // the call before it is allowed
	Allowed bool           `json:"allowed"`
	Actions []actionReport `json:"actions"`
}

type actionReport struct {
	Action    string         `json:"action"`
	Allowed   bool           `json:"allowed"`
	RefusedBy policy.Kind    `json:"refusedBy,omitempty"`
	Explicit  bool           `json:"explicitDeny,omitempty"`
	Reason    string         `json:"reason,omitempty"` // if it is not a policy's
	Policies  []policyReport `json:"policies"`
}

// policyReport is the decision of one document: the statement that decides, or those that came near.
type policyReport struct {
	Kind    policy.Kind   `json:"kind"`
	File    string        `json:"file"`   // empty for permissions that are not given, which allow everything
	Effect  policy.Effect `json:"effect"` // Allow, Deny or empty
	Decides *place        `json:"decides,omitempty"`
	Near    []missReport  `json:"near,omitempty"`
}

// place is a statement, or a condition in it.
type place struct {
	Statement int    `json:"statement"` // from 1
	SID       string `json:"sid,omitempty"`
	Line      int    `json:"line"`
}

// missReport is why a statement does not allow: its first element that does not match.
type missReport struct {
	place
	Element  string   `json:"element"`
	Operator string   `json:"operator,omitempty"`
	Key      string   `json:"key,omitempty"`
	Got      []string `json:"got"` // empty for a key that the request does not have
	Want     []string `json:"want"`
	Hint     string   `json:"hint,omitempty"`
}

// Outcome returns Allowed or Refused.
func (r *Report) Outcome() string {
	if r.Allowed {
		return Allowed
	}
	return Refused
}

// add decides a call and appends its report.
func (r *Report) add(s *scenario, name string, c chain.Call, p policy.Policies) {
	call := callReport{Name: name, Role: c.Role.ARN, Reached: r.Allowed, Allowed: true}
	if c.Token != nil {
		call.Caller = c.Token.Claims.Text("sub")
	} else {
		call.Caller = c.Caller.ARN()
	}
	for _, t := range c.Tags {
		call.Tags = append(call.Tags, t.Key+"="+t.Value)
	}
	for _, step := range c.Authorize(p) {
		a := actionReport{
			Action: step.Action, Allowed: step.Allowed, RefusedBy: step.Side.Kind, Explicit: step.Side.Explicit,
			Reason: step.Reason, Policies: []policyReport{},
		}
		for _, v := range step.Votes {
			a.Policies = append(a.Policies, s.vote(v, step.Request))
		}
		call.Actions = append(call.Actions, a)
		call.Allowed = call.Allowed && step.Allowed
	}
	r.Calls = append(r.Calls, call)
	r.Allowed = r.Allowed && call.Allowed
}

func (s *scenario) vote(v policy.Vote, r policy.Request) policyReport {
	p := policyReport{Kind: v.Kind, File: s.names[v.Document], Effect: v.Decision.Effect}
	if i := v.Decision.Statement; i >= 0 {
		decides := placeOf(v.Document.Statements[i], i)
		p.Decides = &decides
		return p
	}
	nearest := 0
	for _, m := range v.Decision.Misses {
		statement := v.Document.Statements[m.Statement]
		if statement.Effect != policy.Allow {
			continue
		}
		near := nearness(v.Kind, m, statement)
		if near > nearest {
			nearest, p.Near = near, nil
		}
		if near == nearest {
			p.Near = append(p.Near, miss(m, statement, r))
		}
	}
	return p
}

// nearness returns how near a statement came to allowing: 0 if it is about other callers or services, 2 if only a
// condition does not match, else 1.
func nearness(kind policy.Kind, m policy.Miss, s policy.Statement) int {
	sts := func(v policy.Value) bool { return strings.HasPrefix(strings.ToLower(v.Text), "sts:") }
	switch {
	case m.Element == "Condition":
		return 2
	case m.Element == "Principal", m.Element == "Action" && kind != policy.Trust && !slices.ContainsFunc(s.Actions, sts):
		return 0
	}
	return 1
}

func placeOf(s policy.Statement, i int) place {
	return place{Statement: i + 1, SID: s.SID.Text, Line: s.Line}
}

func miss(m policy.Miss, s policy.Statement, r policy.Request) missReport {
	x := missReport{
		place: placeOf(s, m.Statement), Element: m.Element, Operator: m.Operator, Key: m.Key,
		Got: []string{}, Want: []string{},
	}
	texts := func(values []policy.Value) {
		for _, v := range values {
			x.Want = append(x.Want, v.Text)
		}
		if len(values) > 0 {
			x.Line = values[0].Line
		}
	}
	switch m.Element {
	case "Principal":
		x.Got = append(x.Got, r.Caller.RoleARN+r.Caller.Federated) // one of them is empty
		for _, p := range s.Principals {
			x.Want = append(x.Want, p.Text)
			x.Line = s.Principals[0].Line
		}
	case "Action":
		x.Got = append(x.Got, r.Action)
		texts(s.Actions)
	case "NotAction":
		x.Got = append(x.Got, r.Action)
		texts(s.NotActions)
	case "Resource":
		x.Got = append(x.Got, r.Resource)
		texts(s.Resources)
	case "NotResource":
		x.Got = append(x.Got, r.Resource)
		texts(s.NotResources)
	case "Condition":
		x.Got, x.Want = append(x.Got, m.Got...), append(x.Want, m.Want...)
		for _, c := range s.Conditions {
			if c.Operator.Text == m.Operator && c.Key.Text == m.Key {
				x.Line = c.Key.Line
			}
		}
		x.Hint = hint(m, r)
	}
	return x
}

// JSON returns the report as indented JSON.
func (r *Report) JSON() string { return toJSON(r) }

// toJSON leaves <, > and & as they are.
func toJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // strings, numbers and booleans always encode
	}
	return defuse(b.String())
}

// defuse hides ##[, in which GitHub's runner finds a command anywhere in a line. Names and values in a report are
// quoted, so no other command is possible. In JSON the replacement is the same string.
func defuse(text string) string { return strings.ReplaceAll(text, "##[", `##\u005b`) }
