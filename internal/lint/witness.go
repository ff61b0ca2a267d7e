package lint

import (
	"github.com/org/hubspoke-chain/internal/policy"
)

// witness is an outsider's token that a policy allows: proof of what a finding says.
type witness struct {
	subject string
	crossed crossing
	request policy.Request // that the policy allows
}

// findOutsider returns the farthest outsider whose token a trust allows because of one restriction, or, without
// one, although no restriction matches it. It tries likely tokens, so that nil does not prove that there is none.
// Everything that searches for outsiders does it by this function.
func findOutsider(t *trust, r *restriction) *witness {
	switch {
	case r == nil:
		return t.unmatched()
	case r.exact():
		// Without a name in it, a customized subject can be anybody's.
		crossed := r.subject.crossed(make([]bool, len(r.subject.text)))
		if crossed != crossesOrganization || !r.subject.plausible() {
			return nil
		}
		return t.admit(r.subject, crossed, r)
	}
	return t.search(r)
}

const (
	maxCandidates = 60_000 // of all patterns of a document; a sensible one needs a few hundred
	maxPerPattern = 1_200
	maxDecisions  = 60 // of a pattern: candidates of the right form that the policy decides on
)

// Texts that replace wildcards, simple ones first. The first wildcard of a pattern is often in the name of an
// organization, later ones rarely are.
var (
	firstFills = []string{
		"evil", "x", "66666666", "-evil", "evil-", "evil/x", "evil@66666666/x@77777777", "evil@66666666",
		"66666666/x@77777777", "/x", "repo:evil/x", "repo:evil-", "pull_request", "environment:x", "ref:refs/heads/x",
		"refs/heads/x", "heads/x", "", ":pull_request", ":environment:x", "-x:environment:x", "x:environment:x",
		"x@77777777:environment:x", "77777777:environment:x", "66666666/x@77777777:environment:x", "/x:environment:x",
		"evil/x:environment:x", "evil/x:pull_request", "evil/x:ref:refs/heads/x", "repo:evil/x:environment:x",
		"repo:evil/x:pull_request", "repo:evil/x:ref:refs/heads/x", "repo:evil/x:",
		// If the subject is customized to have the ref and then the environment, a branch can be named like the rest
		// of the pattern.
		"evil@66666666/x@77777777:ref:refs/heads/x", "66666666/x@77777777:ref:refs/heads/x",
	}
	laterFills = []string{
		"x", "77777777", "", "pull_request", "environment:x", "x@77777777", "-x", "ref:refs/heads/x", "refs/heads/x",
		":pull_request", ":environment:x",
	}
)

// search fills the wildcards of a pattern and returns the farthest outsider whose subject is the result.
func (t *trust) search(r *restriction) (best *witness) {
	decisions, farthest := 0, crossesOrganization
	if r.subject.whole() {
		farthest = crossesContext
	}
	consider := func(text string, wild []bool) {
		s, f := parseSubject(text, false)
		if f != nil || !s.plausible() || decisions >= maxDecisions {
			return
		}
		crossed := s.crossed(wild)
		if crossed == crossesNothing || best != nil && best.crossed <= crossed {
			return
		}
		decisions++
		if found := t.admit(s, crossed, r); found != nil {
			best = found
		}
	}
	n := wildcards(r.pattern)
	fills := func(i int) []string {
		switch {
		case i == 0:
			return firstFills
		case n == 2:
			return laterFills
		case i <= 2:
			return laterFills[:6]
		}
		return laterFills[:3]
	}
	choice := make([]int, n)
	for range maxPerPattern {
		if t.budget <= 0 || best != nil && best.crossed <= farthest {
			break
		}
		t.budget--
		consider(filled(r.pattern, func(i int, wild byte) string {
			text := fills(i)[choice[i]]
			if wild == '?' {
				text = []string{"x", "7"}[min(choice[i], 1)]
			}
			return text
		}))
		// The next choice, the last wildcard's first.
		i := n - 1
		for i >= 0 && choice[i] == len(fills(i))-1 {
			choice[i] = 0
			i--
		}
		if i < 0 {
			break
		}
		choice[i]++
	}
	return best
}

// unmatched returns an outsider that a statement allows although no value matches the subject: all operators are
// negated, for example.
func (t *trust) unmatched() *witness {
	for _, text := range []string{
		"repo:evil/x:environment:production", "repo:evil@66666666/x@77777777:environment:production",
		"repo:evil/x:ref:refs/heads/main", "repo:evil@66666666/x@77777777:ref:refs/heads/main",
		"repo:evil/x:pull_request", "repo:evil@66666666/x@77777777:pull_request",
	} {
		if s, f := parseSubject(text, false); f == nil {
			if found := t.admit(s, crossesOrganization, nil); found != nil {
				return found
			}
		}
	}
	return nil
}
