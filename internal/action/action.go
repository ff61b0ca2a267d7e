// Package action is the edge towards GitHub: it reads a step's inputs, walks the hop, writes the
// runner's command files, the log and the job summary. The walk itself is hop's; what a failure
// means is diagnose's.
package action

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sethvargo/go-githubactions"
	"golang.org/x/net/http/httpproxy"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
	"github.com/org/hubspoke-chain/internal/plain"
)

// Run runs the step with the environment that getenv reads and returns its exit status: 0, or 1
// when the hop failed and its one annotation says why. Everything goes to stdout, masks included:
// the runner reads stderr apart from it, and a mask on one stream comes too late for the other.
func Run(ctx context.Context, stdout io.Writer, getenv func(string) string, version string) int {
	out := &stream{to: stdout}
	log := log{githubactions.New(githubactions.WithWriter(out), githubactions.WithGetenv(getenv))}
	in, problems := readInputs(log.GetInput, getenv)
	maskInputs(log, in)
	problems = append(problems, checkRunner(getenv)...)
	if in.unsetCurrent {
		// Before anything can fail, a wrong input too: what it is for is that nothing stale is left then.
		if err := writeFiles(getenv, commandFile{"GITHUB_ENV", blankCredentials()}); err != nil {
			problems = append(problems, "unset-current-credentials: "+err.Error())
		}
	}
	if len(problems) > 0 {
		log.failure(problems)
		log.line("Nothing was asked of GitHub or AWS, and nothing was exported.")
		return 1
	}

	expired := fmt.Errorf("the step's %d s are up (action-timeout-s): %w", int(in.timeout.Seconds()), context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, in.timeout, expired)
	defer cancel()

	s := step{in: in, getenv: getenv, out: out, log: log, start: time.Now()}
	if err := s.hop(ctx, version); err != nil {
		s.explain(err)
		return 1
	}
	return 0
}

// step is one run of the action.
type step struct {
	in     inputs
	getenv func(string) string
	out    *stream
	log    log
	start  time.Time
	claims idtoken.Claims // of the token; empty until it is minted
}

func (s *step) hop(ctx context.Context, version string) error {
	s.log.line("hubspoke-chain %s", version)
	s.notices()
	if s.in.unsetCurrent {
		s.log.stage("unset", "the AWS credentials and the region that earlier steps exported are blank from now on")
	}
	h := hop.Hop{
		Token:       s.token,
		Mask:        s.log.AddMask,
		Export:      s.export,
		Audience:    s.in.audience,
		Hub:         s.in.hub,
		SessionName: s.in.sessionName,
		Region:      s.in.region,
		Endpoint:    s.in.endpoint,
		Proxy:       s.proxy(),
		MaxAttempts: s.in.attempts,
		Spokes: []hop.Spoke{{
			Role:              s.in.spoke,
			Duration:          s.in.duration,
			TransitiveTagKeys: s.in.transitiveTagKeys,
			SourceIdentity:    s.in.sourceIdentity,
			ExternalID:        s.in.externalID,
			Policy:            s.in.sessionPolicy,
			PolicyARNs:        s.in.policyARNs,
		}},
		Reached:  s.reached,
		Retrying: func(err *hop.Error, attempt int, wait time.Duration) { s.retrying(err, attempt, wait) },
		Dropped:  s.dropped,
	}
	if !s.in.skipTagging {
		h.Tags = s.tags
	}
	return hop.Run(ctx, h)
}

// token mints the ID token and keeps its claims, for the tags and for what is told.
func (s *step) token(ctx context.Context, audience string) (string, error) {
	minter := idtoken.New(s.getenv, s.proxy(), s.in.attempts, s.retrying)
	token, err := minter.Mint(ctx, audience)
	if err != nil {
		return "", err
	}
	s.claims, err = idtoken.ParseClaims(token)
	return token, err
}

// tags are the session tags of the step, once the token is minted.
func (s *step) tags() []hop.Tag {
	return SessionTags(s.claims.Get, s.getenv, s.in.customTags, s.in.transitiveTagKeys)
}

func (s *step) proxy() func(*url.URL) (*url.URL, error) {
	if s.in.proxy == nil {
		return func(*url.URL) (*url.URL, error) { return nil, nil }
	}
	config := httpproxy.Config{HTTPSProxy: s.in.proxy.String(), NoProxy: s.in.noProxy}
	return config.ProxyFunc()
}

// export hands the session to the later steps, all of it in one write for each file.
func (s *step) export(sessions []hop.Session) error {
	spoke := sessions[0]
	env := commandFile{env: "GITHUB_ENV"}
	if s.in.exportEnv {
		env.pairs = credentialEnv(spoke, s.in.region)
	}
	output := commandFile{"GITHUB_OUTPUT", outputs(spoke, s.claims.Subject, s.in.exportOutputs)}
	if s.out.err != nil { // the masks may not have arrived
		return fmt.Errorf("writing the log: %w", s.out.err)
	}
	if err := writeFiles(s.getenv, output, env); err != nil {
		return err
	}
	var names []string
	for _, p := range env.pairs {
		names = append(names, p.name)
	}
	if len(names) == 0 {
		names = []string{"outputs only"}
	}
	s.log.stage("export", "%s", strings.Join(names, ", "))
	s.log.stage("expires", "%s, in %s; the hop took %s", spoke.Credentials.Expires.Format(time.RFC3339),
		minutes(time.Until(spoke.Credentials.Expires)), elapsed(time.Since(s.start)))
	if err := appendSummary(s.getenv, s.summary(spoke)); err != nil {
		s.log.warning("the job summary was not written: " + err.Error())
	}
	return nil
}

// explain reports the failure: its cause in the one annotation, the detail in the log, and both with what
// to paste in the summary.
func (s *step) explain(err error) {
	run := diagnose.Run{
		Hub: s.in.hub, Spoke: s.in.spoke, Region: s.in.region, Audience: s.in.audience, Claims: s.claims,
		SessionName: s.in.sessionName, Duration: s.in.duration, TransitiveTagKeys: s.in.transitiveTagKeys,
		SourceIdentity: s.in.sourceIdentity, ExternalID: s.in.externalID != "",
		InlinePolicy: s.in.sessionPolicy != "", ManagedPolicies: len(s.in.policyARNs) > 0,
		Attempts: s.in.attempts, Timeout: s.in.timeout,
		Event: s.getenv("GITHUB_EVENT_NAME"), Actor: s.getenv("GITHUB_ACTOR"),
		Repository: s.getenv("GITHUB_REPOSITORY"), ID: s.getenv("GITHUB_RUN_ID"), Head: head(s.getenv),
	}
	if s.in.endpoint != nil {
		run.Endpoint = s.in.endpoint.Host
	}
	if s.in.proxy != nil {
		run.Proxy = s.in.proxy.Host // without the password
	}
	if !s.in.skipTagging {
		run.Tags = s.tags()
	}
	x := diagnose.Explain(err, run)
	s.log.failure([]string{x.Cause})
	s.log.explanation(x)
	if err := appendSummary(s.getenv, failureSummary(x)); err != nil {
		s.log.warning("the job summary was not written: " + err.Error())
	}
}

// maxEvent is how much of the event's payload is read, in bytes. GitHub's webhooks end at 25 MB, and those
// of pull requests have some 30 KiB.
const maxEvent = 1 << 20

// head is the repository that the run's pull request comes from, OWNER/REPO; empty when the event does not
// say.
func head(getenv func(string) string) string {
	file, err := os.Open(getenv("GITHUB_EVENT_PATH"))
	if err != nil {
		return ""
	}
	defer file.Close()
	var event struct {
		PullRequest struct {
			Head struct {
				Repo struct {
					FullName string `json:"full_name"`
				} `json:"repo"`
			} `json:"head"`
		} `json:"pull_request"`
	}
	if json.NewDecoder(io.LimitReader(file, maxEvent)).Decode(&event) != nil {
		return ""
	}
	return event.PullRequest.Head.Repo.FullName
}

// checkRunner looks at what the runner provides before anything is asked of anyone.
func checkRunner(getenv func(string) string) []string {
	var problems []string
	for _, env := range []string{"GITHUB_ENV", "GITHUB_OUTPUT"} {
		file, _, err := openCommandFile(getenv, env)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		file.Close()
	}
	const name = "ACTIONS_ID_TOKEN_REQUEST_URL"
	if value := getenv(name); value != "" {
		if u, err := url.Parse(value); err != nil || u.Host == "" || !hop.Confidential(u) {
			problems = append(problems, fmt.Sprintf("%s: %s is not an https URL (http is for loopback only)", name, quote(value)))
		}
	}
	return problems
}

// maskInputs masks what the inputs say is secret before the first line that could show it.
func maskInputs(log log, in inputs) {
	for _, password := range in.proxyPasswords {
		log.AddMask(password)
	}
	if !in.maskAccountID {
		return
	}
	for _, id := range in.accountIDs {
		log.AddMask(id)
	}
}

func (s *step) notices() {
	if s.in.duration < s.in.askedDuration {
		s.log.notice(fmt.Sprintf("role-duration-seconds: %d is capped at %d, AWS's limit for a session assumed from another one; to go on past the hour, use this action again",
			int(s.in.askedDuration.Seconds()), int(s.in.duration.Seconds())))
	}
	if s.in.skipTagging && len(s.in.customTags)+len(s.in.transitiveTagKeys) > 0 {
		s.log.notice("custom-tags and transitive-tag-keys are not sent because role-skip-session-tagging is true")
	}
	for _, name := range profileEnv {
		if s.in.exportEnv && s.getenv(name) != "" {
			s.log.warning(name + " is set: AWS's SDK for JavaScript prefers that profile to the credentials exported here. A step cannot unset a variable, and a blank one stops the AWS CLI, so take it out where it is set")
		}
	}
}

func (s *step) reached(stage hop.Stage, session hop.Session, took time.Duration) {
	switch stage {
	case hop.StageToken:
		s.log.stage("token", "%s (%s subject) for %s, in %s", clip(s.claims.Subject), s.claims.Form(), clip(strings.Join(s.claims.Audience, ", ")), elapsed(took))
	case hop.StageHub:
		s.log.stage("hub", "%s, %d s and for this spoke only, in %s", session.Role, int(hop.HubDuration.Seconds()), elapsed(took))
	case hop.StageSpoke:
		s.log.stage("spoke", "%s, %s, in %s", session.ARN, tagCount(session.Tags), elapsed(took))
	}
}

func (s *step) retrying(err error, attempt int, wait time.Duration) {
	s.log.stage("retry", "%s; attempt %d of %d follows in %s", clip(err.Error()), attempt+1, s.in.attempts, elapsed(wait))
}

func (s *step) dropped(spoke hop.Spoke, keys []string) {
	s.log.notice(fmt.Sprintf("the session tags are too large for AWS (PackedPolicyTooLarge); %s is assumed without %s", spoke.Role, strings.Join(keys, ", ")))
}

// profileEnv name a profile. They are not blanked: to botocore, and so to the AWS CLI, an empty one is
// a profile whose name is empty ("The config profile () could not be found"), with keys and without.
var profileEnv = []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}

// credentialEnv are the variables that AWS's SDKs and tools read.
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

// blankCredentials are what unset-current-credentials blanks: the runner cannot unset a variable,
// and AWS's SDKs take an empty one as unset.
func blankCredentials() []pair {
	pairs := credentialEnv(hop.Session{}, "")
	for i := range pairs {
		pairs[i].value = ""
	}
	return pairs
}

func outputs(s hop.Session, subject string, credentials bool) []pair {
	pairs := []pair{
		{"aws-account-id", s.Role.AccountID},
		{"authenticated-arn", s.ARN},
		{"aws-expiration", s.Credentials.Expires.Format(time.RFC3339)},
		{"oidc-subject", plain.Visible(subject)},
	}
	if credentials {
		pairs = append(pairs,
			pair{"aws-access-key-id", s.Credentials.AccessKeyID.Reveal()},
			pair{"aws-secret-access-key", s.Credentials.SecretAccessKey.Reveal()},
			pair{"aws-session-token", s.Credentials.SessionToken.Reveal()})
	}
	return pairs
}
