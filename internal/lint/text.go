package lint

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxValue = 200  // bytes of a value from a file that are shown; a subject of a long branch name fits
	maxText  = 1200 // bytes of a whole message
)

// quote gives a value from a file in quotes, on one line and of bounded length.
func quote(s string) string { return strconv.Quote(clip(s, maxValue)) }

// quoteAll gives several values, the first few of them.
func quoteAll(values []string) string {
	const most = 4
	var quoted []string
	for _, v := range values[:min(len(values), most)] {
		quoted = append(quoted, quote(v))
	}
	text := strings.Join(quoted, ", ")
	if more := len(values) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// clip shortens s to most bytes, between characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// visible spells out what does not print. Beside that it keeps GitHub's runner from finding a workflow command
// in a line of the log: it takes ##[ anywhere, and :: at the start.
func visible(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		c, size := utf8.DecodeRuneInString(s)
		switch {
		case c == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(c):
			b.WriteString(s[:size])
		default:
			escaped := strconv.QuoteRuneToASCII(c)
			b.WriteString(escaped[1 : len(escaped)-1])
		}
		s = s[size:]
	}
	text := strings.ReplaceAll(b.String(), "##[", `##\u005b`)
	if strings.HasPrefix(strings.TrimLeft(text, " "), "::") {
		text = `\u003a` + strings.TrimLeft(text, " ")[1:]
	}
	return text
}
