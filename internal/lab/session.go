package lab

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// session is a role's session with its credentials.
type session struct {
	chain.RoleSession
	role                       *role
	accessKeyID, secret, token string
	expires                    time.Time
	policies                   []*policy.Document // session policies; empty: none
}

func (s *session) userID() string { return s.role.id + ":" + s.Name }

// effective is what a new session gets from the request and the calling session together.
type effective struct {
	sent, inherited tags // inherited are the calling session's transitive ones
	transitive      []string
	sourceIdentity  string
	policies        []*policy.Document
	packed          *int // percent
}

// grant creates the session and its response.
func (l *Lab) grant(c *call) *result {
	e := c.effective
	life := c.params.duration
	if c.caller != nil && l.life > 0 {
		life = min(life, l.life)
	}
	s := &session{
		RoleSession: c.policyCall().Session(), role: c.role,
		accessKeyID: identifier("ASIA", 16),
		secret:      base64.StdEncoding.EncodeToString(random(30)),
		// The length differs from session to session on AWS too; code must treat it as opaque.
		token:    "IQoJb3JpZ2luX2Vj" + base64.StdEncoding.EncodeToString(random(400+int(random(1)[0]))),
		expires:  c.now.Add(life).Truncate(time.Second),
		policies: e.policies,
	}
	l.keep(s.accessKeyID, s.secret, s.token)
	l.mu.Lock()
	l.sessions[s.accessKeyID] = s
	l.mu.Unlock()
	return &result{
		AssumedRoleUser:  &assumedUser{AssumedRoleID: s.userID(), Arn: s.ARN()},
		Credentials:      &credentials{s.accessKeyID, s.secret, s.token, s.expires.UTC().Format(time.RFC3339)},
		PackedPolicySize: e.packed,
		SourceIdentity:   s.SourceIdentity,
	}
}

// Holder returns the ARN of the session that the three credentials belong to, and when it expires by the lab's
// clock. Both are zero if the lab did not issue these credentials.
func (l *Lab) Holder(accessKeyID, secretAccessKey, sessionToken string) (arn string, expires time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[accessKeyID]
	if s == nil || s.secret != secretAccessKey || s.token != sessionToken {
		return "", time.Time{}
	}
	return s.ARN(), s.expires
}

// sessionPolicies reads the policies that a call passes, inline and by ARN.
func (l *Lab) sessionPolicies(c *call) *apiError {
	if c.params.policy != "" {
		document, err := policy.Parse([]byte(c.params.policy))
		if err == nil {
			err = document.Check(policy.Session, c.role.arn)
		}
		if err != nil {
			return malformedPolicy(c.params.policy, err)
		}
		c.effective.policies = append(c.effective.policies, document)
	}
	for _, arn := range c.params.policyARNs {
		own := "arn:" + c.role.account.partition + ":iam::" + c.role.account.id + ":policy/"
		aws := "arn:" + c.role.account.partition + ":iam::aws:policy/"
		document := l.world.managed[arn]
		if document == nil || !strings.HasPrefix(arn, own) && !strings.HasPrefix(arn, aws) {
			// Managed session policies are in the role's account or are AWS's (STS API reference). AWS's text for
			// one that does not exist is not public; this one is the lab's own.
			return badRequest("ValidationError",
				"The managed policy %s does not exist in the account of the role.", arn)
		}
		c.effective.policies = append(c.effective.policies, document)
	}
	return nil
}

func malformedPolicy(text string, err error) *apiError {
	var check *policy.CheckError
	switch {
	case !json.Valid([]byte(text)):
		return badRequest("MalformedPolicyDocument", "This policy contains invalid Json")
	case errors.As(err, &check):
		return badRequest("MalformedPolicyDocument", "%s", check.Message)
	}
	return badRequest("MalformedPolicyDocument", "Syntax errors in policy.")
}

// packedCapacity is the size that counts as 100%, in bytes of the lab's packing.
const packedCapacity = 460

// pack computes the packed size in percent. AWS packs tags and session policies into a binary form
// with a limit of its own and publishes neither; this is the lab's approximation. It is made to agree
// with what has been seen: nine tags of 250 times one letter are 498%, so the letters are not
// compressed (with keys of four characters; see aws-actions/configure-aws-credentials#1803 for more
// such sizes). Each tag counts its bytes and one more, inherited tags too (aws/containers-roadmap#2413);
// session policies count their size under DEFLATE; a managed one counts its ARN.
func (c *call) pack() *apiError {
	all := c.effective.inherited.With(c.effective.sent)
	bytesOfTags := 0
	for _, t := range all {
		bytesOfTags += len(t.Key) + len(t.Value) + 1
	}
	text := c.params.policy + strings.Join(c.params.policyARNs, "")
	if len(all) == 0 && text == "" {
		return nil
	}
	percent := (bytesOfTags + deflated(text)) * 100 / packedCapacity
	if percent <= 100 {
		c.effective.packed = &percent
		return nil
	}
	what := "session tags"
	switch {
	case len(all) == 0:
		what = "session policy"
	case text != "":
		what = "session policy and session tags"
	}
	return badRequest("PackedPolicyTooLarge",
		"Packed size of %s consumes %d%% of allotted space.", what, percent)
}

func deflated(text string) int {
	if text == "" {
		return 0
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err) // the level is one of the package's
	}
	_, _ = w.Write([]byte(text)) // a bytes.Buffer does not fail
	_ = w.Close()
	return b.Len()
}
