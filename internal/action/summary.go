package action

import (
	"fmt"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
)

// summary returns the job summary of a hop, as Markdown. Every value is in a code span, so that nothing from outside
// becomes a link, an image or a heading.
func (s *step) summary(sessions []hop.Session) string {
	var b strings.Builder
	spoke := sessions[0]
	if s.in.several {
		fmt.Fprintf(&b, "### AWS credentials: %d spokes over %s\n\n", len(sessions), code(s.in.plan.Hub.Name))
	} else {
		fmt.Fprintf(&b, "### AWS credentials: %s in account %s\n\n", code(spoke.Role.Name), code(spoke.Role.AccountID))
	}
	row := func(cells ...string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	row("Chain", "")
	row("---", "---")
	row("Subject", code(s.claims.Subject)+" ("+string(s.claims.SubjectForm())+")")
	row("Hub", code(s.in.plan.Hub.String()))
	if !s.in.several {
		row("Spoke", code(spoke.Role.String()))
		if name := s.in.destinations[0].profile; name != "" {
			row("Profile", code(name))
		}
	}
	row("Session", code(s.in.plan.SessionName))
	if s.in.autoRefresh {
		row("Renews", s.renews())
	}
	row("Expires", code(earliest(sessions).Format(time.RFC3339)))
	if len(spoke.Tags) == 0 {
		row("Session tags", "none (role-skip-session-tagging)")
	} else {
		row("Session tags", tagList(spoke, s.in.plan.TransitiveTagKeys))
	}
	if s.in.several {
		b.WriteString("\n")
		row("Profile", "Spoke", "Region")
		row("---", "---", "---")
		for i, session := range sessions {
			row(code(s.in.destinations[i].profile), code(session.Role.String()), code(s.in.destinations[i].region))
		}
	}
	fmt.Fprintf(&b, "\nCloudTrail events of this run, in %s:\n\n    %s\n\n", whoseAccounts(s.in.several), cloudTrail(s.in.plan))
	return b.String()
}

func whoseAccounts(several bool) string {
	if several {
		return "the hub's account and each spoke's account"
	}
	return "the hub's account and the spoke's account"
}

func tagList(spoke hop.Session, transitive []string) string {
	var tags []string
	for _, t := range spoke.Tags {
		text := span(t.Key+"="+t.Value, maxLine) // whole: a tag may be a secret, and a mask does not match a part of it
		for _, key := range transitive {
			if strings.EqualFold(key, t.Key) {
				text += " (transitive)"
			}
		}
		tags = append(tags, text)
	}
	return strings.Join(tags, "<br>")
}

// cloudTrail returns the lookup by session name, which both calls of the hop and every later call have. The attributes
// are JSON because the CLI's short form splits at = and comma, which a name may hold.
func cloudTrail(plan hop.Plan) string {
	return fmt.Sprintf(`aws cloudtrail lookup-events --region %s --lookup-attributes '[{"AttributeKey":"Username","AttributeValue":"%s"}]'`, plan.Region, plan.SessionName)
}

// failureSummary returns the causes, and for each distinct explanation its evidence as a list and what to paste in a
// code block. What came from outside is in code spans and code blocks, and nothing in them can end them.
func failureSummary(causes []string, distinct []diagnose.Explanation) string {
	var b strings.Builder
	b.WriteString("### AWS credentials: the hop failed\n\n")
	if len(causes) == 1 {
		fmt.Fprintf(&b, "%s\n\n", span(causes[0], maxLine))
	} else {
		for _, cause := range causes {
			fmt.Fprintf(&b, "- %s\n", span(cause, maxLine))
		}
		b.WriteString("\n")
	}
	for _, x := range distinct {
		if len(distinct) > 1 {
			fmt.Fprintf(&b, "---\n\n%s\n\n", span(x.Cause, maxLine))
		}
		b.WriteString(explained(x))
	}
	return b.String()
}

func explained(x diagnose.Explanation) string {
	var b strings.Builder
	if len(x.Causes) > 1 {
		fmt.Fprintf(&b, "%s\n\n", prose(severalCauses))
	}
	for i, c := range x.Causes {
		number := ""
		if len(x.Causes) > 1 {
			number = fmt.Sprintf("%d. ", i+1)
		}
		fmt.Fprintf(&b, "#### %s%s\n\n", number, prose(c.Title))
		for _, e := range c.Evidence {
			fmt.Fprintf(&b, "- %s\n", prose(e))
		}
		if len(c.Evidence) > 0 {
			b.WriteString("\n")
		}
		if c.Fix != "" {
			fmt.Fprintf(&b, "**Fix:** %s\n\n", prose(c.Fix))
		}
		if c.Snippet.Text != "" {
			fmt.Fprintf(&b, "%s:\n\n%s\n", prose(c.Snippet.Where), block(c.Snippet.Language, strings.Split(c.Snippet.Text, "\n")))
		}
	}
	if len(x.Decide) > 0 {
		fmt.Fprintf(&b, "#### %s\n\n%s\n", prose(decides), block("sh", x.Decide))
	}
	return b.String()
}
