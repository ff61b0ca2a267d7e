package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// trust is a statement of a trust policy that allows the tokens of one of GitHub's issuers.
type trust struct {
	*document
	statement policy.Statement
	issuer    string
	provider  string // its ARN
	role      string // ARN of the role, as far as it is known

	subjects     []policy.Condition // the conditions on the subject
	restricted   bool               // one of them is more than a wildcard, as IAM requires
	restrictions []*restriction     // what they require, if restricted
	outsider     *witness           // one that is allowed although no value matches it
}

// restriction is one value that the conditions on the subject accept, and whose tokens match it.
type restriction struct {
	condition policy.Condition
	operator  operator
	value     policy.Value
	pattern   []piece
	variable  bool // the value contains a policy variable

	subject subject // as far as the value determines it
	flaw    *flaw   // why no token matches
	hyphens bool    // the value looks like the form with hyphens, which GitHub withdrew

	reach    crossing // the farthest outsiders that are allowed; crossesNothing for none
	witness  *witness // one of them; nil where the pattern's form alone shows them
	workflow bool     // the statement also requires a workflow, so that an outsider's job runs only that
	untried  bool     // not checked, because the budget was spent
}

func (r *restriction) exact() bool { return wildcards(r.pattern) == 0 }

// findTrusts returns the trusts of a trust policy in the order of the document.
func (d *document) findTrusts() []*trust {
	var found []*trust
	for _, s := range d.trusting() {
		if !allows(s, webIdentity) {
			continue
		}
		for _, p := range s.Principals {
			issuer, federated := provider(p)
			if !federated || !isGitHub(issuer) {
				continue
			}
			role := d.role.arn
			if role == "" {
				role = "arn:" + partition(p.Text) + ":iam::" + account(p.Text) + ":role/hub"
			}
			t := &trust{document: d, statement: s, issuer: issuer, provider: p.Text, role: role}
			t.restrict()
			found = append(found, t)
		}
	}
	return found
}

// restrict fills in what the conditions on the subject accept.
func (t *trust) restrict() {
	for _, c := range t.statement.Conditions {
		if !hasKey(c, t.issuer+":sub") {
			continue
		}
		t.subjects = append(t.subjects, c)
		wide := func(v policy.Value) bool { return strings.Trim(v.Text, "*?") == "" }
		if known(c) && !parseOperator(c.Operator.Text).null() && !slices.ContainsFunc(c.Values, wide) {
			t.restricted = true
		}
	}
	if !t.restricted {
		t.outsider = findOutsider(t, nil)
		return
	}
	crossed := false
	for _, c := range t.subjects {
		o := parseOperator(c.Operator.Text)
		if !known(c) || !o.positive() {
			continue
		}
		for _, v := range c.Values {
			r := &restriction{condition: c, operator: o, value: v, reach: crossesNothing}
			t.judge(r)
			t.restrictions = append(t.restrictions, r)
			crossed = crossed || r.reach < crossesContext && !r.variable
		}
	}
	if !crossed && !t.oversized() {
		t.outsider = findOutsider(t, nil)
	}
}

// oversized reports whether IAM accepts no document of this size. Then no outsider is searched for.
func (t *trust) oversized() bool { return t.size > sizes[Trust].raised }

// judge finds out whose tokens match a restriction.
func (t *trust) judge(r *restriction) {
	r.pattern, r.variable = pieces(r.value.Text, r.operator.wild(), t.variables())
	switch {
	case r.variable:
		begin, _, _ := strings.Cut(r.value.Text, "${")
		if s, f := parseSubject(begin, true); f == nil && !s.whole() {
			r.reach = crossesOrganization
		}
	case strings.HasPrefix(r.operator.base, "Arn"):
		r.flaw = &flaw{message: r.operator.base + " compares ARNs, and a subject is not an ARN",
			fix: "use StringEquals, or StringLike for a pattern", atOperator: true}
	case !r.operator.wild() && strings.ContainsAny(r.value.Text, "*?"): // see wildcard-under-stringequals
	case r.exact():
		t.judgeExact(r)
	default:
		t.judgePattern(r)
	}
}

func (t *trust) judgeExact(r *restriction) {
	text := literal(r.pattern)
	if strings.Contains(r.operator.base, "IgnoreCase") {
		text = strings.ToLower(text)
	}
	r.subject, r.flaw = parseSubject(text, false)
	if r.flaw != nil {
		return
	}
	if !r.subject.ownerID.empty() && strings.HasSuffix(t.issuer, ghesEnd) {
		r.flaw = never("write repo:OWNER/REPO:...",
			"%s never matches: a GitHub Enterprise Server has no immutable subjects", quote(text))
		return
	}
	r.hyphens = r.subject.hyphenForm() || hyphenPattern(r.value.Text)
	if !r.subject.owner.empty() && len(r.subject.pairs) == 0 && !r.subject.pullRequest {
		r.flaw = &flaw{
			severity: Warning, fix: "add what the job runs for, :environment:NAME or :ref:refs/heads/BRANCH",
			message: fmt.Sprintf("%s matches only if the subject is customized to contain nothing but the repository",
				quote(text)),
		}
	}
	if r.witness = findOutsider(t, r); r.witness != nil {
		r.reach = r.witness.crossed
	}
}

func (t *trust) judgePattern(r *restriction) {
	r.subject, r.flaw = parseSubject(literal(r.pattern), true)
	if r.flaw != nil {
		return
	}
	r.hyphens = r.subject.hyphenForm() || hyphenPattern(r.value.Text)
	if t.oversized() {
		return
	}
	if t.budget <= 0 {
		r.untried = true
		return
	}
	if r.witness = findOutsider(t, r); r.witness != nil {
		r.reach = r.witness.crossed
		return
	}
	if reach := opens(r.pattern); reach < crossesContext && !t.requires(r.condition, reach.claims()) {
		r.reach, r.workflow = reach, t.requires(r.condition, []string{"job_workflow_ref"})
	}
}
