package lab

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/policy"
)

// admit runs what both operations have in common once the caller is known: session policies, packed
// size, and the decision on every action that the call amounts to.
func (l *Lab) admit(c *call, web policy.Context) *apiError {
	if refused := l.sessionPolicies(c); refused != nil {
		return refused
	}
	action, caller, documents := "sts:AssumeRoleWithWebIdentity", policy.Caller{}, policy.Policies{Trust: c.role.trust}
	ctx := web
	if c.caller == nil {
		caller.Federated = c.provider.arn
	} else {
		s := c.caller
		action = "sts:AssumeRole"
		caller = policy.Caller{
			Account: s.role.account.id, RoleARN: s.role.arn, RoleID: s.role.id, SessionARN: s.arn(),
		}
		documents.Identity, documents.Boundary = s.role.identity, s.role.boundary
		documents.Session, documents.SCPs = s.policies, s.role.account.scps
		if inherited := s.sourceIdentity; inherited != "" {
			if c.effective.sourceIdentity != "" && c.effective.sourceIdentity != inherited {
				// Set once, it stays for the whole chain ("Monitor and control actions taken with assumed roles").
				return denied(c, "sts:SetSourceIdentity", policy.Side{Kind: policy.Trust})
			}
			c.effective.sourceIdentity = inherited
		}
		ctx = s.context(c.now)
	}
	c.requestContext(ctx)
	for _, action := range c.actions(action) {
		request := policy.Request{Action: action, Resource: c.role.arn, Caller: caller, Context: ctx}
		verdict := policy.Authorize(request, documents)
		if verdict.Allowed {
			continue
		}
		if c.caller == nil {
			return webDenied()
		}
		return denied(c, action, verdict.Side)
	}
	return c.pack()
}

// actions are those that one call needs, in the order in which a refusal names them. Inherited tags and
// an inherited source identity need their action too (aws/eks-pod-identity-agent#80; "Monitor and control
// actions taken with assumed roles").
func (c *call) actions(first string) []string {
	actions := []string{first}
	if len(c.effective.sent) > 0 || len(c.effective.inherited) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if c.effective.sourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	return actions
}

// denied words a refusal of a signed call as AWS does, by the side that refused (IAM User Guide,
// "Troubleshoot access denied error messages"). A trust policy that simply does not allow gives no
// reason, and neither does a role that does not exist.
func denied(c *call, action string, side policy.Side) *apiError {
	text := "User: " + c.caller.arn() + " is not authorized to perform: " + action + " on resource: " + c.params.roleARN
	names := map[policy.Kind]string{
		policy.Trust:    "the role trust policy",
		policy.Identity: "an identity-based policy",
		policy.Session:  "a session policy",
		policy.Boundary: "a permissions boundary",
		policy.SCP:      "a service control policy",
	}
	switch {
	case side.Explicit:
		text += " with an explicit deny in " + names[side.Kind]
	case side.Kind != policy.Trust:
		_, name, _ := strings.Cut(names[side.Kind], " ")
		text += " because no " + name + " allows the " + action + " action"
	}
	return forbidden("AccessDenied", "%s", text)
}

// claimKeys are the claims that AWS offers as condition keys beside sub, aud and amr: these ten and no
// others, since January 2026, for AssumeRoleWithWebIdentity only (Service Authorization Reference, AWS
// STS). A policy on any other claim, event_name or runner_environment for example, sees an absent key.
var claimKeys = []string{
	"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref",
	"repository", "repository_id", "repository_owner_id", "workflow",
}

// isGitHub tells whether AWS offers the claims of an issuer's tokens: github.com, an enterprise's path
// below it, and data residency, but not a GitHub Enterprise Server.
func isGitHub(issuer string) bool {
	host, path, _ := strings.Cut(issuer, "/")
	residency := strings.HasPrefix(host, "token.actions.") && strings.HasSuffix(host, ".ghe.com")
	enterprise := host == "github.com" && strings.HasPrefix(path, "enterprises/")
	return host == "token.actions.githubusercontent.com" || residency || enterprise
}

// remaining are the keys of a web identity that stay in the role's session: sub, aud and amr, no claims
// of the provider's own ("IAM and AWS STS condition context keys", AWS OIDC federation).
func (t *token) remaining(issuer, audience string) policy.Context {
	ctx := policy.Context{}
	ctx.Set(issuer+":sub", t.text("sub"))
	ctx.Set(issuer+":aud", audience)
	if amr := t.texts("amr"); amr != nil {
		ctx.Set(issuer+":amr", amr...)
	}
	return ctx
}

// webContext are the keys that a token gives. With azp in it, aud is azp and oaud is aud.
func (c *call) webContext(issuer, audience string) policy.Context {
	t := c.webToken
	ctx := t.remaining(issuer, audience)
	if t.text("azp") != "" {
		ctx.Set(issuer+":oaud", t.texts("aud")...)
	}
	if isGitHub(issuer) {
		for _, claim := range claimKeys {
			if value := t.text(claim); value != "" {
				ctx.Set(issuer+":"+claim, value)
			}
		}
	}
	return ctx
}

// context are the keys of a signed call that tell of the caller ("AWS global condition context keys").
// aws:SourceAccount, aws:SourceArn and aws:SourceOrgID are absent: only services send them.
func (s *session) context(now time.Time) policy.Context {
	ctx := policy.Context{}
	for key, values := range s.federated {
		ctx[key] = values
	}
	ctx.Set("aws:PrincipalArn", s.role.arn) // the role's, not the session's
	ctx.Set("aws:PrincipalAccount", s.role.account.id)
	ctx.Set("aws:PrincipalType", "AssumedRole")
	ctx.Set("aws:PrincipalIsAWSService", "false")
	ctx.Set("aws:ViaAWSService", "false")
	ctx.Set("aws:MultiFactorAuthPresent", "false") // there with temporary credentials only
	ctx.Set("aws:userid", s.userID())
	ctx.Set("aws:TokenIssueTime", s.issued.UTC().Format(time.RFC3339))
	if s.role.account.organization != "" {
		ctx.Set("aws:PrincipalOrgID", s.role.account.organization)
	}
	if s.sourceIdentity != "" {
		ctx.Set("aws:SourceIdentity", s.sourceIdentity)
	}
	if s.provider != "" {
		ctx.Set("aws:FederatedProvider", s.provider)
	}
	for _, t := range s.tags {
		ctx.Set("aws:PrincipalTag/"+t.Key, t.Value)
	}
	return ctx
}

// requestContext adds the keys of the request. All of the call's actions see the same ones: the examples
// of "Pass session tags in AWS STS" have aws:RequestTag in the statement of sts:AssumeRole.
func (c *call) requestContext(ctx policy.Context) {
	ctx.Set("aws:CurrentTime", c.now.UTC().Format(time.RFC3339))
	ctx.Set("aws:EpochTime", strconv.FormatInt(c.now.Unix(), 10))
	ctx.Set("aws:SecureTransport", "true") // STS has no other; the lab's plain HTTP stands for it
	ctx.Set("aws:SourceIp", c.sourceIP())
	ctx.Set("aws:UserAgent", c.request.UserAgent())
	ctx.Set("aws:RequestedRegion", c.region)
	ctx.Set("aws:ResourceAccount", c.role.account.id)
	ctx.Set("sts:RoleSessionName", c.params.sessionName)
	if c.role.account.organization != "" {
		ctx.Set("aws:ResourceOrgID", c.role.account.organization)
	}
	if c.params.externalID != "" {
		ctx.Set("sts:ExternalId", c.params.externalID)
	}
	if c.effective.sourceIdentity != "" {
		ctx.Set("sts:SourceIdentity", c.effective.sourceIdentity)
	}
	if keys := c.effective.sent.keys(); keys != nil {
		ctx.Set("aws:TagKeys", keys...)
	}
	for _, t := range c.effective.sent {
		ctx.Set("aws:RequestTag/"+t.Key, t.Value)
	}
	if len(c.effective.transitive) > 0 {
		ctx.Set("sts:TransitiveTagKeys", slices.Clone(c.effective.transitive)...)
	}
	// An inherited tag overrides the role's own before the trust policy is evaluated ("Chaining roles
	// with session tags", the example's Role3).
	for _, t := range c.role.tags.with(overriding(c.role.tags, c.effective.inherited)) {
		ctx.Set("aws:ResourceTag/"+t.Key, t.Value)
		ctx.Set("iam:ResourceTag/"+t.Key, t.Value)
	}
}

// overriding gives those of the inherited tags whose key the role has.
func overriding(own, inherited tags) tags {
	return slices.DeleteFunc(slices.Clone(inherited), func(t tag) bool { _, found := own.find(t.Key); return !found })
}
