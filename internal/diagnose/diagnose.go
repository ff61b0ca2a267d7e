// Package diagnose turns a failed hop into its likely causes, what speaks for each, and what to paste. It is
// pure: the error and what is known of the run go in, text comes out. Every line of it is one line, of
// bounded length and without a character that does not print. What came from outside stands between double
// quotes, or in a snippet; keeping it from meaning anything where it is shown is left to the caller.
package diagnose

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
)

// Run is what is known of the run that failed. What is empty is not known, or was not set.
type Run struct {
	Hub, Spoke hop.ARN
	Spokes     int // assumed in one step; 0 counts as 1
	Region     string
	Endpoint   string // HOST:PORT of an STS endpoint that stands in for the region's
	Proxy      string // HOST:PORT
	Audience   string
	Claims     idtoken.Claims // empty when no token was minted

	SessionName       string
	Duration          time.Duration // of the spoke's session
	Tags              []hop.Tag     // session tags that were to be sent
	TransitiveTagKeys []string
	SourceIdentity    string
	ExternalID        bool // one was sent; its value is not told
	InlinePolicy      bool // an inline session policy was passed for the spoke's session
	ManagedPolicies   bool // managed ones were

	Attempts int           // of one call
	Timeout  time.Duration // of the whole step

	Event      string // that started the run, pull_request for example
	Actor      string
	Repository string // OWNER/REPO
	ID         string // of the run, digits
	Head       string // OWNER/REPO that the pull request comes from
}

// Explanation is what to tell the user.
type Explanation struct {
	Cause   string   // one line: what went wrong, in the words of the answer, and the likeliest cause
	Certain bool     // the answer leaves only one cause
	Causes  []Cause  // the likeliest first; empty when the error says all that there is to say
	Decide  []string // the lines of one shell command that tells the causes apart; empty when there is none
}

// Cause is one thing that may have gone wrong.
type Cause struct {
	Title    string   // one line, as a clause: "the hub role does not exist"
	Evidence []string // one line each: what is known of this run that bears on it
	Fix      string   // one line: what to do
	Snippet  Snippet  // what to paste; empty when there is nothing
}

// Snippet is text to paste, of several lines, filled in with the run's own values.
type Snippet struct {
	Language string // yaml, json or sh
	Where    string // one line: what it is for
	Text     string // without a line end behind the last line
}

// Explain finds what may have gone wrong. It claims only what the answer allows: where AWS answers several
// mistakes with the same words, all of them are given, ranked by what is known of the run.
func Explain(err error, run Run) Explanation {
	if err == nil {
		return Explanation{}
	}
	var failure *hop.Error
	if !errors.As(err, &failure) {
		return Explanation{Cause: printable(err.Error(), maxFailure)}
	}
	x := explainer{run, failure}.explain()
	x.dropTooLong()
	x.Cause = printable(failure.Error(), maxFailure)
	switch {
	case len(x.Causes) == 0:
	case x.Certain:
		x.Cause += "; " + x.Causes[0].Title
	default:
		x.Cause += "; likely: " + x.Causes[0].Title
	}
	return x
}

// dropTooLong leaves out what a log or a summary would have to cut, since a part of it is worse than nothing.
func (x *Explanation) dropTooLong() {
	tooLong := func(line string) bool { return len(line) > maxPaste }
	for i := range x.Causes {
		if slices.ContainsFunc(strings.Split(x.Causes[i].Snippet.Text, "\n"), tooLong) {
			x.Causes[i].Snippet = Snippet{}
		}
	}
	if slices.ContainsFunc(x.Decide, tooLong) {
		x.Decide = nil
	}
}

// explainer is one failure of one run.
type explainer struct {
	Run
	failure *hop.Error
}

func (e explainer) explain() Explanation {
	f := e.failure
	asked := f.Stage == hop.StageHub || f.Stage == hop.StageSpoke
	switch {
	case errors.Is(f, context.Canceled):
		return certain(Cause{
			Title:    "the runner stopped the step",
			Evidence: []string{"the job was cancelled, or its timeout-minutes were over"},
			Fix:      "nothing was exported and nothing is half done: run the job again",
		})
	case f.Stage == hop.StageToken:
		return e.token()
	case f.Stage == hop.StageExport:
		return e.export()
	case asked && f.Code == "":
		return e.noAnswer()
	case f.HasCode("InvalidIdentityToken"), f.HasCode("IDPCommunicationError"), f.HasCode("IDPRejectedClaim"):
		return e.identityToken()
	case f.HasCode("AccessDenied") && f.Stage == hop.StageHub:
		return e.hubRefused()
	case f.HasCode("AccessDenied"):
		return e.spokeRefused()
	}
	return e.refusedRequest()
}

// certain is an explanation with one cause that the answer itself names.
func certain(c Cause) Explanation { return Explanation{Certain: true, Causes: []Cause{c}} }

// likely is an explanation with the one cause that the answer points to, and does not name.
func likely(c Cause) Explanation { return Explanation{Causes: []Cause{c}} }

// weighed is a cause and how likely the evidence makes it, from 0 to 100. The numbers only rank.
type weighed struct {
	weight int
	Cause
}

// rank puts the likeliest first and leaves out those of weight 0.
func rank(causes ...weighed) []Cause {
	slices.SortStableFunc(causes, func(a, b weighed) int { return cmp.Compare(b.weight, a.weight) })
	var ranked []Cause
	for _, c := range causes {
		if c.weight > 0 {
			ranked = append(ranked, c.Cause)
		}
	}
	return ranked
}

// when gives a weight for a condition that holds, and another for one that does not.
func when(condition bool, yes, no int) int {
	if condition {
		return yes
	}
	return no
}
