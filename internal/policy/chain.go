package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Call is one call to STS that makes a session of a role: AssumeRoleWithWebIdentity, with a Token, or
// AssumeRole, with a Caller. What is empty is not sent.
type Call struct {
	Token  *Token       // the web identity that asks; nil for AssumeRole
	Caller *RoleSession // the session that asks; nil for a web identity
	Role   Role         // that is asked for

	SessionName       string
	Tags              Tags     // that are sent; a web identity's come from its token's claims
	TransitiveTagKeys []string // of Tags
	SourceIdentity    string   // asked for, beside any that the caller has already
	ExternalID        string

	Time      time.Time
	Region    string // whose endpoint is asked
	SourceIP  string
	UserAgent string
	Context   Context // further keys, which come before those of the call itself
}

// Role is a role as conditions see it.
type Role struct {
	ARN          string
	ID           string // AROA...; empty when it is not known
	Tags         Tags
	Organization string // of its account, o-...; empty: none
}

// RoleSession is a role's session.
type RoleSession struct {
	Role           Role
	Name           string
	Issued         time.Time
	Tags           Tags   // the role's, those sent and those inherited
	Transitive     Tags   // those of Tags that the next session inherits
	SourceIdentity string // set by this call or an earlier one
	Token          *Token // of the web identity that it is of; nil: none
}

// Token is a web identity token, whose signature and times others have checked.
type Token struct {
	Issuer   string // without https://, as IAM writes it
	Provider string // ARN of the issuer's OIDC provider in the role's account
	Claims   Claims
}

// Claims are a token's, as JSON decodes them.
type Claims map[string]any

// Text gives a claim that is a string, and "" for every other.
func (c Claims) Text(name string) string {
	s, _ := c[name].(string)
	return s
}

// Texts gives a claim that is a string or a list of strings; nil for anything else.
func (c Claims) Texts(name string) []string {
	switch value := c[name].(type) {
	case string:
		return []string{value}
	case []any:
		var texts []string
		for _, v := range value {
			s, ok := v.(string)
			if !ok {
				return nil
			}
			texts = append(texts, s)
		}
		return texts
	}
	return nil
}

// Audience is the one that counts: azp where the token has it ("Available keys for AWS OIDC federation",
// IAM User Guide).
func (c Claims) Audience() string {
	if azp := c.Text("azp"); azp != "" {
		return azp
	}
	if audiences := c.Texts("aud"); len(audiences) > 0 {
		return audiences[0]
	}
	return ""
}

// CarriesClaims tells whether AWS makes condition keys of ClaimNames from an issuer's tokens, which it does
// when a role is assumed with the token and at no later call (Service Authorization Reference, AWS STS): those of
// github.com, also with an enterprise's slug, and of data residency without one, but not those of a GitHub
// Enterprise Server. The issuer is without https://.
func CarriesClaims(issuer string) bool {
	host, path, _ := strings.Cut(issuer, "/")
	residency := strings.HasPrefix(host, "token.actions.") && strings.HasSuffix(host, ".ghe.com") && path == ""
	enterprise := host == "github.com" && strings.HasPrefix(path, "enterprises/")
	return host == github || residency || enterprise
}

// Step is one action of a call, and what the policies say to it.
type Step struct {
	Request
	Verdict
	Reason string // why it is refused whatever the policies say; usually empty
}

// Authorize decides every action that the call amounts to, in the order in which a refusal names them. The
// call succeeds when all of them are allowed.
func (c Call) Authorize(p Policies) []Step {
	if c.SourceIdentity != "" && c.SourceIdentity != c.sourceIdentity() {
		return []Step{{
			Request: c.request("sts:SetSourceIdentity", c.context()),
			Verdict: Verdict{Side: Side{Kind: Trust}},
			Reason: "the calling session has the source identity " + strconv.Quote(c.Caller.SourceIdentity) +
				", which stays for the whole chain",
		}}
	}
	var steps []Step
	for _, r := range c.Requests() {
		steps = append(steps, Step{Request: r, Verdict: Authorize(r, p)})
	}
	return steps
}

// Requests are the actions that the call amounts to. Inherited tags and an inherited source identity need
// their action too (aws/eks-pod-identity-agent#80; "Monitor and control actions taken with assumed roles",
// IAM User Guide). All actions see the same keys: the examples of "Pass session tags in AWS STS" have
// aws:RequestTag in the statement of sts:AssumeRole.
func (c Call) Requests() []Request {
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
	var requests []Request
	for _, action := range actions {
		requests = append(requests, c.request(action, ctx))
	}
	return requests
}

func (c Call) request(action string, ctx Context) Request {
	r := Request{Action: action, Resource: c.Role.ARN, Context: ctx}
	if c.Token != nil {
		r.Caller = Caller{Federated: c.Token.Provider}
	} else {
		s := c.Caller
		r.Caller = Caller{Account: account(s.Role.ARN), RoleARN: s.Role.ARN, RoleID: s.Role.ID, SessionARN: s.ARN()}
	}
	return r
}

func (c Call) inherited() Tags {
	if c.Caller == nil {
		return nil
	}
	return c.Caller.Transitive
}

// sourceIdentity is that of the new session. Set once, it stays for the whole chain ("Monitor and control
// actions taken with assumed roles", IAM User Guide).
func (c Call) sourceIdentity() string {
	if c.Caller != nil && c.Caller.SourceIdentity != "" {
		return c.Caller.SourceIdentity
	}
	return c.SourceIdentity
}

// Session is the session that the call makes when it succeeds.
func (c Call) Session() RoleSession {
	s := RoleSession{
		Role: c.Role, Name: c.SessionName, Issued: c.Time, Token: c.Token, SourceIdentity: c.sourceIdentity(),
		// Session tags override the role's of the same key ("Pass session tags in AWS STS").
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

// ARN has the role's name without its path.
func (s RoleSession) ARN() string {
	name := s.Role.ARN[strings.LastIndexByte(s.Role.ARN, '/')+1:]
	return "arn:" + partition(s.Role.ARN) + ":sts::" + account(s.Role.ARN) + ":assumed-role/" + name + "/" + s.Name
}

// context are the keys of the request: those of who asks, and those of what is asked for.
func (c Call) context() Context {
	ctx := Context{}
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
	set("aws:ResourceAccount", account(c.Role.ARN))
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
	for _, t := range c.Role.Tags.With(overriding(c.Role.Tags, c.inherited())) {
		ctx.Set("aws:ResourceTag/"+t.Key, t.Value)
		ctx.Set("iam:ResourceTag/"+t.Key, t.Value)
	}
	for key, values := range c.Context {
		ctx.Set(key, values...)
	}
	return ctx
}

// overriding gives those of the inherited tags whose key the role has.
func overriding(own, inherited Tags) Tags {
	return slices.DeleteFunc(slices.Clone(inherited), func(t Tag) bool { _, found := own.Find(t.Key); return !found })
}

// identify sets the keys of a web identity that stay in the role's session: sub, aud and amr, no claims of
// the provider's own ("IAM and AWS STS condition context keys", AWS OIDC federation).
func (t *Token) identify(ctx Context) {
	ctx.Set(t.Issuer+":sub", t.Claims.Text("sub"))
	ctx.Set(t.Issuer+":aud", t.Claims.Audience())
	if amr := t.Claims.Texts("amr"); amr != nil {
		ctx.Set(t.Issuer+":amr", amr...)
	}
}

// carry sets the keys that only the call with the token has. With azp in it, aud is azp and oaud is aud.
func (t *Token) carry(ctx Context) {
	if t.Claims.Text("azp") != "" {
		ctx.Set(t.Issuer+":oaud", t.Claims.Texts("aud")...)
	}
	if !CarriesClaims(t.Issuer) {
		return
	}
	for _, claim := range ClaimNames {
		if value := t.Claims.Text(claim); value != "" {
			ctx.Set(t.Issuer+":"+claim, value)
		}
	}
}

// identify sets the keys of a signed call that tell of the caller ("AWS global condition context keys").
// aws:SourceAccount, aws:SourceArn and aws:SourceOrgID are absent: only services send them.
func (s *RoleSession) identify(ctx Context) {
	if s.Token != nil {
		s.Token.identify(ctx)
		ctx.Set("aws:FederatedProvider", s.Token.Provider)
	}
	ctx.Set("aws:PrincipalArn", s.Role.ARN) // the role's, not the session's
	ctx.Set("aws:PrincipalAccount", account(s.Role.ARN))
	ctx.Set("aws:PrincipalType", "AssumedRole")
	ctx.Set("aws:PrincipalIsAWSService", "false")
	ctx.Set("aws:ViaAWSService", "false")
	ctx.Set("aws:MultiFactorAuthPresent", "false") // there with temporary credentials only
	ctx.Set("aws:TokenIssueTime", s.Issued.UTC().Format(time.RFC3339))
	if s.Role.ID != "" {
		ctx.Set("aws:userid", s.Role.ID+":"+s.Name)
	}
	if s.Role.Organization != "" {
		ctx.Set("aws:PrincipalOrgID", s.Role.Organization)
	}
	if s.SourceIdentity != "" {
		ctx.Set("aws:SourceIdentity", s.SourceIdentity)
	}
	for _, t := range s.Tags {
		ctx.Set("aws:PrincipalTag/"+t.Key, t.Value)
	}
}

// JobSubject is the subject that GitHub gives by default to a job of the repository with these claims, in the
// immutable form when the repository has its ids: an environment goes before a pull request, and that before a
// ref. It is empty when the claims tell none of them (GitHub Docs, "OpenID Connect reference").
func JobSubject(r Repository, claims Claims) string {
	// A colon in a value must not look like the end of it.
	escape := func(s string) string { return strings.ReplaceAll(s, ":", "%3A") }
	switch subject := "repo:" + r.String(); {
	case claims.Text("environment") != "":
		return subject + ":environment:" + escape(claims.Text("environment"))
	case claims.Text("event_name") == "pull_request":
		return subject + ":pull_request"
	case claims.Text("ref") != "":
		return subject + ":ref:" + escape(claims.Text("ref"))
	}
	return ""
}
