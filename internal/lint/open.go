package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// lintOpen judges a pattern by its form, where the search has found no stranger to show: by what its wildcards
// leave open, and by whether anything else that the document says holds the token to somebody. It tells
// whether it found something.
func (g *gate) lintOpen(c policy.Condition, v policy.Value, ps []piece) bool {
	const unseen = "; no subject of a stranger was found by trying, which does not mean that there is none"
	claims := ownerClaims
	var rule, what string
	switch opens(ps) {
	case crossesContext:
		return false
	case crossesOrganisation:
		rule, what = "subject-wildcard-organisation", "does not say whose the repository is"
	case crossesID:
		rule, what = "subject-wildcard-id", "leaves an id open"
	case crossesRepository:
		rule, what = "subject-wildcard-repository", "does not say which repository it is"
		claims = []string{"repository", "repository_id"} // an owner has others
	}
	if g.holds(c, claims) {
		return false
	}
	f := finding{message: fmt.Sprintf("the pattern %s %s", quote(v.Text), what) + unseen}
	// A workflow that others may call holds a stranger's job to what it does, and not to who runs it.
	if g.holds(c, []string{"job_workflow_ref"}) {
		f.severity = Warning
	}
	g.add(rule, v.Position, f)
	return true
}

// lintVariable looks at a value with a policy variable, which stands for what a request says.
func (g *gate) lintVariable(v policy.Value) {
	begin, _, _ := strings.Cut(v.Text, "${")
	if s, f := parseSubject(begin, true); f == nil && !s.whole() {
		g.add("subject-wildcard-organisation", v.Position, finding{severity: Warning, message: fmt.Sprintf(
			"the value %s takes whose repository it is from a policy variable", quote(v.Text))})
	}
}

// opens tells what the wildcards of a pattern leave open, by where the first of them stands. With a whole
// repository id behind them it is the context only: one repository has it, whatever its names are.
func opens(ps []piece) crossing {
	text, wild := filled(ps, func(int, byte) string { return "7" }) // what a name and an id may both have
	if s, f := parseSubject(text, false); f == nil && !s.repoID.empty() && !slices.Contains(wild[s.repoID.begin:s.repoID.end], true) {
		return crossesContext
	}
	begin := literal(ps)
	repository, found := strings.CutPrefix(begin, "repo:")
	owner, repo, slash := strings.Cut(repository, "/")
	switch {
	case !found:
		if s, f := parseSubject(begin, true); f == nil && len(s.pairs) > 0 {
			return crossesContext // customized, with a claim first: the search knows these
		}
		return crossesOrganisation
	case !slash && strings.Contains(owner, "@"):
		return crossesID
	case !slash:
		return crossesOrganisation
	case strings.Contains(repo, ":"):
		return crossesContext
	case strings.Contains(repo, "@"):
		return crossesID
	}
	return crossesRepository
}

// ownerClaims are those that hold a token to a person, an owner or a repository.
var ownerClaims = []string{"repository", "repository_id", "repository_owner_id", "enterprise_id", "actor", "actor_id"}

// holds tells whether something besides one condition on the subject asks for one whole value of the claims, or
// of the subject: another condition of the statement, or a Deny of the document.
func (g *gate) holds(subject policy.Condition, claims []string) bool {
	exact := func(c policy.Condition, o operator) bool {
		return len(c.Values) > 0 && !slices.ContainsFunc(c.Values, func(v policy.Value) bool {
			ps, variable := pieces(v.Text, o.wild(), g.variables)
			return variable || wildcards(ps) > 0
		})
	}
	of := func(c policy.Condition, names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return hasKey(c, g.issuer+":"+name) })
	}
	for _, c := range g.statement.Conditions {
		o := parseOperator(c.Operator.Text)
		other := c.Operator.Text != subject.Operator.Text || !hasKey(c, subject.Key.Text)
		if other && o.positive() && !metWithout(c) && exact(c, o) && (of(c, claims...) || of(c, "sub")) {
			return true
		}
	}
	for _, s := range g.Statements {
		if s.Effect == policy.Deny && len(s.Conditions) == 1 && parseOperator(s.Conditions[0].Operator.Text).negated() &&
			exact(s.Conditions[0], parseOperator(s.Conditions[0].Operator.Text)) && of(s.Conditions[0], append(slices.Clone(claims), "sub")...) {
			return true
		}
	}
	return false
}
