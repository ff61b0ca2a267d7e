package action

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/plain"
)

// export passes the sessions to the later steps, all of them in one write per file.
func (s *step) export(sessions []hop.Session) error {
	env, output, state := commandFile{env: "GITHUB_ENV"}, commandFile{env: "GITHUB_OUTPUT"}, commandFile{env: "GITHUB_STATE"}
	if s.in.exportEnv {
		env.pairs = credentialEnv(sessions[0], s.in.plan.Region)
	}
	if s.in.profiles() {
		if err := s.writeProfiles(sessions); err != nil {
			return err
		}
		env.pairs = append(env.pairs, s.profileEnv(sessions)...)
		state.pairs = []pair{{folderState, s.files.folder.Name}}
	}
	output.pairs = s.outputs(sessions)
	if s.out.err != nil { // the masks may not have arrived
		return fmt.Errorf("writing the log: %w", s.out.err)
	}
	if err := writeFiles(s.getenv, output, state, env); err != nil {
		return err
	}
	s.exported(env.pairs, sessions)
	if err := appendSummary(s.getenv, s.summary(sessions)); err != nil {
		s.log.warning("the job summary was not written: " + err.Error())
	}
	return nil
}

// exported logs what later steps have, and for how long.
func (s *step) exported(env []pair, sessions []hop.Session) {
	if s.in.several {
		for i, session := range sessions {
			s.log.stage("spoke", "%s, %s, as profile %s", session.ARN, tagCount(session.Tags), s.in.destinations[i].profile)
		}
	}
	var set []string
	for _, p := range env {
		if p.value != "" {
			set = append(set, p.name)
		}
	}
	if len(set) == 0 {
		set = []string{"outputs only"}
	}
	s.log.stage("export", "%s", strings.Join(set, ", "))
	if s.in.autoRefresh {
		s.log.stage("renews", "%s", s.renews())
	}
	expires := earliest(sessions)
	s.log.stage("expires", "%s, in %s; the hop took %s", expires.Format(time.RFC3339), remaining(time.Until(expires)), elapsed(time.Since(s.start)))
}

// earliest returns when the first of the sessions expires.
func earliest(sessions []hop.Session) time.Time {
	first := sessions[0].Credentials.Expires
	for _, session := range sessions {
		if session.Credentials.Expires.Before(first) {
			first = session.Credentials.Expires
		}
	}
	return first
}

// profileVariables name a profile. They are not blanked: for botocore, and so for the AWS CLI, an empty one is a profile
// with an empty name ("The config profile () could not be found"), with keys and without.
var profileVariables = []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}

// credentialEnv returns the variables that AWS's SDKs and tools read.
func credentialEnv(s hop.Session, region string) []pair {
	return []pair{
		{"AWS_ACCESS_KEY_ID", s.Credentials.AccessKeyID.Reveal()},
		{"AWS_SECRET_ACCESS_KEY", s.Credentials.SecretAccessKey.Reveal()},
		{"AWS_SESSION_TOKEN", s.Credentials.SessionToken.Reveal()},
		{"AWS_REGION", region},
		{"AWS_DEFAULT_REGION", region},
		{"AWS_CREDENTIAL_EXPIRATION", s.Credentials.Expires.Format(time.RFC3339)},
	}
}

// blankCredentials returns what unset-current-credentials blanks: the runner cannot unset a variable, and to AWS's SDKs
// an empty one is unset. For the regions that is not so in botocore, which matters where nothing sets them again:
// several spokes have theirs in their profiles.
func blankCredentials(several bool) []pair {
	pairs := credentialEnv(hop.Session{}, "")
	for i := range pairs {
		pairs[i].value = ""
	}
	if several {
		pairs = slices.DeleteFunc(pairs, func(p pair) bool { return p.name == "AWS_REGION" || p.name == "AWS_DEFAULT_REGION" })
	}
	return pairs
}

// outputs returns the step's outputs. With several spokes, those of a single one are left out, and the expiration is the
// earliest.
func (s *step) outputs(sessions []hop.Session) []pair {
	one := sessions[0]
	var pairs []pair
	if !s.in.several {
		pairs = append(pairs, pair{"aws-account-id", one.Role.AccountID}, pair{"authenticated-arn", one.ARN})
	}
	pairs = append(pairs,
		pair{"aws-expiration", earliest(sessions).Format(time.RFC3339)},
		pair{"oidc-subject", plain.Visible(s.claims.Subject)})
	if s.in.exportOutputs {
		pairs = append(pairs,
			pair{"aws-access-key-id", one.Credentials.AccessKeyID.Reveal()},
			pair{"aws-secret-access-key", one.Credentials.SecretAccessKey.Reveal()},
			pair{"aws-session-token", one.Credentials.SessionToken.Reveal()})
	}
	return pairs
}
