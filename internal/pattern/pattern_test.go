package pattern

import (
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	p := New(`^[a-z]+$`, 2, 4, "2 to 4 lower-case letters")
	for in, want := range map[string]bool{
		"":         false,
		"a":        false,
		"ab":       true,
		"abcd":     true,
		"abcde":    false,
		"ab1":      false,
		"ab\n":     false,
		"éé":       false,
		"\xff\xff": false,
	} {
		if got := p.Matches(in); got != want {
			t.Errorf("%q matches: %v, want %v", in, got, want)
		}
	}
	if p.Words != "2 to 4 lower-case letters" {
		t.Errorf("the words are %q", p.Words)
	}
	// The length counts bytes, as the limits of AWS and GitHub do for what is ASCII.
	if wide := New(`^.+$`, 1, 4, ""); !wide.Matches("éé") || wide.Matches("ééé") {
		t.Error("the length does not count bytes")
	}
	if exact := New(`^x*$`, 0, 0, ""); !exact.Matches("") || exact.Matches("x") {
		t.Error("a pattern of the empty text matches another, or not that")
	}
}

// TestLazy compiles an expression at its first use, and once.
func TestLazy(t *testing.T) {
	t.Parallel()
	broken := Lazy(`(`)
	func() {
		defer func() {
			if text, _ := recover().(string); !strings.Contains(text, "missing closing )") {
				t.Errorf("an invalid expression panics with %q", text)
			}
		}()
		broken()
		t.Error("an invalid expression is compiled")
	}()
	valid := Lazy(`^a$`)
	if first := valid(); first != valid() || !first.MatchString("a") {
		t.Error("the expression is compiled twice")
	}
	if invalid := New(`(`, 3, 4, ""); invalid.Matches("ab") {
		t.Error("a text that is too short matches")
	}
}
