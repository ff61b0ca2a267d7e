// Package plain makes untrusted text safe to show on a terminal, in a workflow's log, or in an error. Every
// package that prints such text uses it, so that all share one definition of unsafe. Escaping for Markdown or a
// shell is left to the code that writes those formats.
package plain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns s on one line. Every character that does not print is escaped, as \u202e or \x1b for example,
// including line ends, escape sequences, direction marks and invalid UTF-8.
func Visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x80:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
		i += size
	}
	return b.String()
}

// Defused returns Visible(s), changed so that GitHub's runner finds no workflow command in it. The runner accepts
// :: at the start of a line and ##[ anywhere in it (actions/runner ActionCommand.cs).
func Defused(s string) string {
	s = strings.ReplaceAll(Visible(s), "##[", `##\u005b`)
	if trimmed := strings.TrimLeft(s, " "); strings.HasPrefix(trimmed, "::") {
		return `\u003a` + trimmed[1:]
	}
	return s
}

// Shorten cuts s to limit bytes, between characters, and appends its original length.
func Shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:end], len(s))
}

// MaxQuoted is the longest value that Quote shows, in bytes.
const MaxQuoted = 300

// Quote returns a value between double quotes. For a value that is too long to show, it returns only the length:
// the value may be a secret in the wrong place, and the runner's mask does not recognize a part of it.
func Quote(s string) string {
	if len(s) > MaxQuoted {
		return fmt.Sprintf("a value of %d bytes", len(s))
	}
	return `"` + s + `"`
}
