package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// HubTrust is the trust policy of a hub role: which jobs of GitHub Actions may assume it. The document
// compares the subject of their tokens exactly, so it lets in the combinations of these fields and nothing
// else. Letters count with their case, as StringEquals compares them: names are to be written as GitHub
// shows them.
type HubTrust struct {
	Partition    string // aws when empty
	AccountID    string // of the hub, 12 digits
	Issuer       Issuer
	Audience     string // what the tokens are minted for; when empty, what DefaultAudience has for the partition
	Repositories []Repository
	Form         Form     // Immutable when empty, but Legacy on a GitHub Enterprise Server, which has no other
	Environments []string // 1 to 255 characters each; jobs that name one of them
	Refs         []string // refs/heads/... or refs/tags/...; jobs of other events than pull_request, without an environment
	PullRequest  bool     // jobs of pull_request events without an environment, from whichever branch
	Claims       []Claim  // what the tokens must say besides
}

// HubPermissions is the permission policy of a hub role: to which spokes it may hop. Either Spokes or Tags
// says which.
type HubPermissions struct {
	Spokes []string // ARNs of roles, all of one partition

	Tags       []Tag    // every key must be on the spoke, with one of the values that are given for it
	Partition  string   // with Tags: aws when empty
	AccountIDs []string // with Tags: the spokes' accounts, 12 digits each; empty for any account
	Path       string   // with Tags: the spokes' path, such as /deploy/ and what is below it; empty for any path

	SkipTags           bool // without sts:TagSession
	SkipSourceIdentity bool // without sts:SetSourceIdentity
}

// SpokeTrust is the trust policy of a spoke role: the hub role, and what else it must bring.
type SpokeTrust struct {
	HubRole            string // ARN
	SkipTags           bool   // without sts:TagSession
	SkipSourceIdentity bool   // without sts:SetSourceIdentity
	ExternalID         string // 2 to 1224 of [\w+=,.@:/-]; empty for none

	// Subjects are those for whose tokens the hub's session must have been made; empty for any. Of a
	// token's claims, sub, aud and amr alone remain condition keys in the session ("IAM and AWS STS
	// condition context keys", AWS OIDC federation). That is AWS's documentation and has not been tried on
	// AWS itself; should it not hold, the key is absent and the spoke refuses everyone.
	Subjects []string
	Issuer   Issuer // of the subjects' tokens
	Audience string // of the subjects' tokens; when empty, what DefaultAudience has for the partition

	// RequireTags are session tags that the hub's session must send. It sends what its holder chooses, so
	// they keep mistakes out, and nobody who means harm.
	RequireTags []Tag
}

// Tag is one key of a role or a session and one value that it may have.
type Tag struct {
	Key   string // 1 to 128 letters, digits, spaces and _.:/=+-@
	Value string // 0 to 256 of the same
}

// Problem is a field that a document cannot be built with.
type Problem struct {
	Field   string // in the words of the command line, role-to-assume for example; empty for the whole document
	Message string // the value and what is allowed
}

// Problems are all problems of one document.
type Problems []Problem

func (p Problems) Error() string {
	var lines []string
	for _, one := range p {
		lines = append(lines, strings.TrimPrefix(one.Field+": "+one.Message, ": "))
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(field, format string, args ...any) {
	*p = append(*p, Problem{field, fmt.Sprintf(format, args...)})
}

// The documents' own shape, in the order in which the elements are written.
type (
	documentJSON struct {
		Version   string
		Statement []statementJSON
	}
	statementJSON struct {
		SID       string `json:"Sid"`
		Effect    Effect
		Principal map[string]string `json:",omitempty"`
		Action    any
		Resource  any            `json:",omitempty"`
		Condition *conditionJSON `json:",omitempty"`
	}
	conditionJSON struct {
		StringEquals map[string]any // written in the order of the keys
	}
)

// oneOrMore is a list as people write it in a policy: a value alone stands without brackets.
func oneOrMore(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	return values
}

// Document is the policy as JSON, indented by two spaces, for --assume-role-policy-document. Its errors are
// Problems.
func (h HubTrust) Document() ([]byte, error) {
	subjects, problems := h.check()
	if problems != nil {
		return nil, problems
	}
	issuer, partition := h.Issuer.String(), orElse(h.Partition, "aws")
	account := "arn:" + partition + ":iam::" + h.AccountID
	sid := "DeployJobsOfOneRepository"
	if len(h.Repositories) > 1 {
		sid = "DeployJobsOfSeveralRepositories"
	}
	return construct(Trust, account+":role/hub", "subjects", len(subjects), func(n int) documentJSON {
		equals := map[string]any{
			issuer + ":aud": orElse(h.Audience, DefaultAudience(partition)),
			issuer + ":sub": oneOrMore(subjects[:n]),
		}
		for name, values := range grouped(h.Claims, Claim.pair) {
			equals[issuer+":"+name] = oneOrMore(values)
		}
		return documentJSON{"2012-10-17", []statementJSON{{
			SID: sid, Effect: Allow, Principal: map[string]string{"Federated": account + ":oidc-provider/" + issuer},
			Action: "sts:AssumeRoleWithWebIdentity", Condition: &conditionJSON{equals},
		}}}
	})
}

// Document is the policy as JSON, indented by two spaces, for --policy-document. Its errors are Problems.
func (p HubPermissions) Document() ([]byte, error) {
	if problems := p.check(); problems != nil {
		return nil, problems
	}
	s := statementJSON{SID: "HopToTheSpokes", Effect: Allow, Action: oneOrMore(hopActions(p.SkipTags, p.SkipSourceIdentity))}
	what, resources := "roles", p.Spokes
	if len(p.Tags) > 0 {
		s.SID, what, resources = "HopToTaggedSpokes", "accounts", p.taggedResources()
		equals := map[string]any{}
		for key, values := range grouped(p.Tags, Tag.pair) {
			equals["iam:ResourceTag/"+key] = oneOrMore(values)
		}
		s.Condition = &conditionJSON{equals}
	}
	var escaped []string
	for _, arn := range resources {
		if len(p.Tags) == 0 {
			arn = escapeWildcards(arn)
		}
		escaped = append(escaped, arn)
	}
	return construct(Identity, "", what, len(escaped), func(n int) documentJSON {
		limited := s
		limited.Resource = oneOrMore(escaped[:n])
		return documentJSON{"2012-10-17", []statementJSON{limited}}
	})
}

// taggedResources are the patterns for roles by account and path. A * in the account's place does not open
// anything: a role of an account that is not ours must still trust the hub, and have the tag.
func (p HubPermissions) taggedResources() []string {
	accounts := p.AccountIDs
	if len(accounts) == 0 {
		accounts = []string{"*"}
	}
	var patterns []string
	for _, id := range accounts {
		path := escapeWildcards(orElse(p.Path, "/"))
		patterns = append(patterns, "arn:"+orElse(p.Partition, "aws")+":iam::"+id+":role"+path+"*")
	}
	return patterns
}

// Document is the policy as JSON, indented by two spaces, for --assume-role-policy-document. Its errors are
// Problems.
//
// An external id and required tags are conditions on sts:AssumeRole alone, and the other two actions then
// have a statement of their own: AWS lists sts:ExternalId for AssumeRole only (Service Authorization
// Reference, AWS STS), and none of the other two lets anyone in by itself.
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
	return construct(Trust, s.HubRole, "subjects", len(s.Subjects), func(n int) documentJSON {
		pins := map[string]any{}
		if len(s.Subjects) > 0 {
			pins[issuer+":aud"] = orElse(s.Audience, DefaultAudience(partition(s.HubRole)))
			pins[issuer+":sub"] = oneOrMore(s.Subjects[:n])
		}
		assume := map[string]any{}
		for key, value := range pins {
			assume[key] = value
		}
		if s.ExternalID != "" {
			assume["sts:ExternalId"] = s.ExternalID
		}
		for key, values := range grouped(s.RequireTags, Tag.pair) {
			assume["aws:RequestTag/"+key] = oneOrMore(values)
		}
		hop := statementJSON{SID: sid, Effect: Allow, Principal: principal, Condition: equalsOrNone(assume)}
		actions := hopActions(s.SkipTags, s.SkipSourceIdentity)
		if len(assume) == len(pins) || len(actions) == 1 {
			hop.Action = oneOrMore(actions)
			return documentJSON{"2012-10-17", []statementJSON{hop}}
		}
		hop.Action = actions[0]
		return documentJSON{"2012-10-17", []statementJSON{hop, {
			SID: "WhatTheHubRoleSends", Effect: Allow, Principal: principal, Action: oneOrMore(actions[1:]), Condition: equalsOrNone(pins),
		}}}
	})
}

func equalsOrNone(equals map[string]any) *conditionJSON {
	if len(equals) == 0 {
		return nil
	}
	return &conditionJSON{equals}
}

// hopActions are the actions of one AssumeRole call that sends tags and a source identity.
func hopActions(skipTags, skipSourceIdentity bool) []string {
	actions := []string{"sts:AssumeRole"}
	if !skipTags {
		actions = append(actions, "sts:TagSession")
	}
	if !skipSourceIdentity {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	return actions
}

// construct writes a document and holds it against IAM's rules. When it is too long, it says how many of
// the n things that make it long would fit.
func construct(kind Kind, roleARN, what string, n int, build func(n int) documentJSON) ([]byte, error) {
	text, d, err := write(build(n))
	if err != nil {
		return nil, err
	}
	limit := quotas[kind].characters
	if d.size > limit {
		fit := n
		for fit > 0 {
			fit--
			if _, shorter, err := write(build(fit)); err == nil && shorter.size <= limit {
				break
			}
		}
		message := fmt.Sprintf("the %s has %d characters without white space, and IAM takes %d", kind, d.size, limit)
		if n > 0 {
			message += fmt.Sprintf(": there is room for %d of the %d %s", fit, n, what)
		}
		return nil, Problems{{Message: message}}
	}
	if err := d.Check(kind, roleARN); err != nil {
		return nil, err
	}
	return text, nil
}

// write leaves <, > and & as they are, as other tools do.
func write(document documentJSON) ([]byte, *Document, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document); err != nil {
		return nil, nil, err
	}
	d, err := Parse(b.Bytes())
	return b.Bytes(), d, err
}
