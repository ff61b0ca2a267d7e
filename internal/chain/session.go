package chain

import (
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/policy"
)

// RoleSession is a session of a role.
type RoleSession struct {
	Role           Role
	Name           string
	Issued         time.Time
	Tags           Tags   // the role's, those sent and those inherited
	Transitive     Tags   // those of Tags that the next session inherits
	SourceIdentity string // set by this call or an earlier one
	Token          *Token // of the web identity that assumed the role; nil for none
}

// ARN returns the ARN of the session, which has the role's name without its path.
func (s RoleSession) ARN() string {
	arn := s.Role.ARN
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	return "arn:" + policy.Partition(arn) + ":sts::" + policy.Account(arn) + ":assumed-role/" + name + "/" + s.Name
}

// identify sets the keys of a signed call that describe the caller ("AWS global condition context keys").
// aws:SourceAccount, aws:SourceArn and aws:SourceOrgID are absent: only services send them.
func (s *RoleSession) identify(ctx policy.Context) {
	if s.Token != nil {
		s.Token.identify(ctx)
		ctx.Set("aws:FederatedProvider", s.Token.Provider)
	}
	ctx.Set("aws:PrincipalArn", s.Role.ARN) // the role's, not the session's
	ctx.Set("aws:PrincipalAccount", policy.Account(s.Role.ARN))
	ctx.Set("aws:PrincipalType", "AssumedRole")
	ctx.Set("aws:PrincipalIsAWSService", "false")
	ctx.Set("aws:ViaAWSService", "false")
	ctx.Set("aws:MultiFactorAuthPresent", "false") // present with temporary credentials only
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
