// Package simulate decides whether policies allow a hop, as IAM does and without a request to AWS, and reports which
// statement or condition decides. It reads the policies from files, describes the calls with package chain, and sends
// what the action sends.
package simulate

import (
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// Input is what is simulated. A policy is the name of a file, - for standard input. A file holds the document itself
// or the output of the AWS CLI.
type Input struct {
	HubTrust       string   // trust policy of the hub; without it, the hub call is not simulated
	HubPermissions []string // permission policies of the hub; without any, everything is allowed
	Boundary       string   // permissions boundary of the hub
	SCPs           []string // service control policies of the hub's account
	SpokeTrust     string   // trust policy of the spoke; without it, the spoke call is not simulated
	HubRole        string   // ARN; may be empty if HubTrust is the output of get-role
	SpokeRole      string   // ARN; may be empty if SpokeTrust is the output of get-role

	// The token. Claims override those of the file; the subject defaults to the one that GitHub composes.
	ClaimsFile  string   // JSON object
	Claims      []string // NAME=VALUE
	Subject     string
	Audience    string // chain.DefaultAudience if empty and not in ClaimsFile
	Issuer      string // URL; github.com's if empty and not in ClaimsFile
	Repository  string // OWNER/REPO or OWNER@OWNER-ID/REPO@REPO-ID
	Environment string
	Ref         string // refs/heads/NAME or refs/tags/NAME
	PullRequest bool

	// What the step sends.
	SessionName       string // of both sessions; gh-RUN-ATTEMPT if empty
	SkipTagging       bool
	Tags              []string // KEY=VALUE, in addition to the action's own or overriding them
	TransitiveTagKeys []string
	SourceIdentity    string
	ExternalID        string
	Context           []string // KEY=VALUE, further condition keys
}

// InputError is an Input that is invalid regardless of the contents of the policies.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns the problems.
func (e *InputError) Unwrap() error { return e.Err }

// Run simulates the hub call, the spoke call, or both, depending on which trust policies are given.
func Run(in Input, files *Files) (*Report, error) {
	s, err := in.read(files)
	if err != nil {
		return nil, err
	}
	r := &Report{Allowed: true}
	now := time.Now()
	session := chain.RoleSession{Role: s.hub, Name: s.sessionName, Issued: now}
	if s.claims.Text("sub") != "" {
		issuer := strings.TrimPrefix(s.claims.Text("iss"), "https://")
		provider := "arn:" + policy.Partition(s.hub.ARN) + ":iam::" + policy.Account(s.hub.ARN) + ":oidc-provider/" + issuer
		hub := chain.Call{
			Token: &chain.Token{Issuer: issuer, Provider: provider, Claims: s.claims},
			Role:  s.hub, SessionName: s.sessionName, Time: now, Context: policy.Context{},
		}
		for key, values := range s.context {
			if !strings.HasPrefix(key, "aws:principal") {
				hub.Context[key] = values
			}
		}
		if s.hubTrust != nil {
			r.add(s, "hub", hub, policy.Policies{Trust: s.hubTrust})
		}
		session = hub.Session()
	}
	if s.spokePolicies.Trust != nil {
		r.add(s, "spoke", chain.Call{
			Caller: &session, Role: s.spoke, SessionName: s.sessionName, Tags: s.tags, TransitiveTagKeys: in.TransitiveTagKeys,
			SourceIdentity: in.SourceIdentity, ExternalID: in.ExternalID, Time: now, Context: s.context,
		}, s.spokePolicies)
	}
	return r, nil
}
