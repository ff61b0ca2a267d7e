package action

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/plain"
)

// stream keeps the first error of writing and accepts everything after it: go-githubactions panics on a write that
// fails, which after the export would leave credentials behind a failed step.
type stream struct {
	to  io.Writer
	err error
}

func (s *stream) Write(p []byte) (int, error) {
	if s.err == nil {
		_, s.err = s.to.Write(p)
	}
	return len(p), nil
}

// log writes the step's log. Everything that can hold text from outside goes through it and is defused.
type log struct{ *githubactions.Action }

// line writes one line.
func (l log) line(format string, args ...any) {
	l.Infof("%s", printable(fmt.Sprintf(format, args...)))
}

// stage writes the line of a stage that has been reached.
func (l log) stage(name, format string, args ...any) {
	l.line("  %-8s %s", name, fmt.Sprintf(format, args...))
}

// notice and warning add an annotation of one line.
func (l log) notice(message string)  { l.Noticef("%s", printable(message)) }
func (l log) warning(message string) { l.Warningf("%s", printable(message)) }

// printable returns a text that can hold anything as one line, defused and of bounded length.
func printable(text string) string { return plain.Shorten(plain.Defused(text), maxLine) }

// failure adds the one error annotation, one cause per line. Causes that do not fit the annotation are log lines. The
// title holds nothing from outside, since the runner does not mask it.
func (l log) failure(causes []string) {
	var lines, rest []string
	room := maxAnnotation
	for i, cause := range causes {
		line := printable(cause)
		room -= len(line) + 1
		if room < 0 {
			lines = append(lines, fmt.Sprintf("and %d more, in the log", len(causes)-i))
			rest = causes[i:]
			break
		}
		lines = append(lines, line)
	}
	l.WithFieldsMap(map[string]string{"title": "hubspoke-chain"}).Errorf("%s", strings.Join(lines, "\n"))
	for _, cause := range rest {
		l.line("%s", cause)
	}
}

// explanation writes the causes, each with its evidence, its fix and what to paste, and last the command that
// distinguishes them.
func (l log) explanation(x diagnose.Explanation) {
	if len(x.Causes) == 0 {
		return
	}
	if len(x.Causes) > 1 {
		l.line("%s", severalCauses)
	}
	for i, c := range x.Causes {
		switch {
		case len(x.Causes) > 1:
			l.line("")
			l.line("%d. %s", i+1, c.Title)
		case x.Certain:
			l.line("Cause: %s", c.Title)
		default:
			l.line("Likely: %s", c.Title)
		}
		for _, e := range c.Evidence {
			l.line("   - %s", e)
		}
		if c.Fix != "" {
			l.line("   Fix: %s", c.Fix)
		}
		if c.Snippet.Text != "" {
			l.line("   %s:", c.Snippet.Where)
			l.indented(strings.Split(c.Snippet.Text, "\n"))
		}
	}
	if len(x.Decide) > 0 {
		l.line("")
		l.line("%s", decides)
		l.indented(x.Decide)
	}
}

// The lines above several causes, and above the command that distinguishes them.
const (
	severalCauses = "AWS does not say which of these it was. Most likely first:"
	decides       = "To find out which, run:"
)

// indented writes lines to paste.
func (l log) indented(lines []string) {
	for _, line := range lines {
		l.line("       %s", line)
	}
}

func tagCount(tags []hop.Tag) string {
	switch len(tags) {
	case 0:
		return "no session tags"
	case 1:
		return "1 session tag"
	}
	return fmt.Sprintf("%d session tags", len(tags))
}

func elapsed(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// remaining formats a duration: seconds below two minutes, hours from two hours on, else minutes.
func remaining(d time.Duration) string {
	m := int(d.Round(time.Minute).Minutes())
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case m < 120:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d h %d min", m/60, m%60)
}
