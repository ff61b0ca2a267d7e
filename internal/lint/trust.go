package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// gate is one statement of a trust policy that lets in the tokens of one of GitHub's issuers.
type gate struct {
	*document
	statement policy.Statement
	issuer    string
	provider  string // its ARN
	role      string // ARN of the role, as far as it is known
	variables bool   // policy variables are replaced
}

func (d *document) lintTrust(s policy.Statement) {
	d.lintPrincipals(s)
	if s.Effect != policy.Allow {
		return
	}
	for _, p := range s.Principals {
		_, issuer, found := strings.Cut(p.Text, ":oidc-provider/")
		if p.Type.Text != "Federated" || !found {
			continue
		}
		if !allows(s, webIdentity) {
			if allows(s, assumeRole) {
				d.add("action-mismatch", actionsAt(s), finding{message: fmt.Sprintf(
					"the provider %s is asked for with %s, and this statement allows %s", quote(p.Text), webIdentity, assumeRole)})
			}
			continue
		}
		if isGitHub(issuer) {
			role := d.role.arn
			if role == "" {
				role = "arn:" + partition(p.Text) + ":iam::" + account(p.Text) + ":role/hub"
			}
			g := gate{d, s, issuer, p.Text, role, d.Version.Text == "2012-10-17"}
			g.lintSubjects()
			g.lintAudience()
		}
	}
	if allows(s, webIdentity) && !allows(s, assumeRole) && signed(s) && !slices.ContainsFunc(s.Principals, everyone) {
		d.add("action-mismatch", actionsAt(s), finding{
			message: fmt.Sprintf("a role or an account asks with %s, and this statement allows %s only", assumeRole, webIdentity),
			fix:     "allow sts:AssumeRole, and sts:TagSession with it",
		})
	}
	if tagging(s) && !allows(s, assumeRole) {
		for _, c := range s.Conditions {
			if hasKey(c, "sts:ExternalId") && !metWithout(c) {
				d.add("externalid-on-tagsession", c.Key.Position, finding{message: fmt.Sprintf(
					"sts:ExternalId is asked for in a statement that allows %s and not %s; AWS lists the key for %s only", tagSession, assumeRole, assumeRole)})
			}
		}
	}
}

func tagging(s policy.Statement) bool { return allows(s, tagSession) }

// actionsAt is where a statement's actions are.
func actionsAt(s policy.Statement) policy.Position {
	for _, v := range slices.Concat(s.Actions, s.NotActions) {
		return v.Position
	}
	return s.Position
}

// callers are the keys by which a trust policy can tell callers apart.
var callers = []string{
	"aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:userid", "aws:PrincipalTag/",
}

func (d *document) lintPrincipals(s policy.Statement) {
	for _, p := range s.Principals {
		root := p.Type.Text == "AWS" && (strings.HasSuffix(p.Text, ":root") || len(p.Text) == 12 && strings.Trim(p.Text, "0123456789") == "")
		switch {
		case s.Effect != policy.Allow:
		case everyone(p) && narrowed(s, callers...):
			d.add("principal-wildcard", p.Position, finding{severity: Warning, message: "everyone is a principal here, and only the statement's conditions keep others out"})
		case everyone(p):
			d.add("principal-wildcard", p.Position, finding{message: "everyone may assume the role, from any account, and with a token of any provider of its own account"})
		case root && !narrowed(s, "aws:PrincipalArn", "aws:userid", "aws:PrincipalTag/"):
			d.add("principal-account-root", p.Position, finding{message: fmt.Sprintf(
				"%s is the whole account: every role and user there with a policy that allows it may assume this role", quote(p.Text))})
		}
		if p.Type.Text == "Federated" && strings.Contains(p.Text, ":oidc-provider/") && d.role.arn != "" && account(p.Text) != account(d.role.arn) {
			d.add("provider-account", p.Position, finding{message: fmt.Sprintf(
				"the provider is of account %s and the role of account %s; a token is checked with the providers of the role's own account",
				quote(account(p.Text)), quote(account(d.role.arn)))})
		}
	}
}

// subjectConditions are the conditions on the subject.
func (g *gate) subjectConditions() []policy.Condition {
	return slices.DeleteFunc(slices.Clone(g.statement.Conditions), func(c policy.Condition) bool { return !hasKey(c, g.issuer+":sub") })
}

// pinned tells whether the statement has the condition on the subject that IAM wants to see: package policy
// knows which.
func (g *gate) pinned() bool {
	for _, c := range g.subjectConditions() {
		wide := func(v policy.Value) bool { return strings.Trim(v.Text, "*?") == "" }
		if known(c) && !parseOperator(c.Operator.Text).null() && !slices.ContainsFunc(c.Values, wide) {
			return true
		}
	}
	return false
}

func (g *gate) lintSubjects() {
	if !g.pinned() {
		message := fmt.Sprintf("the statement has no condition on %s that is more than a wildcard", quote(g.issuer+":sub"))
		if shared(g.issuer) {
			message += ", and IAM refuses such a trust policy"
		}
		who := g.anyone()
		if who != nil {
			message += "; it would let in " + quote(who.subject)
		}
		g.add("subject-missing", g.statement.Position, finding{message: message, stranger: who})
		return
	}
	crossed := false
	for _, c := range g.subjectConditions() {
		o := parseOperator(c.Operator.Text)
		if !known(c) || !o.positive() {
			continue
		}
		for _, v := range c.Values {
			found := g.lintSubject(c, o, v)
			crossed = crossed || found
		}
	}
	if crossed || g.size > sizes[Trust].raised {
		return
	}
	if who := g.anyone(); who != nil {
		g.add("subject-wildcard-organisation", g.subjectConditions()[0].Operator.Position, finding{
			message: fmt.Sprintf("the conditions on the subject keep nobody out who is not named: %s is let in", quote(who.subject)), stranger: who,
		})
	}
}

// lintSubject looks at one value of a condition, and tells whether it found a stranger.
func (g *gate) lintSubject(c policy.Condition, o operator, v policy.Value) bool {
	ps, variable := pieces(v.Text, o.wild(), g.variables)
	switch {
	case variable:
		g.lintVariable(v)
		return false
	case strings.HasPrefix(o.base, "Arn"):
		g.add("subject-never-matches", c.Operator.Position, finding{
			message: o.base + " compares ARNs, and a subject is none", fix: "use StringEquals, or StringLike for a pattern"})
		return false
	case !o.wild() && strings.ContainsAny(v.Text, "*?"):
		return false // wildcard-under-stringequals has it
	case wildcards(ps) == 0:
		return g.lintExact(c, o, v, literal(ps))
	}
	s, f := parseSubject(literal(ps), true)
	if f != nil {
		g.add(f.rule, v.Position, finding{message: f.message, fix: f.fix})
		return false
	}
	g.lintForm(v, s)
	if g.size > sizes[Trust].raised {
		return false // IAM takes no such document, and the search is for those that it takes
	}
	if g.budget <= 0 {
		if !g.spent {
			g.spent = true
			g.add("too-many-patterns", v.Position, finding{message: fmt.Sprintf(
				"the patterns before %s are so many, or have so many wildcards, that it and those after it were not tried", quote(v.Text))})
		}
		return false
	}
	who := g.search(c, v, ps)
	if who == nil {
		return g.lintOpen(c, v, ps)
	}
	example := quote(who.subject)
	switch who.crossed {
	case crossesOrganisation:
		g.add("subject-wildcard-organisation", v.Position, finding{stranger: who, message: fmt.Sprintf(
			"the pattern %s crosses the organisation: it lets in a stranger's %s", quote(v.Text), example)})
	case crossesID:
		g.add("subject-wildcard-id", v.Position, finding{stranger: who, message: fmt.Sprintf(
			"the pattern %s leaves an id open, so it lets in whoever has the name later: %s", quote(v.Text), example)})
	case crossesRepository:
		g.add("subject-wildcard-repository", v.Position, finding{stranger: who, message: fmt.Sprintf(
			"the pattern %s crosses the repository: it lets in another one of the organisation, %s", quote(v.Text), example)})
	default:
		f := finding{message: fmt.Sprintf("the pattern %s lets in more than one ref, environment or event of the repository: %s", quote(v.Text), example)}
		if bounded(literal(ps)) {
			f.severity = Note
		} else if strings.HasSuffix(who.subject, ":pull_request") {
			f.message += "; a pull request of a fork gets no token, but one from a branch of the repository does, before anyone has reviewed it"
		}
		g.add("subject-wildcard-context", v.Position, f)
		return false
	}
	return true
}

// bounded tells whether a pattern's wildcards are within the name of a ref or an environment of which the
// beginning is given, refs/heads/release/* for example.
func bounded(begin string) bool {
	for _, kind := range []string{":environment:", ":ref:refs/heads/", ":ref:refs/tags/"} {
		if i := strings.Index(begin, kind); i >= 0 && len(begin) > i+len(kind) {
			return true
		}
	}
	return false
}

// lintExact looks at a value without wildcards.
func (g *gate) lintExact(c policy.Condition, o operator, v policy.Value, text string) bool {
	if strings.Contains(o.base, "IgnoreCase") {
		text = strings.ToLower(text)
	}
	s, f := parseSubject(text, false)
	if f != nil {
		g.add(f.rule, v.Position, finding{message: f.message, fix: f.fix})
		return false
	}
	if !s.ownerID.empty() && strings.HasSuffix(g.issuer, ghesEnd) {
		g.add("subject-never-matches", v.Position, finding{
			message: fmt.Sprintf("%s never matches: a GitHub Enterprise Server has no immutable subjects", quote(text)), fix: "write repo:OWNER/REPO:..."})
		return false
	}
	g.lintForm(v, s)
	if !s.owner.empty() && len(s.pairs) == 0 && !s.pullRequest {
		g.add("subject-never-matches", v.Position, finding{severity: Warning,
			message: fmt.Sprintf("%s is a whole subject only when it is customized to have nothing but the repository", quote(text)),
			fix:     "add what the job runs for, :environment:NAME or :ref:refs/heads/BRANCH",
		})
	}
	// Without a name in it, a customized subject can be anybody's.
	if crossed := s.crossed(make([]bool, len(text))); crossed == crossesOrganisation && s.plausible() {
		if who := g.admit(s, crossed, c, v); who != nil {
			g.add("subject-wildcard-organisation", v.Position, finding{stranger: who, message: fmt.Sprintf(
				"the subject %s does not say whose it is: anyone's repository can be customized to have it", quote(v.Text))})
			return true
		}
	}
	return false
}

// lintForm looks for the form that GitHub withdrew, whole or with wildcards for the numbers.
func (g *gate) lintForm(v policy.Value, s subject) {
	open := strings.HasPrefix(v.Text, "repo:") && strings.Contains(v.Text, "-*/") && strings.Contains(v.Text, "-*:")
	if s.hyphenForm() || open {
		g.add("subject-hyphen-form", v.Position, finding{message: fmt.Sprintf(
			"%s looks like the form in which ids came behind hyphens; GitHub withdrew it, and no token has it", quote(v.Text))})
	}
}

func (g *gate) lintAudience() {
	key := g.issuer + ":aud"
	var audiences []string
	var at policy.Position
	for _, c := range g.statement.Conditions {
		o := parseOperator(c.Operator.Text)
		if !hasKey(c, key) || !o.positive() || !known(c) {
			continue
		}
		for _, v := range c.Values {
			if strings.Trim(v.Text, "*?") == "" && o.wild() {
				continue
			}
			if len(audiences) == 0 {
				at = v.Position
			}
			if !slices.Contains(audiences, v.Text) {
				audiences = append(audiences, v.Text)
			}
		}
	}
	unknown := slices.DeleteFunc(slices.Clone(audiences), func(a string) bool {
		return a == chain.DefaultAudience("aws") || a == chain.DefaultAudience("aws-cn")
	})
	switch {
	case len(audiences) == 0:
		g.add("audience-missing", g.statement.Position, finding{message: fmt.Sprintf(
			"the statement has no condition on %s: a token that was minted for another service is taken too, if the provider lists that audience", quote(key))})
	case len(audiences) > 1:
		g.add("audience-several", at, finding{message: fmt.Sprintf("tokens for %d audiences are taken: %s", len(audiences), quoteAll(audiences))})
	case len(unknown) > 0:
		g.add("audience-unknown", at, finding{message: fmt.Sprintf(
			"the audience %s is none that tokens are minted for by default", quote(audiences[0]))})
	}
}

// lintLegacy finds the repositories that the document knows in the legacy form only.
func (d *document) lintLegacy() {
	immutable, reported := map[string]bool{}, map[string]bool{}
	type legacy struct {
		repository string
		at         policy.Position
	}
	var found []legacy
	for _, s := range d.Statements {
		if !allows(s, webIdentity) {
			continue
		}
		for _, issuer := range issuers(s) {
			for _, c := range s.Conditions {
				o := parseOperator(c.Operator.Text)
				if !shared(issuer) || !hasKey(c, issuer+":sub") || !o.positive() {
					continue
				}
				for _, v := range c.Values {
					ps, _ := pieces(v.Text, o.wild(), true)
					sub, f := parseSubject(literal(ps), wildcards(ps) > 0)
					if f != nil || !sub.whole() || sub.hyphenForm() {
						continue
					}
					repository := strings.ToLower(sub.owner.of(sub.text) + "/" + sub.repo.of(sub.text))
					if sub.ownerID.empty() {
						found = append(found, legacy{repository, v.Position})
					} else {
						immutable[repository] = true
					}
				}
			}
		}
	}
	for _, l := range found {
		if immutable[l.repository] || reported[l.repository] {
			continue
		}
		reported[l.repository] = true
		d.add("subject-legacy-only", l.at, finding{message: fmt.Sprintf(
			"%s is known by its names only; once it is renamed or transferred, or if it was made since 2026-07-15, its tokens have ids and are refused", quote(l.repository))})
	}
}

// maxChained is the most that STS gives for a session that was made with another session (AssumeRole, AWS STS
// API Reference).
const maxChained = 3600 // seconds

func (d *document) lintRole() {
	spoke := slices.ContainsFunc(d.Statements, func(s policy.Statement) bool { return allows(s, assumeRole) && signed(s) })
	if spoke && d.role.maxSession > maxChained {
		d.put("max-session-duration", d.role.place, finding{message: "the role allows sessions of " + strconv.Itoa(d.role.maxSession) +
			" seconds, but one that comes from the hub's session ends after 3600"})
	}
}
