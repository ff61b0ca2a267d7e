package lint

import (
	"fmt"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

var _ = register(Rule{
	Name:     "subject-missing",
	Severity: Error,
	Why: "All GitHub customers share the issuer: without a condition on the subject, jobs of any repository " +
		"are allowed.",
	Fix: exactSubjects,
	Doc: oidcRole,
	Check: func(p *pass) {
		for _, t := range p.trusts {
			if t.restricted {
				continue
			}
			message := fmt.Sprintf("no condition restricts %s (a bare * does not count)", quote(t.issuer+":sub"))
			if shared(t.issuer) {
				message += ", and IAM rejects such a trust policy"
			}
			if t.outsider != nil {
				message += "; it would allow " + quote(t.outsider.subject)
			}
			p.report(t.statement.Position, finding{message: message, witness: t.outsider})
		}
	},
})

var _ = register(Rule{
	Name:     "subject-never-matches",
	Severity: Error,
	Why:      "No GitHub token has this subject, so the value allows nothing.",
	Fix:      "write the subject as GitHub does: the action's output oidc-subject contains it",
	Doc:      githubOIDC,
	Check:    func(p *pass) { p.reportFlaws(false) },
})

var _ = register(Rule{
	Name:     "subject-immutable-malformed",
	Severity: Error,
	Why:      "An immutable subject contains both IDs, each in digits after an @.",
	Fix:      "write repo:OWNER@OWNER-ID/REPO@REPO-ID: followed by environment:NAME, ref:REF or pull_request",
	Doc:      githubOIDC,
	Check:    func(p *pass) { p.reportFlaws(true) },
})

// reportFlaws reports the values that no subject matches: because of their IDs, or for other reasons.
func (p *pass) reportFlaws(ids bool) {
	for _, r := range p.restrictions() {
		if r.flaw == nil || r.flaw.ids != ids {
			continue
		}
		at := r.value.Position
		if r.flaw.atOperator {
			at = r.condition.Operator.Position
		}
		p.report(at, finding{message: r.flaw.message, fix: r.flaw.fix, severity: r.flaw.severity})
	}
}

var _ = register(Rule{
	Name:     "subject-hyphen-form",
	Severity: Warning,
	Why:      "GitHub announced the form repo:OWNER-ID/REPO-ID in spring 2026 and withdrew it; IDs follow an @.",
	Fix:      exactSubjects,
	Doc:      githubOIDC,
	Check: func(p *pass) {
		for _, r := range p.restrictions() {
			if r.hyphens {
				p.reportf(r.value.Position,
					"%s looks like the form with IDs after hyphens; GitHub withdrew it, and no token has it",
					quote(r.value.Text))
			}
		}
	},
})

// hyphenPattern reports whether a pattern has the form with hyphens and wildcards for the numbers.
func hyphenPattern(text string) bool {
	return strings.HasPrefix(text, "repo:") && strings.Contains(text, "-*/") && strings.Contains(text, "-*:")
}

var _ = register(Rule{
	Name:     "subject-legacy-only",
	Severity: Note,
	Why: "On github.com, repositories that were created, renamed or transferred since 2026-07-15 have IDs in " +
		"their subjects.",
	Fix: "add the immutable subject now, and remove the legacy one after the change",
	Doc: githubOIDC,
	Check: func(p *pass) {
		type named struct {
			repository string
			at         policy.Position
		}
		var legacy []named
		done := map[string]bool{} // repositories with an immutable subject, or reported
		for _, t := range p.trusts {
			for _, c := range t.subjects {
				o := parseOperator(c.Operator.Text)
				if !shared(t.issuer) || !o.positive() {
					continue
				}
				for _, v := range c.Values {
					ps, _ := pieces(v.Text, o.wild(), true)
					s, f := parseSubject(literal(ps), wildcards(ps) > 0)
					if f != nil || !s.whole() || s.hyphenForm() {
						continue
					}
					repository := strings.ToLower(s.owner.of(s.text) + "/" + s.repo.of(s.text))
					if s.ownerID.empty() {
						legacy = append(legacy, named{repository, v.Position})
					} else {
						done[repository] = true
					}
				}
			}
		}
		for _, l := range legacy {
			if !done[l.repository] {
				done[l.repository] = true
				p.reportf(l.at, "%s is matched by name only. "+
					"If it is renamed, transferred or created after 2026-07-15, its subjects contain IDs "+
					"and this policy rejects them", quote(l.repository))
			}
		}
	},
})
