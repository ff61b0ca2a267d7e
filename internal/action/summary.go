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
		text := span(t.Key+"="+t.Value, maxLine) // whole: a tag may be a secret, and a mask knows no part of it
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

// failureSummary shows the cause, and for each of the causes its evidence as a list and what to paste in a
// code block. What came from outside stands in code spans and code blocks, and nothing in them can end them.
func failureSummary(x diagnose.Explanation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### AWS credentials: the hop failed\n\n%s\n\n", span(x.Cause, maxLine))
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
