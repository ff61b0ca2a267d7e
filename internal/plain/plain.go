// Package plain makes text that may come from anywhere safe to show: on a terminal, in a workflow's log, in
// an error. Every package that prints such text shares it, so that there is one reading of what is unsafe.
// What Markdown or a shell wants beside that is for those who write them.
package plain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible gives s on one line with every character that does not print, line ends, escape sequences,
// direction marks and broken UTF-8 among them, spelled out as \u202e or \x1b.
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

// Defused is Visible, and a line in which GitHub's runner finds no workflow command: it takes :: at the start
// of a line and ##[ anywhere in it (actions/runner ActionCommand.cs).
func Defused(s string) string {
	s = strings.ReplaceAll(Visible(s), "##[", `##\u005b`)
	if trimmed := strings.TrimLeft(s, " "); strings.HasPrefix(trimmed, "::") {
		return `\u003a` + trimmed[1:]
	}
	return s
}

// Shorten cuts s to limit bytes, between characters, and says how long it was.
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

// Quote returns a value between double quotes. One that is too long to show is only counted: it may be a secret in the
// wrong place, and the runner's mask does not recognize a part of it.
func Quote(s string) string {
	if len(s) > MaxQuoted {
		return fmt.Sprintf("a value of %d bytes", len(s))
	}
	return `"` + s + `"`
}
