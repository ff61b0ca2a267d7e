package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// report is what came of a simulation, in the form of --format json.
type report struct {
	Allowed bool        `json:"allowed"`
	Hops    []hopReport `json:"hops"`
}

type hopReport struct {
	Hop     string         `json:"hop"` // hub or spoke
	Role    string         `json:"role"`
	Caller  string         `json:"caller"`         // subject of the token, or ARN of the hub's session
	Tags    []string       `json:"tags,omitempty"` // KEY=VALUE
	Reached bool           `json:"reached"`        // the hop before it is allowed
	Allowed bool           `json:"allowed"`
	Actions []actionReport `json:"actions"`
}

type actionReport struct {
	Action    string         `json:"action"`
	Allowed   bool           `json:"allowed"`
	RefusedBy policy.Kind    `json:"refusedBy,omitempty"`
	Explicit  bool           `json:"explicitDeny,omitempty"`
	Reason    string         `json:"reason,omitempty"` // where it is not a policy's
	Policies  []policyReport `json:"policies"`
}

// policyReport is what one document says: a statement that decides, or those that came near.
type policyReport struct {
	Kind    policy.Kind   `json:"kind"`
	File    string        `json:"file"`   // empty when none is given, and everything taken to be allowed
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

func (r *report) outcome() string {
	if r.Allowed {
		return "allowed"
	}
	return "refused"
}

func (r *report) add(w *world, name string, c policy.Call, steps []policy.Step) {
	h := hopReport{Hop: name, Role: c.Role.ARN, Reached: r.Allowed, Allowed: true}
	if c.Token != nil {
		h.Caller = c.Token.Claims.Text("sub")
	} else {
		h.Caller = c.Caller.ARN()
	}
	for _, t := range c.Tags {
		h.Tags = append(h.Tags, t.Key+"="+t.Value)
	}
	for _, s := range steps {
		a := actionReport{
			Action: s.Action, Allowed: s.Allowed, RefusedBy: s.Side.Kind, Explicit: s.Side.Explicit, Reason: s.Reason,
			Policies: []policyReport{},
		}
		for _, v := range s.Votes {
			a.Policies = append(a.Policies, w.vote(v, s.Request))
		}
		h.Actions = append(h.Actions, a)
		h.Allowed = h.Allowed && s.Allowed
	}
	r.Hops = append(r.Hops, h)
	r.Allowed = r.Allowed && h.Allowed
}

func (w *world) vote(v policy.Vote, r policy.Request) policyReport {
	p := policyReport{Kind: v.Kind, File: w.names[v.Document], Effect: v.Decision.Effect}
	if i := v.Decision.Statement; i >= 0 {
		decides := placeOf(v.Document.Statements[i], i)
		p.Decides = &decides
		return p
	}
	nearest := 0
	for _, m := range v.Decision.Misses {
		s := v.Document.Statements[m.Statement]
		if s.Effect != policy.Allow {
			continue
		}
		near := nearness(v.Kind, m, s)
		if near > nearest {
			nearest, p.Near = near, nil
		}
		if near == nearest {
			p.Near = append(p.Near, miss(m, s, r))
		}
	}
	return p
}

// nearness tells how near a statement came to allowing: 0 when it is about other callers or other services,
// and 2 when a condition alone is in the way.
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

// toJSON leaves <, > and & as they are.
func toJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // strings, numbers and booleans always encode
	}
	return b.String()
}

// text is the report for a person. What comes from files and flags is in Go quotes, or was checked to be an ARN.
func (r *report) text() string {
	var b strings.Builder
	for _, h := range r.Hops {
		fmt.Fprintf(&b, "%-6s %s\n       asked for by %q\n", h.Hop, h.Role, h.Caller)
		if len(h.Tags) > 0 {
			fmt.Fprintf(&b, "       with tags %q\n", strings.Join(h.Tags, ", "))
		}
		if !h.Reached {
			b.WriteString("       not reached; looked at as if it were\n")
		}
		for _, a := range h.Actions {
			a.text(&b)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s\n", r.summary())
	return b.String()
}

func (r *report) summary() string {
	taken := ""
	for _, h := range r.Hops {
		for _, a := range h.Actions {
			if !a.Allowed {
				return fmt.Sprintf("refused: %s on %s, %s", a.Action, h.Role, a.by())
			}
			for _, p := range a.Policies {
				if p.File == "" {
					taken = ", if an " + string(p.Kind) + " of the hub, which is not given, allows it"
				}
			}
		}
	}
	return "allowed" + taken
}

func (a actionReport) by() string {
	switch {
	case a.Reason != "":
		return a.Reason
	case a.Explicit:
		return "by a Deny in the " + string(a.RefusedBy)
	}
	return "which the " + string(a.RefusedBy) + " does not allow"
}

func (a actionReport) text(b *strings.Builder) {
	if a.Allowed {
		fmt.Fprintf(b, "  allowed  %s\n", a.Action)
	} else {
		fmt.Fprintf(b, "  refused  %s, %s\n", a.Action, a.by())
	}
	missing := a.RefusedBy != "" && a.Reason == ""
	for _, p := range a.Policies {
		missing = missing && p.Kind != a.RefusedBy
		if p.File == "" {
			fmt.Fprintf(b, "    %s: not given, taken to allow\n", p.Kind)
			continue
		}
		what := "nothing in " + p.File + " allows it"
		if p.Decides != nil {
			does := map[policy.Effect]string{policy.Allow: "allowed", policy.Deny: "denied"}[p.Effect]
			what = does + " by " + p.Decides.in(p.File)
		}
		fmt.Fprintf(b, "    %s: %s\n", p.Kind, what)
		for _, m := range p.Near {
			m.text(b, p.File)
		}
	}
	if missing {
		fmt.Fprintf(b, "    %s: there is none\n", a.RefusedBy)
	}
}

// in gives the place as editors and terminals take it.
func (p place) in(file string) string {
	if file == ownPolicy {
		return file
	}
	s := fmt.Sprintf("%s:%d, statement %d", file, p.Line, p.Statement)
	if p.SID != "" {
		s += fmt.Sprintf(" %q", p.SID)
	}
	return s
}

// maxShown bounds how many values of a list are shown to a person.
const maxShown = 12

func (m missReport) text(b *strings.Builder, file string) {
	what := m.Element + " does not match"
	if m.Element == "Condition" {
		what = fmt.Sprintf("%s %q is not met", m.Operator, m.Key)
	}
	fmt.Fprintf(b, "      %s: %s\n", m.place.in(file), what)
	got := []string{"there is no such key"}
	if len(m.Got) > 0 {
		got = quoteAll(m.Got)
	}
	want := quoteAll(m.Want)
	if len(want) > maxShown {
		want = append(want[:maxShown], fmt.Sprintf("and %d more", len(m.Want)-maxShown))
	}
	indent := "\n              "
	fmt.Fprintf(b, "        has   %s\n        wants %s\n", strings.Join(got, indent), strings.Join(want, indent))
	if m.Hint != "" {
		fmt.Fprintf(b, "        note  %s\n", m.Hint)
	}
}

func quoteAll(values []string) (quoted []string) {
	for _, v := range values {
		quoted = append(quoted, fmt.Sprintf("%q", v))
	}
	return quoted
}

// show writes a report. Names and values in it are quoted; what the quotes leave is the ##[ in which GitHub's
// runner finds a command anywhere in a line. In JSON the replacement is the same string.
func show(out io.Writer, text string) error {
	_, err := io.WriteString(out, strings.ReplaceAll(text, "##[", `##\u005b`))
	return err
}
