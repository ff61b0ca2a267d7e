package lab

import (
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// admit runs the checks that both operations share once the caller is known: session policies, packed size, and
// the decision on every action of the call, which package chain determines.
func (l *Lab) admit(c *call) *apiError {
	if refused := l.sessionPolicies(c); refused != nil {
		return refused
	}
	documents := policy.Policies{Trust: c.role.trust}
	if s := c.caller; s != nil {
		documents.Identity, documents.Boundary = s.role.identity, s.role.boundary
		documents.Session, documents.SCPs = s.policies, s.role.account.scps
	}
	call := c.policyCall()
	if c.effective.sourceIdentity == "" {
		c.effective.sourceIdentity = call.Session().SourceIdentity // inherited, which CloudTrail shows too
	}
	for _, step := range call.Authorize(documents) {
		if step.Allowed {
			continue
		}
		if c.caller == nil {
			return webDenied()
		}
		return denied(c, step.Action, step.Side)
	}
	return c.pack()
}

// policyCall returns the call as policies see it.
func (c *call) policyCall() chain.Call {
	r := chain.Call{
		Role: c.role.condition(), SessionName: c.params.sessionName, ExternalID: c.params.externalID,
		Tags: c.effective.sent, TransitiveTagKeys: c.effective.transitive, SourceIdentity: c.effective.sourceIdentity,
		Time: c.now, Region: c.region, SourceIP: c.sourceIP(), UserAgent: c.request.UserAgent(),
	}
	if c.caller != nil {
		r.Caller = &c.caller.RoleSession
	} else {
		r.Token = &chain.Token{Issuer: c.provider.issuer, Provider: c.provider.arn, Claims: c.webToken.claims}
	}
	return r
}

// condition returns the role as conditions see it.
func (r *role) condition() chain.Role {
	return chain.Role{ARN: r.arn, ID: r.id, Tags: r.tags, Organization: r.account.organization}
}

// denied words a refusal of a signed call as AWS does, by the side that refused (IAM User Guide, "Troubleshoot
// access denied error messages"). There is no reason in the message for a trust policy that only lacks an allow,
// or for a role that does not exist.
func denied(c *call, action string, side policy.Side) *apiError {
	text := "User: " + c.caller.ARN() + " is not authorized to perform: " + action + " on resource: " + c.params.roleARN
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
