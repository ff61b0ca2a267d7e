// Package chain models the calls to AWS STS by which roles assume one another, as IAM policies see them: the
// actions of a call, its condition keys, and the session that it creates. Package policy evaluates the resulting
// requests. The simulation, the lint rules and the lab's STS share this model.
package chain

import (
	"slices"
	"strconv"
	"time"

	"github.com/org/hubspoke-chain/internal/policy"
)

// Call is one call to STS that makes a session of a role: AssumeRoleWithWebIdentity if Token is set, else AssumeRole
// by Caller. Empty fields are not sent.
type Call struct {
	Token  *Token       // the web identity that calls; nil for AssumeRole
	Caller *RoleSession // the session that calls; nil for a web identity
	Role   Role         // to assume

	SessionName       string
	Tags              Tags     // that are sent; a web identity's come from its token's claims
	TransitiveTagKeys []string // of Tags
	SourceIdentity    string   // that is sent, besides the one the caller may already have
	ExternalID        string

	Time      time.Time
	Region    string // of the endpoint
	SourceIP  string
	UserAgent string
	Context   policy.Context // further keys; they override those of the call
}

// Role is a role with the properties that conditions can refer to.
type Role struct {
	ARN          string
	ID           string // AROA...; empty if unknown
	Tags         Tags
	Organization string // of its account, o-...; empty for none
}

// Step is one action of a call with its decision.
type Step struct {
	policy.Request
	policy.Verdict
	Reason string // why it is refused regardless of the policies; usually empty
}

// Authorize decides every action of the call, in the order in which AWS reports a refusal. The call succeeds if all
// of them are allowed.
func (c Call) Authorize(p policy.Policies) []Step {
	if c.SourceIdentity != "" && c.SourceIdentity != c.sourceIdentity() {
		return []Step{{
			Request: c.request("sts:SetSourceIdentity", c.context()),
			Verdict: policy.Verdict{Side: policy.Side{Kind: policy.Trust}},
			Reason: "the calling session already has the source identity " + strconv.Quote(c.Caller.SourceIdentity) +
				", which cannot change within a chain",
		}}
	}
	var steps []Step
	for _, r := range c.Requests() {
		steps = append(steps, Step{Request: r, Verdict: policy.Authorize(r, p)})
	}
	return steps
}

// Requests returns the actions of the call. Inherited tags and an inherited source identity require their action too
// (aws/eks-pod-identity-agent#80; "Monitor and control actions taken with assumed roles", IAM User Guide). All
// actions have the same keys: the examples of "Pass session tags in AWS STS" have aws:RequestTag in the statement of
// sts:AssumeRole.
func (c Call) Requests() []policy.Request {
	actions := []string{"sts:AssumeRole"}
	if c.Token != nil {
		actions[0] = "sts:AssumeRoleWithWebIdentity"
	}
	if len(c.Tags) > 0 || len(c.inherited()) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if c.sourceIdentity() != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	ctx := c.context()
	var requests []policy.Request
	for _, action := range actions {
		requests = append(requests, c.request(action, ctx))
	}
	return requests
}

func (c Call) request(action string, ctx policy.Context) policy.Request {
	r := policy.Request{Action: action, Resource: c.Role.ARN, Context: ctx}
	if c.Token != nil {
		r.Caller = policy.Caller{Federated: c.Token.Provider}
	} else {
		s := c.Caller
		r.Caller = policy.Caller{
			Account: policy.Account(s.Role.ARN), RoleARN: s.Role.ARN, RoleID: s.Role.ID, SessionARN: s.ARN(),
		}
	}
	return r
}

func (c Call) inherited() Tags {
	if c.Caller == nil {
		return nil
	}
	return c.Caller.Transitive
}

// sourceIdentity returns the source identity of the new session. Once set, it stays for the whole chain ("Monitor
// and control actions taken with assumed roles", IAM User Guide).
func (c Call) sourceIdentity() string {
	if c.Caller != nil && c.Caller.SourceIdentity != "" {
		return c.Caller.SourceIdentity
	}
	return c.SourceIdentity
}

// Session returns the session that the call creates when it succeeds.
func (c Call) Session() RoleSession {
	s := RoleSession{
		Role: c.Role, Name: c.SessionName, Issued: c.Time, Token: c.Token, SourceIdentity: c.sourceIdentity(),
		// Session tags override the role's tags of the same key ("Pass session tags in AWS STS").
		Tags:       c.Role.Tags.With(c.inherited()).With(c.Tags),
		Transitive: c.inherited(),
	}
	for _, key := range c.TransitiveTagKeys {
		if t, found := c.Tags.Find(key); found {
			s.Transitive = s.Transitive.With(Tags{t})
		}
	}
	return s
}

// context returns the condition keys of the call: the caller's and those of the request.
func (c Call) context() policy.Context {
	ctx := policy.Context{}
	if c.Token != nil {
		c.Token.identify(ctx)
		c.Token.carry(ctx)
	} else {
		c.Caller.identify(ctx)
	}
	set := func(key string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			ctx.Set(key, values...)
		}
	}
	ctx.Set("aws:CurrentTime", c.Time.UTC().Format(time.RFC3339))
	ctx.Set("aws:EpochTime", strconv.FormatInt(c.Time.Unix(), 10))
	ctx.Set("aws:SecureTransport", "true") // STS has no other
	set("aws:SourceIp", c.SourceIP)
	set("aws:UserAgent", c.UserAgent)
	set("aws:RequestedRegion", c.Region)
	set("aws:ResourceAccount", policy.Account(c.Role.ARN))
	set("aws:ResourceOrgID", c.Role.Organization)
	set("sts:RoleSessionName", c.SessionName)
	set("sts:ExternalId", c.ExternalID)
	set("sts:SourceIdentity", c.sourceIdentity())
	set("aws:TagKeys", c.Tags.Keys()...)
	set("sts:TransitiveTagKeys", slices.Clone(c.TransitiveTagKeys)...)
	for _, t := range c.Tags {
		ctx.Set("aws:RequestTag/"+t.Key, t.Value)
	}
	// An inherited tag overrides the role's own before the trust policy is evaluated ("Chaining roles
	// with session tags", the example's Role3).
	overridden := slices.DeleteFunc(slices.Clone(c.inherited()), func(t Tag) bool {
		_, found := c.Role.Tags.Find(t.Key)
		return !found
	})
	for _, t := range c.Role.Tags.With(overridden) {
		ctx.Set("aws:ResourceTag/"+t.Key, t.Value)
		ctx.Set("iam:ResourceTag/"+t.Key, t.Value)
	}
	for key, values := range c.Context {
		ctx.Set(key, values...)
	}
	return ctx
}
