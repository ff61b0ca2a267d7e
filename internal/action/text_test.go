package action

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/plain"
)

func TestText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ in, defused, code string }{
		{"plain", "plain", "`plain`"},
		{"", "", ""},
		{"::error::x", `\u003a:error::x`, "`::error::x`"},
		{"  ::error::x", `\u003a:error::x`, "`  ::error::x`"},
		{"a ::error::x", "a ::error::x", "`a ::error::x`"},
		{"a##[add-mask]x", `a##\u005badd-mask]x`, "`a##[add-mask]x`"},
		{"###[x", `###\u005bx`, "`###[x`"},
		{"a\n::error::x\r\n", `a\x0a::error::x\x0d\x0a`, "`a\\x0a::error::x\\x0d\\x0a`"},
		{"\u00a0::x\u2028::x", `\u00a0::x\u2028::x`, "`\\u00a0::x\\u2028::x`"},
		{"\x1b[31mred\x00", `\x1b[31mred\x00`, "`\\x1b[31mred\\x00`"},
		{"\u202egpj.exe", `\u202egpj.exe`, "`\\u202egpj.exe`"},
		{"\xff\xfe", `\xff\xfe`, "`\\xff\\xfe`"},
		{"\U000e0001", `\U000e0001`, "`\\U000e0001`"},
		{"größe €", "größe €", "`größe €`"},
		{"a`|b", "a`|b", "`a\\u0060\\u007cb`"},
		{"``` ![x](https://evil.example)<script>", "``` ![x](https://evil.example)<script>", "`\\u0060\\u0060\\u0060 ![x](https://evil.example)<script>`"},
	} {
		if got := plain.Defused(test.in); got != test.defused {
			t.Errorf("plain.Defused(%q) = %q, want %q", test.in, got, test.defused)
		}
		if got := code(test.in); got != test.code {
			t.Errorf("code(%q) = %q, want %q", test.in, got, test.code)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		strings.Repeat("a", 300):       strings.Repeat("a", 300),
		strings.Repeat("a", 301):       strings.Repeat("a", 300) + "... (301 bytes)",
		strings.Repeat("€", 101):       strings.Repeat("€", 100) + "... (303 bytes)",
		"a" + strings.Repeat("€", 100): "a" + strings.Repeat("€", 99) + "... (301 bytes)",
		strings.Repeat("\x80", 400):    "... (400 bytes)",
	} {
		if got := shorten(in); got != want {
			t.Errorf("clip = %q, want %q", got, want)
		}
	}
	if got := plain.Quote("x\ny"); got != "\"x\ny\"" {
		t.Errorf("got %q", got)
	}
}

// newLog returns a log and its output.
func newLog() (log, *bytes.Buffer) {
	var out bytes.Buffer
	return log{githubactions.New(githubactions.WithWriter(&out), githubactions.WithGetenv(func(string) string { return "" }))}, &out
}

func TestLog(t *testing.T) {
	t.Parallel()
	l, out := newLog()
	l.line("%s", "::set-env name=X::y")
	l.stage("hub", "%s", "arn ##[error]x\n::error::y")
	l.notice("100%\n::error::x")
	l.warning("::error::x")
	l.failure([]string{"role: \"a\n::error::b\"", "::stop-commands::x"})
	l.explanation(hostile())
	l.explanation(diagnose.Explanation{Certain: true, Causes: []diagnose.Cause{{Title: "50%"}}})
	l.explanation(diagnose.Explanation{Causes: []diagnose.Cause{{Title: "a\n::error::b"}}})
	l.explanation(diagnose.Explanation{Cause: "x"})
	want := `\u003a:set-env name=X::y
  hub      arn ##\u005berror]x\x0a::error::y
::notice::100%25\x0a::error::x
::warning::\u003a:error::x
::error title=hubspoke-chain::role: "a\x0a::error::b"%0A\u003a:stop-commands::x
AWS does not say which of these it was. Most likely first:

1. it wants "a\"b` + "`" + `|](https://evil.example)", and *not* that
   - 
   - "x` + "```" + `\x0a## y\x0a` + "```" + `mermaid\x0a[z](https://evil.example) <img src=x> @org/team | $a$ ##\u005berror]
   - it is "x` + "```" + `\x0a## y\x0a` + "```" + `mermaid\x0a[z](https://evil.example) <img src=x> @org/team | $a$ ##\u005berror]"
   Fix: set "x\\" <b>
   policy of "x` + "```" + `\x0a## y\x0a` + "```" + `mermaid\x0a[z](https://evil.example) <img src=x> @org/team | $a$ ##\u005berror]":
       {
       ` + "````" + `
       ` + "``" + `\x1b[31m
\u003a:error::x
       }

2. ::error::x

To find out which, run:
       a '` + "```" + `
\u003a:stop-commands::x
Cause: 50%
Likely: a\x0a::error::b
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

// TestAnnotationLimit has more causes than the runner's 4096 characters hold: the rest is in the log.
func TestAnnotationLimit(t *testing.T) {
	t.Parallel()
	l, out := newLog()
	var causes []string
	for i := range 20 {
		causes = append(causes, fmt.Sprintf("cause %d %s", i, strings.Repeat("x", 490)))
	}
	l.failure(causes)
	lines := strings.Split(out.String(), "\n")
	if len(lines[0]) > 4096+len("::error title=hubspoke-chain::") || !strings.HasSuffix(lines[0], "%0Aand 12 more, in the log") {
		t.Errorf("the annotation has %d characters and ends in %q", len(lines[0]), lines[0][len(lines[0])-40:])
	}
	for i, cause := range causes {
		if strings.Count(out.String(), cause) != 1 || i >= 8 && lines[i-7] != cause {
			t.Errorf("cause %d is not there once", i)
		}
	}

	l, out = newLog()
	l.failure([]string{strings.Repeat("\x00", 5000)})
	l.explanation(diagnose.Explanation{Causes: []diagnose.Cause{{Title: strings.Repeat("h", 20000)}}})
	for _, line := range strings.Split(out.String(), "\n") {
		if len(line) > 4000 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

// FuzzDefused looks for output that the runner parses as a command, by the rules of its ActionCommand.cs.
func FuzzDefused(f *testing.F) {
	for _, s := range []string{"::error::x", " \t::x", "##[x]", "#\n##[", "a\r\n::b", "\u00a0::x", "\u2003::", "\xff::", "`|`", "", strings.Repeat("#", 400), "\ufeff::x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, text := range []string{plain.Defused(s), printable(s), plain.Defused("  hub      " + s)} {
			if strings.HasPrefix(strings.TrimLeftFunc(text, unicode.IsSpace), "::") || strings.Contains(text, "##[") || !oneLine(text) {
				t.Errorf("%q comes out as %q", s, text)
			}
		}
		span := code(s)
		if s != "" && (len(span) < 3 || strings.Count(span, "`") != 2 || span[0] != '`' || span[len(span)-1] != '`') || strings.Contains(span, "|") || !oneLine(span) {
			t.Errorf("%q is the code span %q", s, span)
		}
		if n := len(printable(s)); n > maxLine+len("... (18446744073709551615 bytes)") {
			t.Errorf("a line of %d bytes", n)
		}
	})
}

// FuzzMarkdown looks for a code block that ends early, and for a value in a line that is outside of its code span.
func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{"```", "a\n```\nb", "````x", `"`, `a\"b`, "x\\", "`", "<img>", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := strings.Split(block("sh", strings.Split(s, "\n")), "\n")
		fence := strings.TrimSuffix(text[0], "sh")
		for _, line := range text[1 : len(text)-2] {
			if strings.HasPrefix(strings.TrimLeft(line, " "), fence) || !oneLine(line) {
				t.Errorf("%q comes out as %q", s, text)
			}
		}
		if text[len(text)-2] != fence || len(fence) < 3 {
			t.Errorf("%q comes out as %q", s, text)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
		if got, want := prose("it is "+quoted+", is it?"), "it is "+span(s, maxLine)+", is it?"; got != want {
			t.Errorf("%q comes out as %q, want %q", s, got, want)
		}
		if got := prose(s); !oneLine(got) || strings.Contains(got, "<") && !strings.Contains(got, "\\<") && !strings.Contains(got, "`") {
			t.Errorf("%q comes out as %q", s, got)
		}
	})
}

// oneLine reports whether s is one line of printable characters.
func oneLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}
