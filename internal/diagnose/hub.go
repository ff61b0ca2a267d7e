package diagnose

import (
	"fmt"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/generate"
	"github.com/org/hubspoke-chain/internal/idtoken"
)

// hubRefused explains the one error that AWS returns for a web identity that is denied, whatever the reason.
func (e explainer) hubRefused() Explanation {
	reusable := e.claims.Get("job_workflow_ref") != e.claims.Get("workflow_ref") && e.claims.Get("workflow_ref") != ""
	return Explanation{
		Causes: rank(
			e.subjectNotAllowed(),
			e.otherForm(),
			e.otherSpelling(),
			weighed{when(reusable, 65, 35), e.otherClaim(reusable)},
			weighed{when(e.customAudience(), 70, 20), e.otherAudience()},
			weighed{25, Cause{
				Title: "the hub role does not exist, or its trust policy names another principal instead of the OIDC provider",
				Evidence: []string{
					"the requested role is " + quoted(e.plan.Hub.String()) + ", path and case included",
					"the provider is " + quoted(e.provider()),
					"a resource control policy of the organization that denies the call causes the same error",
				},
				Fix: "correct hub-role-to-assume, or the principal in the trust policy",
			}},
		),
		Decide: e.simulateHub(),
	}
}

// subjectEvidence returns the subject, the evidence in every denial at the hub.
func (e explainer) subjectEvidence() string {
	return fmt.Sprintf("the token's subject is %s (%s form)", quoted(e.claims.Subject), e.claims.SubjectForm())
}

// openTo returns the fix that allows exactly this job.
func (e explainer) openTo(condition string, paste Snippet) string {
	if paste.Text == "" {
		return condition + ", the trust policy of the hub role must compare the subject with exactly " + quoted(e.claims.Subject)
	}
	return condition + ", the trust policy of the hub role needs this statement in addition to its own, with a unique Sid"
}

// subjectNotAllowed is a trust policy that was written for other jobs.
func (e explainer) subjectNotAllowed() weighed {
	s, standard := e.subject()
	paste := e.hubTrust()
	c := Cause{Evidence: []string{e.subjectEvidence()}, Snippet: paste}
	if !standard {
		c.Title = "the trust policy of the hub role does not expect a customized subject"
		c.Evidence = append(c.Evidence, "that is not GitHub's default: the organization or the repository has chosen the subject's claims")
		c.Fix = e.openTo("if this job should be allowed", Snippet{}) + "; or go back to the default subject"
		if repository, err := generate.ParseRepository(e.claims.Get("repository")); err == nil {
			c.Snippet = Snippet{"sh", "what the repository has chosen, and the way back to the default",
				"gh api " + shell("repos/"+repository.String()+"/actions/oidc/customization/sub") + "\n" +
					"gh api --method PUT " + shell("repos/"+repository.String()+"/actions/oidc/customization/sub") + " -F use_default=true"}
		}
		return weighed{90, c}
	}
	switch s.context {
	case "environment":
		c.Title = "the trust policy of the hub role does not allow environment " + quoted(s.value)
		c.Evidence = append(c.Evidence, "the job names an environment, so its subject has no branch: a statement for ref:refs/heads/... does not match")
		c.Fix = e.openTo("if jobs of this environment should be allowed", paste)
		return weighed{50, c}
	case "pull_request":
		c.Title = "the trust policy of the hub role does not allow runs of pull requests"
		c.Evidence = append(c.Evidence, "the job names no environment, and the run was started by a pull request: its subject has neither branch nor environment")
		c.Fix = e.openTo("if pull requests, whose code is not reviewed yet, should be allowed", paste)
		return weighed{80, c}
	}
	c.Title = "the trust policy of the hub role does not allow " + quoted(s.value) + " without an environment"
	c.Evidence = append(c.Evidence, "the job names no environment, so its subject ends in the ref: a statement for environment:... does not match")
	c.Fix = "if the job deploys to an environment, name it in the workflow (environment: NAME); " + e.openTo("if this job should be allowed as it is", paste)
	return weighed{60, c}
}

// otherForm is a trust policy that names the repository in another form than the token.
func (e explainer) otherForm() weighed {
	s, standard := e.subject()
	if !standard {
		return weighed{}
	}
	named := s.repository
	plain := generate.Repository{Owner: named.Owner, Name: named.Name}
	if e.claims.SubjectForm() == idtoken.Legacy {
		return weighed{40, Cause{
			Title: "the trust policy of the hub role names the repository with its ids, and this token's subject has none",
			Evidence: []string{
				"the token has " + quoted("repo:"+named.String()+":...") + ", the immutable form is " + quoted("repo:"+e.withIDs(named)+":..."),
			},
			Fix: "write the subject in the trust policy as the token has it; it changes once the repository is renamed, transferred or opted in",
		}}
	}
	return weighed{55, Cause{
		Title: "the trust policy of the hub role names the repository without its ids, or in the withdrawn form with hyphens",
		Evidence: []string{
			"the token has " + quoted("repo:"+named.String()+":...") + ", the legacy form is " + quoted("repo:"+plain.String()+":..."),
			"no token has the form of May 2026, " + quoted("repo:"+named.Owner+"-"+named.OwnerID+"/"+named.Name+"-"+named.ID+":...") + ": it was withdrawn",
		},
		Fix: "write the subject in the trust policy as the token has it, with @ before the ids",
	}}
}

// withIDs returns the repository as in an immutable subject.
func (e explainer) withIDs(r generate.Repository) string {
	owner, id := e.claims.Get("repository_owner_id"), e.claims.Get("repository_id")
	if owner == "" || id == "" {
		owner, id = "OWNER-ID", "REPO-ID"
	}
	return r.Owner + "@" + owner + "/" + r.Name + "@" + id
}

// otherSpelling is a condition that only resembles the subject.
func (e explainer) otherSpelling() weighed {
	capitals := e.claims.Subject != strings.ToLower(e.claims.Subject)
	c := Cause{
		Title: "the trust policy of the hub role writes the subject in another case, or has a * where StringEquals takes it literally",
		Evidence: []string{
			"StringEquals and StringLike are case-sensitive",
			"under StringEquals a * is an ordinary character; only StringLike treats it as a wildcard",
		},
		Fix: "compare with exactly the whole subject under StringEquals",
	}
	if capitals {
		c.Evidence[0] += ", and this subject has capitals"
	}
	return weighed{when(capitals, 58, 30), c}
}

// otherClaim is a condition on a claim that does not have the required value.
func (e explainer) otherClaim(reusable bool) Cause {
	c := Cause{
		Title: "the trust policy of the hub role has a condition on another claim, and that fails",
		Fix:   "change the condition to the token's value, or remove it; claims that AWS does not compare, event_name for example, are never present",
	}
	if !chain.CarriesClaims(e.issuer()) {
		c.Evidence = []string{"of this issuer's tokens AWS compares sub, aud and amr only: a condition on any other claim fails"}
		return c
	}
	if reusable {
		c.Title = "the trust policy of the hub role has a condition on job_workflow_ref or another claim, and that fails"
		c.Evidence = []string{"the job is in a reusable workflow, and job_workflow_ref names that one, not the caller's"}
	}
	var claims []string
	for _, name := range chain.ClaimNames {
		if value := e.claims.Get(name); value != "" {
			claims = append(claims, name+" "+quoted(value))
		}
	}
	if claims != nil {
		c.Evidence = append(c.Evidence, "what AWS compares, besides sub and aud: "+strings.Join(claims, ", "))
	}
	return c
}

func (e explainer) customAudience() bool {
	return e.plan.Audience != chain.DefaultAudience(e.plan.Hub.Partition)
}

func (e explainer) otherAudience() Cause {
	return Cause{
		Title:    "the trust policy of the hub role requires another audience than " + quoted(e.plan.Audience),
		Evidence: []string{"the token's audience is " + quotedList(e.claims.Audience)},
		Fix:      "set audience to the value in the policy, or change its condition on aud to this one; the default is " + chain.DefaultAudience(e.plan.Hub.Partition),
	}
}

// identityToken explains a token that AWS does not accept at all.
func (e explainer) identityToken() Explanation {
	says := func(text string) bool { return strings.Contains(e.failure.Message, text) }
	provider := " --open-id-connect-provider-arn " + shell(e.provider())
	missing := Cause{
		Title:    "account " + e.plan.Hub.AccountID + " has no OIDC provider for " + quoted("https://"+e.issuer()),
		Evidence: []string{"the token's issuer is " + quoted(e.claims.Issuer)},
		Fix:      "create the provider in the hub's account, once per account",
		Snippet: Snippet{"sh", "account " + e.plan.Hub.AccountID,
			"aws iam create-open-id-connect-provider --url " + shell("https://"+e.issuer()) + " --client-id-list " + shell(e.plan.Audience)},
	}
	audience := Cause{
		Title:    "the OIDC provider in account " + e.plan.Hub.AccountID + " does not list the audience " + quoted(e.plan.Audience),
		Evidence: []string{"the token's audience is " + quotedList(e.claims.Audience)},
		Fix:      "add the audience to the provider, or request one that it has; the default is " + chain.DefaultAudience(e.plan.Hub.Partition),
		Snippet: Snippet{"sh", "account " + e.plan.Hub.AccountID,
			"aws iam add-client-id-to-open-id-connect-provider" + provider + " --client-id " + shell(e.plan.Audience)},
	}
	keys := Cause{
		Title:    "AWS could not fetch the issuer's keys",
		Evidence: []string{"the issuer is " + quoted("https://"+e.issuer()), e.attempts()},
		Fix:      "it is usually transient: run the job again",
	}
	if issuer, _ := e.githubIssuer(); issuer.GHES != "" {
		keys.Fix = "AWS must reach the server from the internet, with a certificate of a public authority: /_services/token/.well-known/openid-configuration and jwks"
	}
	switch {
	case says("No OpenIDConnect provider found"):
		return certain(missing)
	case says("Incorrect token audience"):
		return certain(audience)
	case says("Couldn't retrieve verification key"), e.failure.HasCode("IDPCommunicationError"):
		return certain(keys)
	case says("configured thumbprint"):
		return certain(Cause{
			Title:    "the issuer's certificate does not match the thumbprint of the OIDC provider",
			Evidence: []string{"AWS checks the thumbprint only where no public certificate authority signed the certificate"},
			Fix:      "use a certificate of a public certificate authority for the issuer, or update the provider's thumbprint",
			Snippet:  Snippet{"sh", "account " + e.plan.Hub.AccountID, "aws iam update-open-id-connect-provider-thumbprint" + provider + ` --thumbprint-list "$THUMBPRINT"`},
		})
	case !says("could not be validated"):
		return likely(Cause{
			Title:    "AWS does not accept the token",
			Evidence: []string{e.subjectEvidence(), "the token's issuer is " + quoted(e.claims.Issuer)},
			Fix:      "look for something between the runner and GitHub, or between the runner and AWS, that changes what is sent",
		})
	}
	return Explanation{
		Causes: rank(weighed{when(e.customAudience(), 40, 60), missing}, weighed{50, audience}),
		Decide: []string{credentialsOf(e.plan.Hub.AccountID), "aws iam get-open-id-connect-provider" + provider},
	}
}
