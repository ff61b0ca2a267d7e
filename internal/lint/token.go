package lint

import (
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// admit returns the token with a subject if the policy allows it. With a restriction, its condition has only its
// one value, so that the token is allowed because of that value.
func (t *trust) admit(s subject, crossed crossing, r *restriction) *witness {
	claims := t.claims(s, crossed)
	if claims == nil {
		return nil
	}
	call := chain.Call{
		Token:       &chain.Token{Issuer: t.issuer, Provider: t.provider, Claims: claims},
		Role:        chain.Role{ARN: t.role},
		SessionName: t.wanted("sts:RoleSessionName", "x1"),
		Region:      t.wanted("aws:RequestedRegion", "us-east-1"),
		// The time of the call is unknown, so the request has none, and a policy with a condition on it allows
		// nothing.
		Context: policy.Context{"aws:currenttime": nil, "aws:epochtime": nil},
	}
	request := call.Requests()[0]
	alone := t.statement
	alone.Conditions = slices.Clone(alone.Conditions)
	for i, other := range alone.Conditions {
		if r != nil && other.Key == r.condition.Key && other.Operator == r.condition.Operator {
			alone.Conditions[i].Values = []policy.Value{r.value}
		}
	}
	d := policy.Document{Version: t.Version,
		Statements: append([]policy.Statement{alone}, t.denies(request.Context)...)}
	if d.Decide(policy.Trust, request).Effect != policy.Allow {
		return nil
	}
	return &witness{subject: s.text, crossed: crossed, request: request}
}

// denies returns the document's Deny statements. Conditions on keys that are unknown here, such as the caller's
// address, are assumed to be met.
func (t *trust) denies(ctx policy.Context) []policy.Statement {
	var denies []policy.Statement
	for _, s := range t.Statements {
		if s.Effect != policy.Deny {
			continue
		}
		s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(c policy.Condition) bool {
			_, present := ctx.Values(c.Key.Text)
			ofToken := strings.HasPrefix(strings.ToLower(c.Key.Text), strings.ToLower(t.issuer)+":")
			return !present && !ofToken
		})
		denies = append(denies, s)
	}
	return denies
}

// claims returns the claims of an outsider's token: what the subject contains, what its job can choose so that it
// satisfies the policy, and IDs and names of its own. It is nil if no outsider can have the subject.
func (t *trust) claims(s subject, crossed crossing) chain.Claims {
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
	// own returns a claim that only jobs have that are as near as nearest.
	own := func(name string, nearest crossing, fallback string) string {
		if crossed >= nearest {
			return of(name, t.wanted(t.issuer+":"+name, fallback))
		}
		return of(name, fallback)
	}
	ownerID, repoID := own("repository_owner_id", crossesRepository, "66666666"),
		own("repository_id", crossesContext, "77777777")
	if !s.ownerID.empty() {
		ownerID, repoID = s.ownerID.of(s.text), s.repoID.of(s.text)
	}
	ref := of("ref", t.wanted(t.issuer+":ref", "refs/heads/main"))
	if s.pullRequest {
		ref = of("ref", "refs/pull/1/merge")
	}
	claims := chain.Claims{
		"sub": s.text, "aud": t.wanted(t.issuer+":aud", chain.DefaultAudience(partition(t.provider))),
		"repository": repository, "repository_id": repoID, "repository_owner_id": ownerID, "ref": ref,
		"actor": own("actor", crossesContext, owner), "actor_id": own("actor_id", crossesContext, "55555555"),
		"workflow":         of("workflow", t.wanted(t.issuer+":workflow", "deploy")),
		"job_workflow_ref": own("job_workflow_ref", crossesContext, repository+"/.github/workflows/deploy.yml@"+ref),
	}
	// A default subject contains the environment, if there is one.
	_, hasRef := s.claim("ref")
	environment, found := s.claim("environment")
	if !found && !hasRef && !s.pullRequest {
		environment = t.wanted(t.issuer+":environment", "")
	}
	claims["environment"] = environment
	if crossed >= crossesRepository || strings.HasPrefix(t.issuer, github+"/") {
		claims["enterprise_id"] = t.wanted(t.issuer+":enterprise_id", "")
	}
	// Another owner's workflow may be private; only workflows of their own are certain.
	workflow, _ := claims["job_workflow_ref"].(string)
	if crossed < crossesContext && !strings.HasPrefix(workflow, repository+"/") {
		return nil
	}
	return claims
}

// wanted returns a value that satisfies the statement's conditions on a key, as far as that can be determined.
func (t *trust) wanted(key, fallback string) string {
	for _, c := range t.statement.Conditions {
		o := parseOperator(c.Operator.Text)
		if !hasKey(c, key) || !o.positive() {
			continue
		}
		for _, v := range c.Values {
			ps, variable := pieces(v.Text, o.wild(), t.variables())
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
