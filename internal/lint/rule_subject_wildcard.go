package lint

import (
	"fmt"
	"slices"
	"strings"
)

var _ = register(Rule{
	Name:     "subject-wildcard-organization",
	Old:      "subject-wildcard-organisation",
	Severity: Error,
	Why:      "Anyone can register an organization whose name matches a pattern.",
	Fix:      exactSubjects,
	Doc:      oidcRole,
	Check: func(p *pass) {
		for _, r := range p.reaching(crossesOrganization) {
			switch {
			case r.variable:
				p.report(r.value.Position, finding{severity: Warning,
					message: fmt.Sprintf("the value %s takes the owner of the repository from a policy variable",
						quote(r.value.Text))})
			case r.witness == nil:
				p.reportOpen(r, "does not name the owner of the repository")
			case r.exact():
				p.reportWitness(r, "the subject %s names no owner: "+
					"anyone can customize a repository's subject to match it, for example %s")
			default:
				p.reportWitness(r, "the pattern %s matches repositories of other organizations, for example %s")
			}
		}
		for _, t := range p.trusts {
			if !t.restricted || t.outsider == nil {
				continue
			}
			message := "the subject conditions only exclude; everyone else is allowed, for example "
			if len(t.restrictions) > 0 {
				message = "the subject conditions also allow other organizations, for example "
			}
			p.report(t.subjects[0].Operator.Position,
				finding{witness: t.outsider, message: message + quote(t.outsider.subject)})
		}
	},
})

var _ = register(Rule{
	Name:     "subject-wildcard-id",
	Severity: Error,
	Why:      "GitHub reuses names but not IDs: a pattern for an ID trusts whoever has the name next.",
	Fix:      exactSubjects,
	Doc:      githubOIDC,
	Check: func(p *pass) {
		for _, r := range p.reaching(crossesID) {
			if r.witness == nil {
				p.reportOpen(r, "matches several IDs")
				continue
			}
			p.reportWitness(r, "the pattern %s matches several IDs, "+
				"so it allows whoever has the name next, for example %s")
		}
	},
})

var _ = register(Rule{
	Name:     "subject-wildcard-repository",
	Severity: Error,
	Why:      "Anyone who can create a repository in the organization can then deploy.",
	Fix:      exactSubjects,
	Doc:      githubOIDC,
	Check: func(p *pass) {
		for _, r := range p.reaching(crossesRepository) {
			if r.witness == nil {
				p.reportOpen(r, "does not name the repository")
				continue
			}
			p.reportWitness(r, "the pattern %s matches other repositories of the organization, for example %s")
		}
	},
})

var _ = register(Rule{
	Name:     "subject-wildcard-context",
	Severity: Warning,
	Why:      "Every branch, pull request and environment of the repository is allowed, reviewed or not.",
	Fix: "name the environment, repo:OWNER@OWNER-ID/REPO@REPO-ID:environment:NAME, " +
		"and let its protection rules decide which branches may deploy",
	Doc: githubOIDC,
	Check: func(p *pass) {
		for _, r := range p.reaching(crossesContext) {
			f := finding{message: fmt.Sprintf(
				"the pattern %s matches more than one ref, environment or event of the repository, for example %s",
				quote(r.value.Text), quote(r.witness.subject))}
			if bounded(literal(r.pattern)) {
				f.severity = Note
			} else if strings.HasSuffix(r.witness.subject, ":pull_request") {
				f.message += "; a pull request from a fork gets no token, " +
					"but one from a branch of the repository does, before any review"
			}
			p.report(r.value.Position, f)
		}
	},
})

// bounded reports whether a pattern's wildcards are within the name of a ref or an environment whose beginning is
// given, refs/heads/release/* for example.
func bounded(begin string) bool {
	for _, kind := range []string{":environment:", ":ref:refs/heads/", ":ref:refs/tags/"} {
		if i := strings.Index(begin, kind); i >= 0 && len(begin) > i+len(kind) {
			return true
		}
	}
	return false
}

var _ = register(Rule{
	Name:     "too-many-patterns",
	Severity: Warning,
	Why:      "Patterns are checked by trying many subjects, and the number of tries per document is limited.",
	Fix:      exactSubjects,
	Doc:      oidcRole,
	Check: func(p *pass) {
		for _, r := range p.restrictions() {
			if r.untried {
				p.reportf(r.value.Position,
					"the patterns before %s are too many, or have too many wildcards, so this and later patterns "+
						"were not checked",
					quote(r.value.Text))
				return
			}
		}
	},
})

// restrictions returns those of all trusts.
func (d *document) restrictions() []*restriction {
	var all []*restriction
	for _, t := range d.trusts {
		all = append(all, t.restrictions...)
	}
	return all
}

// reaching returns the restrictions whose farthest outsiders are at one distance.
func (d *document) reaching(c crossing) []*restriction {
	return slices.DeleteFunc(d.restrictions(), func(r *restriction) bool { return r.reach != c })
}

// reportWitness reports a restriction and the outsider that it allows.
func (p *pass) reportWitness(r *restriction, format string) {
	p.report(r.value.Position,
		finding{witness: r.witness, message: fmt.Sprintf(format, quote(r.value.Text), quote(r.witness.subject))})
}

// reportOpen reports a pattern by its form, where the search has found no outsider.
func (p *pass) reportOpen(r *restriction, what string) {
	f := finding{message: fmt.Sprintf(
		"the pattern %s %s; the search found no outsider that it allows, which does not prove that there is none",
		quote(r.value.Text), what)}
	if r.workflow {
		f.severity = Warning
	}
	p.report(r.value.Position, f)
}
