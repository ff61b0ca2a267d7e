package diagnose

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/plain"
)

// Limits of text from outside, in bytes.
const (
	maxFailure = 1200 // of the failure in the answer's words; AWS's longest refusals have some 500
	maxPaste   = 3500 // of a line to paste; a trust policy ends at 4096 characters, over many lines
	maxValue   = 300  // of one value; a branch name of 10,000 characters would bury the rest
)

// printable returns at most limit bytes of s on one line, with characters that do not print escaped.
func printable(s string, limit int) string { return plain.Visible(plain.Shorten(s, limit)) }

// quoted returns a value between double quotes, with quotes in it escaped, so that its end is visible.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(printable(s, maxValue)) + `"`
}

func quotedList(values []string) string {
	var q []string
	for _, v := range values {
		q = append(q, quoted(v))
	}
	return strings.Join(q, ", ")
}

// shell returns a value as one word of a shell's command line: in the $'...' of bash and zsh if it has characters that
// do not print or would be escaped where the line is shown, else in single quotes.
func shell(s string) string {
	odd := func(c rune) bool { return !unicode.IsPrint(c) }
	switch {
	case s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-") == "":
		return s
	case !strings.ContainsFunc(s, odd) && utf8.ValidString(s) && !strings.Contains(s, "##["):
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case c == '\'' || c == '\\':
			b.WriteString(`\` + string(c))
		case c == '[':
			b.WriteString(`\x5b`)
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x80:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
		i += size
	}
	return b.String() + "'"
}
