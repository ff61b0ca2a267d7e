package action

import (
	"fmt"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
)

// summary is the job summary of a hop, as Markdown. Every value stands in a code span, so that
// nothing from outside becomes a link, an image or a heading.
func (s *step) summary(spoke hop.Session) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### AWS credentials: %s in account %s\n\n", code(spoke.Role.Name), code(spoke.Role.AccountID))
	row := func(name, value string) { fmt.Fprintf(&b, "| %s | %s |\n", name, value) }
	row("Chain", "")
	b.WriteString("| --- | --- |\n")
	row("Subject", code(s.claims.Subject)+" ("+string(s.claims.Form())+")")
	row("Hub", code(s.in.hub.String()))
	row("Spoke", code(spoke.Role.String()))
	row("Session", code(s.in.sessionName))
	row("Expires", code(spoke.Credentials.Expires.Format(time.RFC3339)))
	if len(spoke.Tags) == 0 {
		row("Session tags", "none (role-skip-session-tagging)")
	} else {
		row("Session tags", tagList(spoke, s.in.transitiveTagKeys))
	}
	fmt.Fprintf(&b, "\nWhat this run did, in CloudTrail of the hub's and of the spoke's account:\n\n    %s\n\n", cloudTrail(s.in))
	return b.String()
}

func tagList(spoke hop.Session, transitive []string) string {
	var tags []string
	for _, t := range spoke.Tags {
		text := code(t.Key + "=" + t.Value)
		for _, key := range transitive {
			if strings.EqualFold(key, t.Key) {
				text += " (transitive)"
			}
		}
		tags = append(tags, text)
	}
	return strings.Join(tags, "<br>")
}

// cloudTrail is the look-up by session name, which both hops and every later call carry. The
// attributes are JSON because the CLI's short form splits at = and comma, which a name may hold.
func cloudTrail(in inputs) string {
	return fmt.Sprintf(`aws cloudtrail lookup-events --region %s --lookup-attributes '[{"AttributeKey":"Username","AttributeValue":"%s"}]'`, in.region, in.sessionName)
}

// failureSummary shows the cause and the hints in an indented code block, which nothing in it can end.
func failureSummary(x diagnose.Explanation) string {
	var b strings.Builder
	b.WriteString("### AWS credentials: the hop failed\n\n")
	fmt.Fprintf(&b, "    %s\n", shorten(visible(x.Cause), maxLine))
	for _, hint := range x.Hints {
		fmt.Fprintf(&b, "    \n    %s\n", shorten(visible(hint), maxLine))
	}
	b.WriteString("\n")
	return b.String()
}
