package simulate

import (
	"fmt"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// Text returns the report for a person. Text from files and flags is in Go quotes, or was checked to be an ARN.
func (r *Report) Text() string {
	var b strings.Builder
	for _, c := range r.Calls {
		fmt.Fprintf(&b, "%-6s %s\n       called by %q\n", c.Name, c.Role, c.Caller)
		if len(c.Tags) > 0 {
			fmt.Fprintf(&b, "       with tags %q\n", strings.Join(c.Tags, ", "))
		}
		if !c.Reached {
			b.WriteString("       not reached; evaluated as if it were\n")
		}
		for _, a := range c.Actions {
			a.text(&b)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s\n", r.summary())
	return defuse(b.String())
}

// summary returns the outcome on one line.
func (r *Report) summary() string {
	assumed := ""
	for _, c := range r.Calls {
		for _, a := range c.Actions {
			if !a.Allowed {
				return fmt.Sprintf("refused: %s on %s, %s", a.Action, c.Role, a.by())
			}
			for _, p := range a.Policies {
				if p.File == "" {
					assumed = ", assuming that an " + string(p.Kind) + " of the hub, which is not given, allows it"
				}
			}
		}
	}
	return "allowed" + assumed
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
			fmt.Fprintf(b, "    %s: not given, assumed to allow\n", p.Kind)
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
		fmt.Fprintf(b, "    %s: none\n", a.RefusedBy)
	}
}

// in returns the place in the form that editors and terminals recognize.
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

// maxShown is how many values of a list the text shows.
const maxShown = 12

func (m missReport) text(b *strings.Builder, file string) {
	what := m.Element + " does not match"
	if m.Element == "Condition" {
		what = fmt.Sprintf("%s %q is not met", m.Operator, m.Key)
	}
	fmt.Fprintf(b, "      %s: %s\n", m.place.in(file), what)
	got := []string{"no such key"}
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
