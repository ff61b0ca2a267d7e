package lint

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// stranger is a job that a policy does not mean, with its token.
type stranger struct {
	subject string
	crossed crossing
	request policy.Request // that the policy allows
}

// crossing is how far from the policy's own jobs a stranger is, farthest first.
type crossing int

const (
	crossesOrganisation crossing = iota // of an organisation that its owner can choose
	crossesID                           // of another owner, or another repository, with the same name
	crossesRepository                   // of another repository of the organisation
	crossesContext                      // of the repository, for another ref, environment or event
	crossesNothing
)

const (
	maxCandidates = 60_000 // of all patterns of a document; a sensible one needs a few hundred
	maxPerPattern = 1_200
	maxDecisions  = 60 // of a pattern: candidates of the right form that are tried against the policy
)

// What a stranger puts in the place of wildcards, plain things first. The first wildcard of a pattern often
// stands for an organisation, a later one rather not.
var (
	firstFills = []string{
		"evil", "x", "66666666", "-evil", "evil-", "evil/x", "evil@66666666/x@77777777", "evil@66666666", "66666666/x@77777777", "/x",
		"repo:evil/x", "repo:evil-", "pull_request", "environment:x", "ref:refs/heads/x", "refs/heads/x", "heads/x", "",
		":pull_request", ":environment:x", "-x:environment:x", "x:environment:x", "x@77777777:environment:x", "77777777:environment:x",
		"66666666/x@77777777:environment:x", "/x:environment:x", "evil/x:environment:x", "evil/x:pull_request", "evil/x:ref:refs/heads/x",
		"repo:evil/x:environment:x", "repo:evil/x:pull_request", "repo:evil/x:ref:refs/heads/x", "repo:evil/x:",
		// With a subject that is customized to have the ref and then the environment, a branch can be called what
		// the pattern asks for next.
		"evil@66666666/x@77777777:ref:refs/heads/x", "66666666/x@77777777:ref:refs/heads/x",
	}
	laterFills = []string{
		"x", "77777777", "", "pull_request", "environment:x", "x@77777777", "-x", "ref:refs/heads/x", "refs/heads/x", ":pull_request", ":environment:x",
	}
)

// search finds the farthest stranger that one value of a condition on the subject lets in, with all else that
// the document says. It tries what is likely, so that nil does not mean that there is none: lintOpen judges by
// the pattern's form then.
func (g *gate) search(c policy.Condition, value policy.Value, ps []piece) (best *stranger) {
	decisions, farthest := 0, crossesOrganisation
	if begin, _ := parseSubject(literal(ps), true); begin.whole() {
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
		if found := g.admit(s, crossed, c, value); found != nil {
			best = found
		}
	}
	n := wildcards(ps)
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
		if g.budget <= 0 || best != nil && best.crossed <= farthest {
			break
		}
		g.budget--
		consider(filled(ps, func(i int, wild byte) string {
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

// anyone finds a stranger that a statement lets in though no value of it asks for one: its operators are
// negated, for example.
func (g *gate) anyone() *stranger {
	for _, text := range []string{
		"repo:evil/x:environment:production", "repo:evil@66666666/x@77777777:environment:production",
		"repo:evil/x:ref:refs/heads/main", "repo:evil@66666666/x@77777777:ref:refs/heads/main",
		"repo:evil/x:pull_request", "repo:evil@66666666/x@77777777:pull_request",
	} {
		if s, f := parseSubject(text, false); f == nil {
			if found := g.admit(s, crossesOrganisation, policy.Condition{}, policy.Value{}); found != nil {
				return found
			}
		}
	}
	return nil
}

// admit asks the policy for a token with this subject. Of a condition on the subject, when it is given, only
// the one value counts, so that what is found is this value's doing.
func (g *gate) admit(s subject, crossed crossing, c policy.Condition, value policy.Value) *stranger {
	claims := g.claims(s, crossed)
	if claims == nil {
		return nil
	}
	call := chain.Call{
		Token:       &chain.Token{Issuer: g.issuer, Provider: g.provider, Claims: claims},
		Role:        chain.Role{ARN: g.role},
		SessionName: g.wanted("sts:RoleSessionName", "x1"),
		Region:      g.wanted("aws:RequestedRegion", "us-east-1"),
		// When the call is made is not known here, so the request has no time, and a policy that asks for one
		// lets nobody in.
		Context: policy.Context{"aws:currenttime": nil, "aws:epochtime": nil},
	}
	request := call.Requests()[0]
	alone := g.statement
	alone.Conditions = slices.Clone(alone.Conditions)
	for i, other := range alone.Conditions {
		if other.Key == c.Key && other.Operator == c.Operator {
			alone.Conditions[i].Values = []policy.Value{value}
		}
	}
	d := policy.Document{Version: g.Version, Statements: append([]policy.Statement{alone}, g.denies(request.Context)...)}
	if d.Decide(policy.Trust, request).Effect != policy.Allow {
		return nil
	}
	return &stranger{subject: s.text, crossed: crossed, request: request}
}

// denies are the document's own refusals. A condition on a key that is not known here, the address of the
// caller for example, is taken to be met.
func (g *gate) denies(ctx policy.Context) []policy.Statement {
	var denies []policy.Statement
	for _, s := range g.Statements {
		if s.Effect != policy.Deny {
			continue
		}
		s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(c policy.Condition) bool {
			_, present := ctx.Values(c.Key.Text)
			ofToken := strings.HasPrefix(strings.ToLower(c.Key.Text), strings.ToLower(g.issuer)+":")
			return !present && !ofToken
		})
		denies = append(denies, s)
	}
	return denies
}

// claims are those that a stranger's token has: what the subject says, what its job can choose so that it
// satisfies the policy, and ids and names of its own. It is nil when no stranger can have the subject.
func (g *gate) claims(s subject, crossed crossing) chain.Claims {
	owner, repo := s.owner.of(s.text), s.repo.of(s.text)
	if owner == "" {
		owner, repo = "evil", "x"
		if name, found := s.claim("repository_owner"); found {
			owner = name
		}
		if name, found := s.claim("repository"); found {
			owner, repo, _ = strings.Cut(name, "/")
		}
	}
	repository := owner + "/" + repo
	of := func(name, fallback string) string {
		if value, found := s.claim(name); found {
			return value
		}
		return fallback
	}
	// own is a claim that only those have whom the policy means.
	own := func(name string, nearest crossing, fallback string) string {
		if crossed >= nearest {
			return of(name, g.wanted(g.issuer+":"+name, fallback))
		}
		return of(name, fallback)
	}
	ownerID, repoID := own("repository_owner_id", crossesRepository, "66666666"), own("repository_id", crossesContext, "77777777")
	if !s.ownerID.empty() {
		ownerID, repoID = s.ownerID.of(s.text), s.repoID.of(s.text)
	}
	ref := of("ref", g.wanted(g.issuer+":ref", "refs/heads/main"))
	if s.pullRequest {
		ref = of("ref", "refs/pull/1/merge")
	}
	claims := chain.Claims{
		"sub": s.text, "aud": g.wanted(g.issuer+":aud", chain.DefaultAudience(partition(g.provider))),
		"repository": repository, "repository_id": repoID, "repository_owner_id": ownerID, "ref": ref,
		"actor": own("actor", crossesContext, owner), "actor_id": own("actor_id", crossesContext, "55555555"),
		"workflow":         of("workflow", g.wanted(g.issuer+":workflow", "deploy")),
		"job_workflow_ref": own("job_workflow_ref", crossesContext, repository+"/.github/workflows/deploy.yml@"+ref),
	}
	// A default subject has the environment in it, if there is one.
	_, hasRef := s.claim("ref")
	environment, found := s.claim("environment")
	if !found && !hasRef && !s.pullRequest {
		environment = g.wanted(g.issuer+":environment", "")
	}
	claims["environment"] = environment
	if crossed >= crossesRepository || strings.HasPrefix(g.issuer, github+"/") {
		claims["enterprise_id"] = g.wanted(g.issuer+":enterprise_id", "")
	}
	// A workflow of somebody else's may be private; a stranger is sure to have his own only.
	workflow, _ := claims["job_workflow_ref"].(string)
	if crossed < crossesContext && !strings.HasPrefix(workflow, repository+"/") {
		return nil
	}
	return claims
}

// wanted is a value that satisfies what the statement asks of a key, as far as that can be seen.
func (g *gate) wanted(key, fallback string) string {
	for _, c := range g.statement.Conditions {
		o := parseOperator(c.Operator.Text)
		if !hasKey(c, key) || !o.positive() {
			continue
		}
		for _, v := range c.Values {
			ps, variable := pieces(v.Text, o.wild(), g.variables)
			if variable {
				continue
			}
			if len(ps) == 1 && ps[0].wild != 0 {
				return fallback
			}
			text, _ := filled(ps, func(int, byte) string { return "x" })
			return text
		}
	}
	return fallback
}

// crossed tells how far the owner of a subject is from those whom the pattern means: by what stands in the
// place of its wildcards. An id is never given out again, so whose it is does not depend on the names beside it.
func (s subject) crossed(wild []bool) crossing {
	open := func(p span) bool { return slices.Contains(wild[p.begin:p.end], true) }
	if s.owner.empty() {
		return s.crossedCustomized(open)
	}
	repositoryKnown := !s.repoID.empty() && !open(s.repoID) // by an id that no other repository has
	ownerKnown := !s.ownerID.empty() && !open(s.ownerID)
	switch {
	case repositoryKnown:
	case !ownerKnown && open(s.owner):
		return crossesOrganisation
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
			farthest = crossesOrganisation
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
		return crossesOrganisation // nobody is named: every repository of GitHub's can have this subject
	}
	return farthest
}

var (
	ownerName  = lazily(`^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$`)
	repoName   = lazily(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)
	refName    = lazily(`^refs/(heads|tags)/[A-Za-z0-9_@%+=-]+([./][A-Za-z0-9_@%+=-]+)*$`)
	claimValue = lazily(`^[A-Za-z0-9_./@ %+=-]+$`)
)

// lazily compiles an expression when it is first used: the action carries this package and never lints.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// plausible tells whether GitHub would give out the names and ids of a subject today. It is stricter than
// GitHub, for the subject is shown as one that somebody can have.
func (s subject) plausible() bool {
	owner, repo := s.owner.of(s.text), s.repo.of(s.text)
	if !s.owner.empty() && (!ownerName().MatchString(owner) || len(owner) > 39 || !repoName().MatchString(repo) || len(repo) > 100) {
		return false
	}
	seen := map[string]bool{}
	for _, p := range s.pairs {
		value := p.value.of(s.text)
		if seen[p.name] || !claimValue().MatchString(value) || len(value) > 255 || p.name == "ref" && !refName().MatchString(value) {
			return false
		}
		switch p.name {
		case "repository_owner":
			if !ownerName().MatchString(value) {
				return false
			}
		case "repository":
			owner, repo, _ := strings.Cut(value, "/")
			if !ownerName().MatchString(owner) || !repoName().MatchString(repo) {
				return false
			}
		case "repository_id", "repository_owner_id":
			if !isID(value) {
				return false
			}
		}
		seen[p.name] = true
	}
	return len(s.pairs) > 0 || s.pullRequest
}
