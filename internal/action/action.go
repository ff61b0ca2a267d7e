// Package action is the edge towards GitHub: it reads a step's inputs, walks the hop, and writes the runner's command
// files, the log and the job summary. The walk itself is hop's; explaining a failure is diagnose's.
package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/transport"
)

// Options are what a step needs besides its environment.
type Options struct {
	Version  string // for the first line of the log
	HostTemp string // the runner's temp directory as the host sees it; needed for profiles only
	Program  string // path of this program, which auto-refresh leaves for later steps
}

// Run runs the step with the environment that getenv reads and returns its exit status: 0, or 1 when the hop failed,
// with one annotation that explains it. Everything goes to stdout, masks included: the runner reads stderr separately,
// and a mask on one stream comes too late for the other.
func Run(ctx context.Context, stdout io.Writer, getenv func(string) string, o Options) int {
	out := &stream{to: stdout}
	log := log{githubactions.New(githubactions.WithWriter(out), githubactions.WithGetenv(getenv))}
	in, problems := readInputs(log.GetInput, getenv)
	maskInputs(log, in)
	problems = append(problems, checkRunner(getenv, len(problems) == 0 && in.profiles())...)
	if in.unsetCurrent {
		// Before anything can fail, an invalid input included: its purpose is that nothing stale is left then.
		if err := writeFiles(getenv, commandFile{"GITHUB_ENV", blankCredentials(in.several)}); err != nil {
			problems = append(problems, "unset-current-credentials: "+err.Error())
		}
	}
	timeout := in.plan.Timeout()
	expired := fmt.Errorf("the step timed out after %d s (action-timeout-s): %w", in.plan.TimeoutSeconds, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, expired)
	defer cancel()
	s := step{in: in, options: o, getenv: getenv, out: out, log: log, start: time.Now()}
	if len(problems) == 0 {
		problems = s.prepare(ctx)
	}
	if len(problems) > 0 {
		s.disable()
		log.failure(problems)
		log.line("No request was sent to GitHub or AWS, and nothing was exported.")
		return 1
	}

	if err := s.hop(ctx); err != nil {
		s.discard()
		s.disable()
		s.explain(err)
		return 1
	}
	return 0
}

// step is one run of the action.
type step struct {
	in      inputs
	options Options
	getenv  func(string) string
	out     *stream
	log     log
	start   time.Time
	claims  idtoken.Claims // of the token; empty until it is requested
	files   files          // for profiles
	hubs    int            // hub sessions so far
	covered int            // spokes that they are for
	assumed int            // spokes so far
}

func (s *step) hop(ctx context.Context) error {
	s.log.line("hubspoke-chain %s", s.options.Version)
	s.notices()
	if s.in.unsetCurrent {
		s.log.stage("unset", "the AWS credentials and the region that earlier steps exported are blank now")
	}
	hooks := hop.Hooks{
		Token:    s.token,
		Mask:     s.log.AddMask,
		Export:   s.export,
		Reached:  s.reached,
		Retrying: func(err *hop.Error, attempt int, wait time.Duration) { s.retrying(err, attempt, wait) },
		Dropped:  s.dropped,
	}
	if !s.in.skipTagging {
		hooks.Tags = s.tags
	}
	return hop.Run(ctx, s.in.plan, s.in.network, hooks)
}

// token requests the ID token and keeps its claims, for the tags, the log and the explanation of a failure.
func (s *step) token(ctx context.Context, audience string) (string, error) {
	token, err := idtoken.New(s.getenv, s.in.network, s.in.plan.MaxAttempts, s.retrying).Request(ctx, audience)
	if err != nil {
		return "", err
	}
	s.claims, err = idtoken.ParseClaims(token)
	return token, err
}

// tags returns the session tags, once the token has been requested.
func (s *step) tags() []hop.Tag {
	return SessionTags(s.claims.Get, s.getenv, s.in.plan.Tags, s.in.plan.TransitiveTagKeys)
}

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

// explain reports the failure: its causes in the one annotation, the detail in the log, and both with what to paste in
// the summary. When several spokes failed for the same reasons, those are reported once.
func (s *step) explain(err error) {
	failures := []error{err}
	var several hop.Errors
	if errors.As(err, &several) {
		failures = several.Unwrap()
	}
	if s.in.several && s.assumed > 0 {
		s.log.stage("spokes", "%d of %d were assumed; none is exported", s.assumed, len(s.in.plan.Spokes))
	}
	var distinct []diagnose.Explanation
	var causes []string
	for _, failure := range failures {
		x := diagnose.Explain(failure, s.planAsSent(), s.claims, s.job())
		causes = append(causes, x.Cause)
		if !slices.ContainsFunc(distinct, func(d diagnose.Explanation) bool { return sameReasons(d, x) }) {
			distinct = append(distinct, x)
		}
	}
	s.log.failure(causes)
	for _, x := range distinct {
		if len(distinct) > 1 {
			s.log.line("")
			s.log.line("%s", x.Cause)
		}
		s.log.explanation(x)
	}
	if err := appendSummary(s.getenv, failureSummary(causes, distinct)); err != nil {
		s.log.warning("the job summary was not written: " + err.Error())
	}
}

// sameReasons reports whether two explanations have the same causes, in whatever account.
func sameReasons(a, b diagnose.Explanation) bool {
	return a.Certain == b.Certain && slices.EqualFunc(a.Causes, b.Causes, func(a, b diagnose.Cause) bool { return a.Title == b.Title })
}

// job is what the environment says about the job, for the explanation of a failure.
func (s *step) job() diagnose.Job {
	return diagnose.Job{
		Event: s.getenv("GITHUB_EVENT_NAME"), Actor: s.getenv("GITHUB_ACTOR"), Repository: s.getenv("GITHUB_REPOSITORY"),
		RunID: s.getenv("GITHUB_RUN_ID"), Head: head(s.getenv), Proxy: s.in.network.ProxyHost(),
	}
}

// planAsSent returns the plan with the tags that are sent, which depend on the token.
func (s *step) planAsSent() hop.Plan {
	plan := s.in.plan
	if !s.in.skipTagging {
		plan.Tags = s.tags()
	}
	return plan
}

// maxEvent is how much of the event's payload is read, in bytes. GitHub's webhooks end at 25 MB, and those
// of pull requests have some 30 KiB.
const maxEvent = 1 << 20

// head returns the repository that the run's pull request comes from, OWNER/REPO; empty when the event has none.
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

// checkRunner checks what the runner provides before any request is sent. The state of a step is needed for profiles
// only, whose files the post step removes.
func checkRunner(getenv func(string) string, profiles bool) []string {
	var problems []string
	needed := []string{"GITHUB_ENV", "GITHUB_OUTPUT"}
	if profiles {
		needed = append(needed, "GITHUB_STATE")
	}
	for _, env := range needed {
		file, _, err := openCommandFile(getenv, env)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		file.Close()
	}
	const name = "ACTIONS_ID_TOKEN_REQUEST_URL"
	if value := getenv(name); value != "" {
		if u, err := url.Parse(value); err != nil || u.Host == "" || !transport.Confidential(u) {
			problems = append(problems, fmt.Sprintf("%s: %s is not an https URL (http is for loopback only)", name, plain.Quote(value)))
		}
	}
	return problems
}

// maskInputs masks what is secret in the inputs before the first line that could show it.
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
	if s.in.plan.DurationSeconds < s.in.askedDuration {
		s.log.notice(fmt.Sprintf("role-duration-seconds: %d is capped at %d, AWS's limit for role chaining; to continue after the hour, set auto-refresh or use this action again",
			s.in.askedDuration, s.in.plan.DurationSeconds))
	}
	if s.in.skippedTags {
		s.log.notice("custom-tags and transitive-tag-keys are not sent because role-skip-session-tagging is true")
	}
	for _, name := range profileVariables {
		if s.in.exportEnv && !s.in.profiles() && s.getenv(name) != "" {
			s.log.warning(name + " is set: the AWS SDK for JavaScript prefers that profile to the credentials exported here. A step cannot unset a variable, and the AWS CLI fails with a blank one: remove it where it is set")
		}
	}
	s.profileNotices()
}

func (s *step) reached(stage hop.Stage, session hop.Session, took time.Duration) {
	switch stage {
	case hop.StageToken:
		s.log.stage("token", "%s (%s subject) for %s, in %s", shorten(s.claims.Subject), s.claims.SubjectForm(), shorten(strings.Join(s.claims.Audience, ", ")), elapsed(took))
	case hop.StageHub:
		s.hubs++
		s.covered += session.Spokes
		if s.covered < len(s.in.plan.Spokes) { // one line for all sessions
			return
		}
		s.log.stage("hub", "%s, %d s and for %s, in %s", session.Role, int(hop.HubDuration.Seconds()), s.narrowed(), elapsed(took))
	case hop.StageSpoke:
		s.assumed++
		if s.in.several { // logged in their order, once all have been assumed
			return
		}
		s.log.stage("spoke", "%s, %s, in %s", session.ARN, tagCount(session.Tags), elapsed(took))
	}
}

func (s *step) retrying(err error, attempt int, wait time.Duration) {
	s.log.stage("retry", "%s; retrying in %s (attempt %d of %d)", shorten(err.Error()), elapsed(wait), attempt+1, s.in.plan.MaxAttempts)
}

func (s *step) dropped(spoke hop.ARN, keys []string) {
	s.log.notice(fmt.Sprintf("the session tags are too large for AWS (PackedPolicyTooLarge): assuming %s without %s", spoke, strings.Join(keys, ", ")))
}

// narrowed describes what the hub's sessions are for.
func (s *step) narrowed() string {
	n, sessions := len(s.in.plan.Spokes), ""
	if s.hubs > 1 {
		sessions = fmt.Sprintf(", in %d sessions", s.hubs)
	}
	if n == 1 {
		return "this spoke only"
	}
	return fmt.Sprintf("these %d spokes only%s", n, sessions)
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
