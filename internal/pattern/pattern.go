// Package pattern describes the texts that an input, a file or a response may hold. Expressions are compiled when
// they are first used: a process that only returns a cached session starts often and needs few of them.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern is the set of texts of a length in bytes that match an expression. The length is not part of the
// expression, in which a counted repeat of hundreds takes milliseconds to compile.
type Pattern struct {
	expression func() *regexp.Regexp
	min, max   int
	Words      string // the same in words, to follow "is not"
}

// New returns the pattern of texts of min to max bytes that match the expression.
func New(expression string, min, max int, words string) Pattern {
	return Pattern{Lazy(expression), min, max, words}
}

// Matches reports whether s is one of the pattern's texts.
func (p Pattern) Matches(s string) bool {
	return len(s) >= p.min && len(s) <= p.max && p.expression().MatchString(s)
}

// Lazy returns a function that returns the expression, compiled at its first call.
func Lazy(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
