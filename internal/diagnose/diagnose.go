// Package diagnose explains a failed hop: its likely causes, the evidence for each, and what to paste. It is pure: the
// error, the plan, the claims and the job go in, text comes out. Every line is one line, of bounded length and without
// a character that does not print. What came from outside is between double quotes, or in a snippet; escaping it where
// it is shown is left to the caller.
package diagnose

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
)

// Job is what is known of the job besides its token. What is empty is not known.
type Job struct {
	Event      string // that started the run, pull_request for example
	Actor      string
	Repository string // OWNER/REPO
	RunID      string // digits
	Head       string // OWNER/REPO that the pull request comes from
	Proxy      string // HOST:PORT of the proxy in use
}

// Explanation is what the user reads about a failure.
type Explanation struct {
	Cause   string   // one line: what went wrong, in the words of the response, and the likeliest cause
	Certain bool     // the response has only one cause
	Causes  []Cause  // the likeliest first; empty when the error needs no explanation
	Decide  []string // the lines of one shell command that distinguishes the causes; empty when there is none
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
	Text     string // without a line end after the last line
}

// Explain returns what may have gone wrong with the hop of a plan. It claims only what the response allows: where AWS
// returns the same error for several mistakes, all of them are causes, ranked by what is known. The plan's tags are
// those that were to be sent; the claims are empty when no token was issued.
func Explain(err error, plan hop.Plan, claims idtoken.Claims, job Job) Explanation {
	if err == nil {
		return Explanation{}
	}
	var failure *hop.Error
	if !errors.As(err, &failure) {
		return Explanation{Cause: printable(err.Error(), maxFailure)}
	}
	e := explainer{plan: plan, claims: claims, job: job, failure: failure}
	for _, spoke := range plan.Spokes {
		if e.spoke == (hop.ARN{}) || spoke.String() == failure.Role {
			e.spoke = spoke
		}
	}
	x := e.explain()
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

// dropTooLong drops what a log or a summary would have to cut, since a part of it is worse than nothing.
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

// explainer is one failure of one hop.
type explainer struct {
	plan    hop.Plan
	claims  idtoken.Claims
	job     Job
	failure *hop.Error
	spoke   hop.ARN // that failed; the first one when the failure is not a spoke's
}

func (e explainer) explain() Explanation {
	f := e.failure
	switch {
	case errors.Is(f, context.Canceled):
		return certain(Cause{
			Title:    "the runner stopped the step",
			Evidence: []string{"the job was canceled, or its timeout-minutes elapsed"},
			Fix:      "nothing was exported: run the job again",
		})
	case f.Stage == hop.StageToken:
		return e.token()
	case f.Stage == hop.StageExport:
		return e.export()
	case f.Code == "":
		return e.noResponse()
	case f.HasCode("InvalidIdentityToken"), f.HasCode("IDPCommunicationError"), f.HasCode("IDPRejectedClaim"):
		return e.identityToken()
	case f.HasCode("AccessDenied") && f.Stage == hop.StageHub:
		return e.hubRefused()
	case f.HasCode("AccessDenied"):
		return e.spokeRefused()
	}
	return e.refusedRequest()
}

// certain returns an explanation with the one cause that the response names.
func certain(c Cause) Explanation { return Explanation{Certain: true, Causes: []Cause{c}} }

// likely returns an explanation with the one cause that the response suggests.
func likely(c Cause) Explanation { return Explanation{Causes: []Cause{c}} }

// weighed is a cause and how likely the evidence makes it, from 0 to 100. The numbers only rank.
type weighed struct {
	weight int
	Cause
}

// rank returns the causes, the likeliest first, without those of weight 0.
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

// when returns one weight if the condition holds, and another if it does not.
func when(condition bool, yes, no int) int {
	if condition {
		return yes
	}
	return no
}
