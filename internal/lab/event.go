package lab

import (
	"net"
	"slices"
	"strings"
	"time"
)

// Event is a CloudTrail record; it marshals to CloudTrail's JSON (CloudTrail User Guide, "CloudTrail record
// contents"). A successful call across accounts is recorded in both, under one SharedEventID. AWS also logs the
// session token that it returned; the lab omits it.
type Event struct {
	EventVersion       string         `json:"eventVersion"`
	UserIdentity       Identity       `json:"userIdentity"`
	EventTime          string         `json:"eventTime"` // RFC 3339, UTC, whole seconds
	EventSource        string         `json:"eventSource"`
	EventName          string         `json:"eventName"`
	AWSRegion          string         `json:"awsRegion"`
	SourceIPAddress    string         `json:"sourceIPAddress"`
	UserAgent          string         `json:"userAgent"`
	ErrorCode          string         `json:"errorCode,omitempty"`
	ErrorMessage       string         `json:"errorMessage,omitempty"`
	RequestParameters  map[string]any `json:"requestParameters"`
	ResponseElements   map[string]any `json:"responseElements"`
	RequestID          string         `json:"requestID"`
	EventID            string         `json:"eventID"`
	ReadOnly           bool           `json:"readOnly"`
	Resources          []Resource     `json:"resources,omitempty"`
	EventType          string         `json:"eventType"`
	ManagementEvent    bool           `json:"managementEvent"`
	RecipientAccountID string         `json:"recipientAccountId"`
	SharedEventID      string         `json:"sharedEventID,omitempty"`
	EventCategory      string         `json:"eventCategory"`
}

// Identity is the caller, as far as the account may see it (CloudTrail User Guide, "CloudTrail userIdentity
// element").
type Identity struct {
	// Type is WebIdentityUser, AssumedRole, or AWSAccount for a caller of another account.
	Type             string          `json:"type"`
	PrincipalID      string          `json:"principalId,omitempty"`
	ARN              string          `json:"arn,omitempty"`
	AccountID        string          `json:"accountId,omitempty"`
	AccessKeyID      string          `json:"accessKeyId,omitempty"`
	UserName         string          `json:"userName,omitempty"`
	IdentityProvider string          `json:"identityProvider,omitempty"`
	SessionContext   *SessionContext `json:"sessionContext,omitempty"`
}

// SessionContext describes the origin of a role's session.
type SessionContext struct {
	SessionIssuer       Issuer            `json:"sessionIssuer"`
	WebIDFederationData *Federation       `json:"webIdFederationData,omitempty"`
	Attributes          map[string]string `json:"attributes"`
	SourceIdentity      string            `json:"sourceIdentity,omitempty"`
}

// Issuer is the role of a session.
type Issuer struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId"`
	ARN         string `json:"arn"`
	AccountID   string `json:"accountId"`
	UserName    string `json:"userName"`
}

// Federation names the OIDC provider of a session that a web identity started.
type Federation struct {
	FederatedProvider string            `json:"federatedProvider"`
	Attributes        map[string]string `json:"attributes"`
}

// Resource is the resource of a call.
type Resource struct {
	ARN       string `json:"ARN"`
	AccountID string `json:"accountId"`
	Type      string `json:"type"`
}

// eventExpiration is the format in which CloudTrail writes the expiration of credentials.
const eventExpiration = "Jan 2, 2006, 3:04:05 PM"

// Events returns the recorded events, in order.
func (l *Lab) Events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// record writes the records of a call. A call whose signature was not accepted belongs to no account and is not
// recorded.
func (l *Lab) record(c *call, out *result, refused *apiError) {
	e := Event{
		EventVersion: "1.11", EventType: "AwsApiCall", EventCategory: "Management", ManagementEvent: true, ReadOnly: true,
		EventTime: c.now.UTC().Format(time.RFC3339), EventSource: "sts.amazonaws.com", EventName: c.action,
		AWSRegion: c.region, SourceIPAddress: c.sourceIP(), UserAgent: c.request.UserAgent(),
		RequestID: c.id, EventID: uuid(),
		RequestParameters: c.eventRequest(), ResponseElements: out.event(),
	}
	if refused != nil {
		e.ErrorCode, e.ErrorMessage = refused.code, refused.message
	}
	if c.role != nil {
		e.Resources = []Resource{{ARN: c.role.arn, AccountID: c.role.account.id, Type: "AWS::IAM::Role"}}
	}
	var events []Event
	switch {
	case c.caller != nil:
		e.UserIdentity, e.RecipientAccountID = c.caller.identity(), c.caller.role.account.id
		events = append(events, e)
		if c.role != nil && refused == nil && c.role.account != c.caller.role.account {
			other := e
			account := c.caller.role.account.id
			other.UserIdentity = Identity{Type: "AWSAccount", PrincipalID: c.caller.userID(), AccountID: account}
			other.RecipientAccountID, other.EventID = c.role.account.id, uuid()
			events[0].SharedEventID = uuid()
			other.SharedEventID = events[0].SharedEventID
			events = append(events, other)
		}
	case c.action == "AssumeRoleWithWebIdentity" && l.world.accounts[accountOf(c.params.roleARN)] != nil:
		e.UserIdentity, e.RecipientAccountID = c.webIdentity(), accountOf(c.params.roleARN)
		events = append(events, e)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
}

func accountOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	return parts[4]
}

func (c *call) sourceIP() string {
	host, _, err := net.SplitHostPort(c.request.RemoteAddr)
	if err != nil {
		return c.request.RemoteAddr
	}
	return host
}

func (c *call) webIdentity() Identity {
	id := Identity{Type: "WebIdentityUser"}
	if c.webToken == nil || c.provider == nil {
		return id
	}
	id.UserName, id.IdentityProvider = c.webToken.claims.Text("sub"), c.provider.arn
	id.PrincipalID = c.provider.arn + ":" + strings.Join(c.webToken.claims.Texts("aud"), ",") + ":" + id.UserName
	return id
}

func (s *session) identity() Identity {
	role := s.role
	id := Identity{
		Type: "AssumedRole", PrincipalID: s.userID(), ARN: s.ARN(),
		AccountID: role.account.id, AccessKeyID: s.accessKeyID,
		SessionContext: &SessionContext{
			SessionIssuer: Issuer{"Role", role.id, role.arn, role.account.id, role.name},
			Attributes: map[string]string{
				"creationDate":     s.Issued.UTC().Format(time.RFC3339),
				"mfaAuthenticated": "false",
			},
			SourceIdentity: s.SourceIdentity,
		},
	}
	if s.Token != nil {
		id.SessionContext.WebIDFederationData = &Federation{FederatedProvider: s.Token.Provider, Attributes: map[string]string{}}
	}
	return id
}

// eventRequest returns the members of the request as CloudTrail names them. Tags of a web identity are
// principalTags, an object; tags of AssumeRole are tags, a list ("Pass session tags in AWS STS", the examples of
// CloudTrail logs). An inherited source identity is included too.
func (c *call) eventRequest() map[string]any {
	if c.action == "GetCallerIdentity" {
		return nil
	}
	p, e := c.params, c.effective
	m := map[string]any{
		"roleArn": p.roleARN, "roleSessionName": p.sessionName, "durationSeconds": int(p.duration.Seconds()),
	}
	put := func(key string, present bool, value any) {
		if present {
			m[key] = value
		}
	}
	put("policy", p.policy != "", p.policy)
	var arns []map[string]string
	for _, arn := range p.policyARNs {
		arns = append(arns, map[string]string{"arn": arn})
	}
	put("policyArns", arns != nil, arns)
	put("externalId", p.externalID != "", p.externalID)
	put("sourceIdentity", e.sourceIdentity != "", e.sourceIdentity)
	put("transitiveTagKeys", len(e.transitive) > 0, e.transitive)
	put("incomingTransitiveTags", len(e.inherited) > 0, object(e.inherited))
	if c.action == "AssumeRoleWithWebIdentity" {
		put("principalTags", len(e.sent) > 0, object(e.sent))
		return m
	}
	var list []map[string]string
	for _, t := range e.sent {
		list = append(list, map[string]string{"key": t.Key, "value": t.Value})
	}
	put("tags", list != nil, list)
	return m
}

// event returns the response as CloudTrail records it, without secrets.
func (r *result) event() map[string]any {
	if r == nil || r.Credentials == nil {
		return nil
	}
	m := map[string]any{"assumedRoleUser": map[string]string{
		"assumedRoleId": r.AssumedRoleUser.AssumedRoleID, "arn": r.AssumedRoleUser.Arn,
	}}
	credentials := map[string]string{"accessKeyId": r.Credentials.AccessKeyID}
	if expires, err := time.Parse(time.RFC3339, r.Credentials.Expiration); err == nil {
		credentials["expiration"] = expires.UTC().Format(eventExpiration)
	}
	m["credentials"] = credentials
	for key, value := range map[string]string{
		"provider": r.Provider, "audience": r.Audience,
		"subjectFromWebIdentityToken": r.SubjectFromWebIdentityToken, "sourceIdentity": r.SourceIdentity,
	} {
		if value != "" {
			m[key] = value
		}
	}
	if r.PackedPolicySize != nil {
		m["packedPolicySize"] = *r.PackedPolicySize
	}
	return m
}
