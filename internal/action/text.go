package action

import (
	"strings"

	"github.com/org/hubspoke-chain/internal/plain"
)

// Limits of what is shown, in bytes.
const (
	maxShown      = 300  // of a value from outside; a branch name of 10,000 characters would bury the log
	maxLine       = 3900 // of a line, within an annotation's; a trust policy, the longest thing to paste, ends at 4096
	maxAnnotation = 4000 // the runner cuts an annotation at 4096 characters (actions/runner ExecutionContext.cs)
)

// shorten cuts s to maxShown bytes.
func shorten(s string) string { return plain.Shorten(s, maxShown) }

// code gives a value as a code span of Markdown, of bounded length.
func code(s string) string { return span(s, maxShown) }

// span gives s as a code span of Markdown that holds inside a table's cell too. Between backticks only a
// backtick has a meaning, and in a cell a bar; both are spelled out like what does not print.
func span(s string, limit int) string {
	s = plain.Visible(plain.Shorten(s, limit))
	if s == "" {
		return ""
	}
	return "`" + strings.NewReplacer("`", `\u0060`, "|", `\u007c`).Replace(s) + "`"
}

// markdown are the characters that mean something in a line of Markdown, each with the backslash that
// takes its meaning away.
var markdown = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`, "|", `\|`, "#", `\#`, "~", `\~`, "&", `\&`, "$", `\$`, "!", `\!`)

// prose gives a line of an explanation as Markdown: a value between double quotes becomes a code span, and
// the rest has no markup. A quote that is never closed counts as one that ends with the line.
func prose(line string) string {
	var b strings.Builder
	for line != "" {
		text, rest, found := strings.Cut(line, `"`)
		b.WriteString(markdown.Replace(plain.Visible(text)))
		if !found {
			break
		}
		value, end := "", len(rest)
		for i := 0; i < len(rest); i++ {
			if rest[i] == '"' {
				end = i
				break
			}
			if rest[i] == '\\' && i+1 < len(rest) {
				i++
			}
			value += rest[i : i+1]
		}
		b.WriteString(span(value, maxLine))
		line = rest[min(end+1, len(rest)):]
	}
	return b.String()
}

// block gives lines as a fenced code block of Markdown, whose fence is longer than any run of backticks in it.
func block(language string, lines []string) string {
	var b strings.Builder
	fence, run := 3, 0
	for _, line := range lines {
		line = plain.Shorten(plain.Visible(line), maxLine)
		for _, c := range line + "\n" {
			if run++; c != '`' {
				run = 0
			}
			fence = max(fence, run+1)
		}
		b.WriteString(line + "\n")
	}
	marks := strings.Repeat("`", fence)
	return marks + language + "\n" + b.String() + marks + "\n"
}
