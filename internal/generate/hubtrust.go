package generate

import (
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// HubTrust is the trust policy of a hub role: which jobs of GitHub Actions may assume it. The document compares the
// subject of their tokens with StringEquals, so it allows the combinations of these fields and nothing else. The
// comparison is case-sensitive: write names as GitHub shows them.
type HubTrust struct {
	Partition    string // aws if empty
	AccountID    string // of the hub, 12 digits
	Issuer       Issuer
	Audience     string // of the tokens; chain.DefaultAudience if empty
	Repositories []Repository
	Form         SubjectForm // if empty, Immutable, but Legacy for GitHub Enterprise Server, which has no other
	Environments []string    // 1 to 255 characters each; jobs that use one of them
	Refs         []string    // refs/heads/... or refs/tags/...; jobs without an environment, except pull_request events
	PullRequest  bool        // jobs of pull_request events without an environment, from any branch
	Claims       []Claim     // further claims to require
}

// Claim is a claim that a token must have in addition to its subject. Several values of one name are alternatives.
type Claim struct {
	Name  string // one of chain.ClaimNames
	Value string
}

// Document returns the policy as JSON, indented by two spaces, for --assume-role-policy-document. Its errors are
// Problems.
func (h HubTrust) Document() ([]byte, error) {
	if problems := h.check(); problems != nil {
		return nil, problems
	}
	subjects := h.subjects()
	issuer, partition := h.Issuer.String(), orElse(h.Partition, "aws")
	account := "arn:" + partition + ":iam::" + h.AccountID
	sid := "DeployJobsOfOneRepository"
	if len(h.Repositories) > 1 {
		sid = "DeployJobsOfSeveralRepositories"
	}
	return write(policy.Trust, account+":role/hub", "subjects", len(subjects), func(n int) document {
		equals := map[string]any{
			issuer + ":aud": orElse(h.Audience, chain.DefaultAudience(partition)),
			issuer + ":sub": oneOrMore(subjects[:n]),
		}
		for name, values := range grouped(h.Claims, func(c Claim) (string, string) { return c.Name, c.Value }) {
			equals[issuer+":"+name] = oneOrMore(values)
		}
		return document{"2012-10-17", []statement{{
			SID: sid, Effect: policy.Allow, Principal: map[string]string{"Federated": account + ":oidc-provider/" + issuer},
			Action: "sts:AssumeRoleWithWebIdentity", Condition: &condition{equals},
		}}}
	})
}

// subjects returns the subjects of the jobs in the fields' order, by form and then by repository.
func (h HubTrust) subjects() []string {
	var all []string
	add := func(subject string) {
		if !slices.Contains(all, subject) { // two names may be escaped to one
			all = append(all, subject)
		}
	}
	for _, form := range []SubjectForm{Immutable, Legacy} {
		if h.form() != form && h.form() != Both {
			continue
		}
		for _, r := range h.Repositories {
			if form == Legacy {
				r.OwnerID, r.ID = "", ""
			}
			for _, name := range h.Environments {
				add(r.EnvironmentSubject(name))
			}
			for _, ref := range h.Refs {
				add(r.RefSubject(ref))
			}
			if h.PullRequest {
				add(r.PullRequestSubject())
			}
		}
	}
	return all
}

func (h HubTrust) form() SubjectForm {
	if h.Form == "" && h.Issuer.GHES != "" {
		return Legacy
	}
	return SubjectForm(orElse(string(h.Form), string(Immutable)))
}

func (h HubTrust) check() Problems {
	var p Problems
	p.partition("partition", h.Partition)
	p.account("hub-account-id", h.AccountID)
	p.issuer(h.Issuer)
	p.audience(h.Audience)
	if len(h.Repositories) == 0 {
		p.add("repository", "is missing: OWNER/REPO, or OWNER@OWNER-ID/REPO@REPO-ID")
	}
	once(&p, "repository", h.Repositories, func(r Repository) string { return strings.ToLower(r.Owner + "/" + r.Name) })
	ids := map[string]string{}
	for _, r := range h.Repositories {
		p.repository(r)
		owner := strings.ToLower(r.Owner)
		if known := ids[owner]; known != "" && r.OwnerID != "" && r.OwnerID != known {
			p.add("repository", "%s has two IDs, %s and %s: an owner has one", r.Owner, known, r.OwnerID)
		}
		ids[owner] = orElse(ids[owner], r.OwnerID)
	}
	h.checkForm(&p)
	if len(h.Environments) == 0 && len(h.Refs) == 0 && !h.PullRequest {
		p.add("environment", "is missing: give at least one environment, or a ref, or pull-request")
	}
	once(&p, "environment", h.Environments, func(s string) string { return s })
	for _, name := range h.Environments {
		p.environment("environment", name)
	}
	once(&p, "ref", h.Refs, func(s string) string { return s })
	for _, ref := range h.Refs {
		p.ref("ref", ref)
	}
	once(&p, "claim", h.Claims, func(c Claim) string { return c.Name + "=" + c.Value })
	for _, c := range h.Claims {
		p.claim(h.Issuer, c)
	}
	return p
}

func (h HubTrust) checkForm(p *Problems) {
	switch form := h.form(); {
	case form != Legacy && form != Immutable && form != Both:
		p.add("form", "%q is not legacy, immutable or both", h.Form)
	case form != Legacy && h.Issuer.GHES != "":
		p.add("form", "%q is not available: GitHub Enterprise Server has legacy subjects only", form)
	case form != Legacy:
		for _, r := range h.Repositories {
			if r.OwnerID == "" || r.ID == "" {
				p.add("form", "%s requires repository-owner-id and repository-id of %s: "+
					"run gh api repos/%s --jq '.owner.id, .id'; "+
					"or choose legacy, which also allows whoever takes over the name later", form, r, r)
			}
		}
	}
}

func (p *Problems) claim(issuer Issuer, c Claim) {
	bad := func(want string) { p.add("claim", "%s: %q is not %s", c.Name, c.Value, want) }
	if !slices.Contains(chain.ClaimNames, c.Name) {
		p.add("claim", "%q is not a claim that IAM can compare: %s", c.Name, strings.Join(chain.ClaimNames, ", "))
		return
	}
	if !chain.CarriesClaims(issuer.String()) {
		p.add("claim", "%q: of the issuer %s, IAM can compare sub, aud and amr only", c.Name, issuer)
		return
	}
	switch c.Name {
	case "actor_id", "enterprise_id", "repository_id", "repository_owner_id":
		if !numericID().MatchString(c.Value) {
			bad("a number")
		}
	case "actor":
		if !actorPattern().MatchString(c.Value) {
			bad("the login of a user or app")
		}
	case "repository":
		if !plainRepository(c.Value) {
			bad("OWNER/REPO")
		}
	case "environment":
		p.environment("claim", c.Value)
	case "ref":
		p.ref("claim", c.Value)
	case "job_workflow_ref":
		m := workflowPattern().FindStringSubmatch(c.Value)
		if m == nil || !plainRepository(m[1]) || !gitRef(m[2]) && !commitPattern().MatchString(m[2]) {
			bad("OWNER/REPO/.github/workflows/FILE.yml@REF, where REF is the full name of a branch or tag, or a commit")
			return
		}
		p.exact("claim", c.Value)
	case "workflow":
		if c.Value == "" {
			bad("the name of a workflow")
			return
		}
		p.exact("claim", c.Value)
	}
}
