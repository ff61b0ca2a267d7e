package credproc

import (
	"fmt"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/plain"
)

// Limits of what a failure says, so that the cache has room for it. A hop with four possible causes has some 20
// lines.
const (
	maxHints = 30   // lines
	maxLine  = 1500 // bytes; what went wrong and its likeliest cause have up to 1,400
)

// Error is a call that ends without credentials. Its texts are one line each, of bounded length, and defused:
// what a tool's process writes to stderr can end up in the runner's log.
type Error struct {
	Cause string   // what went wrong
	Hints []string // lines: what may be the cause, what speaks for it and what to do; may be empty
}

// Error gives the cause.
func (e *Error) Error() string { return e.Cause }

func newError(cause string, hints []string) *Error {
	e := &Error{Cause: line(cause)}
	for _, hint := range hints[:min(len(hints), maxHints)] {
		e.Hints = append(e.Hints, line(hint))
	}
	return e
}

func line(text string) string { return plain.Shorten(plain.Defused(text), maxLine) }

// explained returns an explanation as lines. What is to be pasted is left out: the stderr of a credential process
// is shown inside another tool's error, and the step that wrote the plan explains a failure in full.
func explained(x diagnose.Explanation) *Error {
	var hints []string
	if len(x.Causes) > 1 {
		hints = append(hints, "AWS does not say which of these it was; most likely first")
	}
	for i, c := range x.Causes {
		switch {
		case len(x.Causes) > 1:
			hints = append(hints, fmt.Sprintf("%d. %s", i+1, c.Title))
		case x.Certain:
			hints = append(hints, "cause: "+c.Title)
		default:
			hints = append(hints, "likely: "+c.Title)
		}
		for _, e := range c.Evidence {
			hints = append(hints, "   - "+e)
		}
		if c.Fix != "" {
			hints = append(hints, "   fix: "+c.Fix)
		}
	}
	return newError(x.Cause, hints)
}
