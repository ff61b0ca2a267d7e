package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/action"
	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/policy"
)

// scenario is an Input with its files read and its values checked.
type scenario struct {
	names         map[*policy.Document]string // of the files
	hub, spoke    chain.Role
	hubTrust      *policy.Document // nil: the hub call is not simulated
	spokePolicies policy.Policies  // with Trust nil: the spoke call is not simulated
	claims        chain.Claims
	tags          chain.Tags
	context       policy.Context
	sessionName   string
}

// problems collects everything that is wrong with an Input.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

// read reads the files and checks the values. Invalid values are reported together, as an *InputError.
func (in Input) read(files *Files) (*scenario, error) {
	s := &scenario{names: map[*policy.Document]string{}}
	s.hub.ARN, s.spoke.ARN = in.HubRole, in.SpokeRole
	var p problems
	if in.HubTrust == "" && in.SpokeTrust == "" {
		p.add("nothing to simulate: give --hub-trust, --spoke-trust or both")
	}
	if err := s.readPolicies(in, files); err != nil {
		return nil, err
	}
	p.checkRole("hub-role-to-assume", s.hub.ARN)
	if s.spokePolicies.Trust != nil && p.checkRole("role-to-assume", s.spoke.ARN) {
		if err := s.narrow(&p); err != nil {
			return nil, err
		}
	}
	var err error
	if s.claims, err = in.token(files, s.hub.ARN); err != nil {
		p = append(p, err)
	} else if s.hubTrust != nil && s.claims.Text("sub") == "" {
		p.add("the token has no subject: give --subject, --claims or --repository with an environment or a ref")
	}
	in.readSent(s, &p)
	if p != nil {
		return nil, &InputError{errors.Join(p...)}
	}
	return s, nil
}

func (s *scenario) readPolicies(in Input, files *Files) (err error) {
	if s.hubTrust, err = s.load(files, policy.Trust, in.HubTrust, &s.hub); err != nil {
		return err
	}
	if s.spokePolicies.Trust, err = s.load(files, policy.Trust, in.SpokeTrust, &s.spoke); err != nil {
		return err
	}
	if s.spokePolicies.Boundary, err = s.load(files, policy.Boundary, in.Boundary, nil); err != nil {
		return err
	}
	for _, list := range []struct {
		kind  policy.Kind
		names []string
		into  *[]*policy.Document
	}{{policy.Identity, in.HubPermissions, &s.spokePolicies.Identity}, {policy.SCP, in.SCPs, &s.spokePolicies.SCPs}} {
		for _, name := range list.names {
			d, err := s.load(files, list.kind, name, nil)
			if err != nil {
				return err
			}
			*list.into = append(*list.into, d)
		}
	}
	if in.HubPermissions == nil {
		s.spokePolicies.Identity = []*policy.Document{allowAll}
	}
	return nil
}

// allowAll stands for the hub's permissions if none are given: the result then depends on the spoke's side alone.
var allowAll = &policy.Document{Statements: []policy.Statement{{
	Effect: policy.Allow, Actions: []policy.Value{{Text: "*"}}, Resources: []policy.Value{{Text: "*"}},
}}}

// load reads one policy and checks it against IAM's rules; nil if name is empty. It completes the role with what the
// file contains about it.
func (s *scenario) load(files *Files, kind policy.Kind, name string, role *chain.Role) (*policy.Document, error) {
	if name == "" {
		return nil, nil
	}
	data, err := files.read(name)
	if err != nil {
		return nil, err
	}
	text, described, err := extract(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	arn := ""
	if role != nil {
		if described.ARN != "" && role.ARN != "" && described.ARN != role.ARN {
			return nil, fmt.Errorf("%s: the file is of the role %q, not of %q", name, described.ARN, role.ARN)
		}
		if described.ARN != "" {
			*role = described
		}
		arn = role.ARN
	}
	d, err := policy.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.names[d] = name
	if _, err := hop.ParseRoleARN(arn); err != nil && role != nil {
		return d, nil // checkRole reports the ARN
	}
	if err := d.Check(kind, arn); err != nil {
		return nil, fmt.Errorf("%s: IAM would reject this %s: %w", name, kind, err)
	}
	return d, nil
}

// checkRole reports whether arn is the ARN of a role.
func (p *problems) checkRole(flag, arn string) bool {
	_, err := hop.ParseRoleARN(arn)
	if arn == "" {
		p.add("--%s is missing: the role's ARN, arn:PARTITION:iam::ACCOUNT:role/NAME", flag)
	} else if err != nil {
		p.add("--%s: %w", flag, err)
	}
	return err == nil
}

// ownPolicy takes the place of a file's name.
const ownPolicy = "the action's own"

// narrow adds the session policy that the action passes.
func (s *scenario) narrow(p *problems) error {
	spoke, err := hop.ParseRoleARN(s.spoke.ARN)
	if err != nil {
		p.add("--role-to-assume: %w", err)
		return nil
	}
	d, err := policy.Parse([]byte(hop.HubPolicy([]hop.ARN{spoke})))
	if err != nil {
		return err
	}
	s.spokePolicies.Session = []*policy.Document{d}
	s.names[d] = ownPolicy
	return nil
}

// readSent sets what the step sends in addition to the token.
func (in Input) readSent(s *scenario, p *problems) {
	s.sessionName = in.SessionName
	if s.sessionName == "" {
		s.sessionName = "gh-" + or(s.claims.Text("run_id"), "1") + "-" + or(s.claims.Text("run_attempt"), "1")
	}
	if !hop.SessionName.Matches(s.sessionName) {
		p.add("--role-session-name: %q is not %s", s.sessionName, hop.SessionName.Words)
	}
	if in.SourceIdentity != "" && !hop.SessionName.Matches(in.SourceIdentity) {
		p.add("--source-identity: %q is not %s", in.SourceIdentity, hop.SessionName.Words)
	}
	if in.ExternalID != "" && !hop.ExternalID.Matches(in.ExternalID) {
		p.add("--role-external-id: %q is not %s", in.ExternalID, hop.ExternalID.Words)
	}
	s.context = policy.Context{}
	for _, c := range in.Context {
		key, value, found := strings.Cut(c, "=")
		if !found || !strings.Contains(key, ":") {
			p.add("--context: %q is not KEY=VALUE with a condition key such as aws:SourceIp", c)
			continue
		}
		values, _ := s.context.Values(key)
		s.context.Set(key, append(slices.Clip(values), value)...)
	}
	if in.SkipTagging {
		return
	}
	for _, t := range action.SessionTags(s.claims.Text, jobEnvironment(s.claims), nil, in.TransitiveTagKeys) {
		s.tags = append(s.tags, chain.Tag{Key: t.Key, Value: t.Value})
	}
	for _, t := range in.Tags {
		key, value, found := strings.Cut(t, "=")
		if !found {
			p.add("--tag: %q is not KEY=VALUE", t)
			continue
		}
		s.tags = s.tags.With(chain.Tags{{Key: key, Value: value}})
	}
	if problem := s.tags.Problem(); problem != "" {
		p.add("--tag: %s", problem)
	}
	if refusal := s.tags.Refusal(in.TransitiveTagKeys, nil); refusal != "" {
		p.add("--transitive-tag-key or --tag: AWS returns: %s", refusal)
	}
}

// jobEnvironment returns a stand-in for the variables that GitHub sets for a job. Those that are empty except for
// pull requests are empty.
func jobEnvironment(claims chain.Claims) func(string) string {
	return func(name string) string {
		if (name == "GITHUB_BASE_REF" || name == "GITHUB_HEAD_REF") && claims.Text("event_name") != "pull_request" {
			return ""
		}
		return "simulated"
	}
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
