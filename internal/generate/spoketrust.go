package generate

import (
	"maps"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// SpokeTrust is the trust policy of a spoke role: the hub role, and what its calls must send.
type SpokeTrust struct {
	HubRole            string // ARN
	SkipTags           bool   // without sts:TagSession
	SkipSourceIdentity bool   // without sts:SetSourceIdentity
	ExternalID         string // 2 to 1224 of [\w+=,.@:/-]; empty for none

	// Subjects restricts the policy to hub sessions made for tokens with one of these subjects; empty for any. Of a
	// token's claims, only sub, aud and amr remain condition keys in the session ("IAM and AWS STS condition context
	// keys", AWS OIDC federation). This follows AWS's documentation and has not been tried on AWS: if it does not
	// hold, the key is absent and the spoke denies every call.
	Subjects []string
	Issuer   Issuer // of the subjects' tokens
	Audience string // of the subjects' tokens; chain.DefaultAudience if empty

	// RequireTags are session tags that the hub's session must send. The holder of the session chooses them: they
	// prevent mistakes, not abuse.
	RequireTags []chain.Tag
}

// Document returns the policy as JSON, indented by two spaces, for --assume-role-policy-document. Its errors are
// Problems.
//
// An external ID and required tags are conditions on sts:AssumeRole alone, and the other two actions then get a
// statement of their own: AWS lists sts:ExternalId for AssumeRole only (Service Authorization Reference, AWS STS),
// and neither of the others allows a session by itself.
func (s SpokeTrust) Document() ([]byte, error) {
	if problems := s.check(); problems != nil {
		return nil, problems
	}
	sid := "TheHubRole"
	if s.SkipTags {
		sid = "TheHubRoleWithoutTags"
	}
	principal := map[string]string{"AWS": s.HubRole}
	issuer := s.Issuer.String()
	return write(policy.Trust, s.HubRole, "subjects", len(s.Subjects), func(n int) document {
		pins := map[string]any{}
		if len(s.Subjects) > 0 {
			pins[issuer+":aud"] = orElse(s.Audience, chain.DefaultAudience(policy.Partition(s.HubRole)))
			pins[issuer+":sub"] = oneOrMore(s.Subjects[:n])
		}
		assume := maps.Clone(pins)
		if s.ExternalID != "" {
			assume["sts:ExternalId"] = s.ExternalID
		}
		for key, values := range grouped(s.RequireTags, tagPair) {
			assume["aws:RequestTag/"+key] = oneOrMore(values)
		}
		hub := statement{SID: sid, Effect: policy.Allow, Principal: principal, Condition: equalsOrNone(assume)}
		all := actions(s.SkipTags, s.SkipSourceIdentity)
		if len(assume) == len(pins) || len(all) == 1 {
			hub.Action = oneOrMore(all)
			return document{"2012-10-17", []statement{hub}}
		}
		hub.Action = all[0]
		return document{"2012-10-17", []statement{hub, {
			SID: "WhatTheHubRoleSends", Effect: policy.Allow, Principal: principal, Action: oneOrMore(all[1:]),
			Condition: equalsOrNone(pins),
		}}}
	})
}

func equalsOrNone(equals map[string]any) *condition {
	if len(equals) == 0 {
		return nil
	}
	return &condition{equals}
}

func (s SpokeTrust) check() Problems {
	var p Problems
	p.role("hub-role-to-assume", s.HubRole)
	if strings.ContainsAny(s.HubRole, "*?") {
		p.add("hub-role-to-assume", "%q contains a wildcard, which IAM rejects in a principal", s.HubRole)
	}
	if s.ExternalID != "" && (len(s.ExternalID) > 1224 || !externalIDPattern().MatchString(s.ExternalID)) {
		p.add("role-external-id", `%q is not 2 to 1224 of the characters [\w+=,.@:/-]`, s.ExternalID)
	}
	once(&p, "pin-subject", s.Subjects, func(s string) string { return s })
	for _, subject := range s.Subjects {
		p.subject(subject)
	}
	if len(s.Subjects) == 0 && (s.Issuer != Issuer{} || s.Audience != "") {
		p.add("pin-subject", "is missing: the issuer and the audience are those of a pinned subject")
	}
	p.issuer(s.Issuer)
	p.audience(s.Audience)
	if s.SkipTags && len(s.RequireTags) > 0 {
		p.add("require-tag", "cannot be combined with role-skip-session-tagging: a session without tags has no required tag")
	}
	p.tags("require-tag", s.RequireTags)
	return p
}

// subject checks for what GitHub writes by default, or by a template that begins with repo.
func (p *Problems) subject(subject string) {
	m := subjectPattern().FindStringSubmatch(subject)
	if m != nil {
		if _, err := ParseRepository(m[1]); err == nil {
			p.exact("pin-subject", subject)
			return
		}
	}
	p.add("pin-subject", "%q is not the subject of a token, repo:OWNER/REPO:... or repo:OWNER@OWNER-ID/REPO@REPO-ID:...",
		subject)
}
