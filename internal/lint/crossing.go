package lint

import (
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// crossing is how far an outsider is from the jobs that a policy names, farthest first.
type crossing int

const (
	crossesOrganization crossing = iota // of an organization that its owner can choose
	crossesID                           // of another owner or repository with the same name
	crossesRepository                   // of another repository of the organization
	crossesContext                      // of the repository, for another ref, environment or event
	crossesNothing
)

// crossed returns how far the owner of a subject is from those whom the pattern names, by which parts of the
// subject replaced wildcards. IDs are never reused, so a known ID names its owner whatever the names are.
func (s subject) crossed(wild []bool) crossing {
	open := func(p span) bool { return slices.Contains(wild[p.begin:p.end], true) }
	if s.owner.empty() {
		return s.crossedCustomized(open)
	}
	repositoryKnown := !s.repoID.empty() && !open(s.repoID) // by an ID that no other repository has
	ownerKnown := !s.ownerID.empty() && !open(s.ownerID)
	switch {
	case repositoryKnown:
	case !ownerKnown && open(s.owner):
		return crossesOrganization
	case !ownerKnown && open(s.ownerID):
		return crossesID
	case open(s.repo):
		return crossesRepository
	case open(s.repoID):
		return crossesID
	}
	if open(span{max(s.repo.end, s.repoID.end), len(s.text)}) {
		return crossesContext
	}
	return crossesNothing
}

// crossedCustomized is crossed for a subject that does not begin with the repository.
func (s subject) crossedCustomized(open func(span) bool) crossing {
	ownerKnown, repositoryKnown, farthest := false, false, crossesContext
	for _, p := range s.pairs {
		name := span{p.value.begin, p.value.begin + strings.IndexByte(p.value.of(s.text)+"/", '/')} // of OWNER/...
		switch {
		case !slices.Contains(ownerKeys, p.name):
		case !open(p.value):
			ownerKnown = true
			repositoryKnown = repositoryKnown || p.name != "repository_owner" && p.name != "repository_owner_id"
		case p.name == "repository" && !open(name):
			ownerKnown, farthest = true, min(farthest, crossesRepository)
		case p.name == "repository" || p.name == "repository_owner":
			farthest = crossesOrganization
		case p.name == "repository_id" || p.name == "repository_owner_id":
			farthest = min(farthest, crossesID)
		}
	}
	anything := open(span{0, len(s.text)})
	switch {
	case repositoryKnown && anything:
		return crossesContext
	case ownerKnown && anything:
		return max(farthest, crossesRepository)
	case ownerKnown:
		return crossesNothing
	case farthest == crossesContext:
		return crossesOrganization // no owner is named: every repository on GitHub can have this subject
	}
	return farthest
}

// opens returns what the wildcards of a pattern leave open, by the position of the first one. If a whole
// repository ID follows, it is the context only: one repository has the ID, whatever its names are.
func opens(ps []piece) crossing {
	text, wild := filled(ps, func(int, byte) string { return "7" }) // what names and IDs may both contain
	if s, f := parseSubject(text, false); f == nil && !s.repoID.empty() &&
		!slices.Contains(wild[s.repoID.begin:s.repoID.end], true) {
		return crossesContext
	}
	begin := literal(ps)
	repository, found := strings.CutPrefix(begin, "repo:")
	owner, repo, slash := strings.Cut(repository, "/")
	switch {
	case !found:
		if s, f := parseSubject(begin, true); f == nil && len(s.pairs) > 0 {
			return crossesContext // customized, with a claim first: the search covers these
		}
		return crossesOrganization
	case !slash && strings.Contains(owner, "@"):
		return crossesID
	case !slash:
		return crossesOrganization
	case strings.Contains(repo, ":"):
		return crossesContext
	case strings.Contains(repo, "@"):
		return crossesID
	}
	return crossesRepository
}

// claims returns the claims that keep such outsiders out, if a policy requires exact values of them.
func (c crossing) claims() []string {
	if c == crossesRepository { // an owner has other repositories
		return []string{"repository", "repository_id"}
	}
	return []string{"repository", "repository_id", "repository_owner_id", "enterprise_id", "actor", "actor_id"}
}

// requires reports whether something besides one condition on the subject requires an exact value of one of the
// claims, or of the subject: another condition of the statement, or a Deny of the document.
func (t *trust) requires(subject policy.Condition, claims []string) bool {
	exact := func(c policy.Condition, o operator) bool {
		return len(c.Values) > 0 && !slices.ContainsFunc(c.Values, func(v policy.Value) bool {
			ps, variable := pieces(v.Text, o.wild(), t.variables())
			return variable || wildcards(ps) > 0
		})
	}
	of := func(c policy.Condition, names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return hasKey(c, t.issuer+":"+name) })
	}
	for _, c := range t.statement.Conditions {
		o := parseOperator(c.Operator.Text)
		other := c.Operator.Text != subject.Operator.Text || !hasKey(c, subject.Key.Text)
		if other && o.positive() && !metWithout(c) && exact(c, o) && (of(c, claims...) || of(c, "sub")) {
			return true
		}
	}
	for _, s := range t.Statements {
		if s.Effect == policy.Deny && len(s.Conditions) == 1 &&
			parseOperator(s.Conditions[0].Operator.Text).negated() &&
			exact(s.Conditions[0], parseOperator(s.Conditions[0].Operator.Text)) &&
			of(s.Conditions[0], append(slices.Clone(claims), "sub")...) {
			return true
		}
	}
	return false
}
