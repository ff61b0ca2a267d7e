// Package action is the edge towards GitHub: it reads a step's inputs, walks the hop, writes the
// runner's command files, the log and the job summary. The walk itself is hop's; what a failure
// means is diagnose's.
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
	"golang.org/x/net/http/httpproxy"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
	"github.com/org/hubspoke-chain/internal/plain"
)

// Options are what a step needs beside its environment.
type Options struct {
	Version  string // for the first line of the log
	HostTemp string // the runner's temp directory as the host sees it; needed for profiles only
	Program  string // path of this program, which auto-refresh leaves for later steps
}

// Run runs the step with the environment that getenv reads and returns its exit status: 0, or 1
// when the hop failed and its one annotation says why. Everything goes to stdout, masks included:
// the runner reads stderr apart from it, and a mask on one stream comes too late for the other.
func Run(ctx context.Context, stdout io.Writer, getenv func(string) string, o Options) int {
	out := &stream{to: stdout}
	log := log{githubactions.New(githubactions.WithWriter(out), githubactions.WithGetenv(getenv))}
	in, problems := readInputs(log.GetInput, getenv)
	maskInputs(log, in)
	problems = append(problems, checkRunner(getenv, len(problems) == 0 && in.profiles())...)
	if in.unsetCurrent {
		// Before anything can fail, a wrong input too: what it is for is that nothing stale is left then.
		if err := writeFiles(getenv, commandFile{"GITHUB_ENV", blankCredentials(in.several)}); err != nil {
			problems = append(problems, "unset-current-credentials: "+err.Error())
		}
	}
	expired := fmt.Errorf("the step's %d s are up (action-timeout-s): %w", int(in.timeout.Seconds()), context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, in.timeout, expired)
	defer cancel()
	s := step{in: in, options: o, getenv: getenv, out: out, log: log, start: time.Now()}
	if len(problems) == 0 {
		problems = s.prepare(ctx)
	}
	if len(problems) > 0 {
		s.disable()
		log.failure(problems)
		log.line("Nothing was asked of GitHub or AWS, and nothing was exported.")
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
	claims  idtoken.Claims // of the token; empty until it is minted
	files   files          // for profiles
	hubs    int            // hub sessions so far
	covered int            // spokes that they are for
	assumed int            // spokes so far
}

func (s *step) hop(ctx context.Context) error {
	s.log.line("hubspoke-chain %s", s.options.Version)
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
		Roots:       s.in.roots,
		MaxAttempts: s.in.attempts,
		Spokes:      s.hopSpokes(),
		Reached:     s.reached,
		Retrying:    func(err *hop.Error, attempt int, wait time.Duration) { s.retrying(err, attempt, wait) },
		Dropped:     s.dropped,
	}
	if !s.in.skipTagging {
		h.Tags = s.tags
	}
	return hop.Run(ctx, h)
}

// token mints the ID token and keeps its claims, for the tags and for what is told.
func (s *step) token(ctx context.Context, audience string) (string, error) {
	minter := idtoken.New(s.getenv, s.proxy(), s.in.roots, s.in.attempts, s.retrying)
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

// export hands the sessions to the later steps, all of it in one write for each file.
func (s *step) export(sessions []hop.Session) error {
	env, output, state := commandFile{env: "GITHUB_ENV"}, commandFile{env: "GITHUB_OUTPUT"}, commandFile{env: "GITHUB_STATE"}
	if s.in.exportEnv {
		env.pairs = credentialEnv(sessions[0], s.in.region)
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

// exported tells what later steps have, and for how long.
func (s *step) exported(env []pair, sessions []hop.Session) {
	if s.in.several {
		for i, session := range sessions {
			s.log.stage("spoke", "%s, %s, as profile %s", session.ARN, tagCount(session.Tags), s.in.spokes[i].profile)
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

// earliest is when the first of the sessions expires.
func earliest(sessions []hop.Session) time.Time {
	first := sessions[0].Credentials.Expires
	for _, session := range sessions {
		if session.Credentials.Expires.Before(first) {
			first = session.Credentials.Expires
		}
	}
	return first
}

// explain reports the failure: its causes in the one annotation, the detail in the log, and both with what
// to paste in the summary. When several spokes failed for the same reasons, those are told once.
func (s *step) explain(err error) {
	failures := []error{err}
	var several hop.Errors
	if errors.As(err, &several) {
		failures = several.Unwrap()
	}
	if s.in.several && s.assumed > 0 {
		s.log.stage("spokes", "%d of %d were assumed; none is exported", s.assumed, len(s.in.spokes))
	}
	var told []diagnose.Explanation
	var causes []string
	for _, failure := range failures {
		x := diagnose.Explain(failure, s.run(failure))
		causes = append(causes, x.Cause)
		if !slices.ContainsFunc(told, func(t diagnose.Explanation) bool { return sameReasons(t, x) }) {
			told = append(told, x)
		}
	}
	s.log.failure(causes)
	for _, x := range told {
		if len(told) > 1 {
			s.log.line("")
			s.log.line("%s", x.Cause)
		}
		s.log.explanation(x)
	}
	if err := appendSummary(s.getenv, failureSummary(causes, told)); err != nil {
		s.log.warning("the job summary was not written: " + err.Error())
	}
}

// sameReasons tells whether two explanations are of the same mistakes, in whatever account.
func sameReasons(a, b diagnose.Explanation) bool {
	return a.Certain == b.Certain && slices.EqualFunc(a.Causes, b.Causes, func(a, b diagnose.Cause) bool { return a.Title == b.Title })
}

// run is what is known of this run for the explanation of a failure.
func (s *step) run(failure error) diagnose.Run {
	spoke := s.in.spokes[0].role
	var failed *hop.Error
	if errors.As(failure, &failed) {
		for _, other := range s.in.spokes {
			if other.role.String() == failed.Role {
				spoke = other.role
			}
		}
	}
	run := diagnose.Run{
		Hub: s.in.hub, Spoke: spoke, Spokes: len(s.in.spokes), Region: s.in.region, Audience: s.in.audience, Claims: s.claims,
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
	return run
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

// checkRunner looks at what the runner provides before anything is asked of anyone. The state of a step is
// needed for profiles alone, whose files the post stage takes away.
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
		s.log.notice(fmt.Sprintf("role-duration-seconds: %d is capped at %d, AWS's limit for a session assumed from another one; to go on past the hour, set auto-refresh or use this action again",
			int(s.in.askedDuration.Seconds()), int(s.in.duration.Seconds())))
	}
	if s.in.skipTagging && len(s.in.customTags)+len(s.in.transitiveTagKeys) > 0 {
		s.log.notice("custom-tags and transitive-tag-keys are not sent because role-skip-session-tagging is true")
	}
	for _, name := range profileVariables {
		if s.in.exportEnv && !s.in.profiles() && s.getenv(name) != "" {
			s.log.warning(name + " is set: AWS's SDK for JavaScript prefers that profile to the credentials exported here. A step cannot unset a variable, and a blank one stops the AWS CLI, so take it out where it is set")
		}
	}
	s.profileNotices()
}

func (s *step) reached(stage hop.Stage, session hop.Session, took time.Duration) {
	switch stage {
	case hop.StageToken:
		s.log.stage("token", "%s (%s subject) for %s, in %s", clip(s.claims.Subject), s.claims.Form(), clip(strings.Join(s.claims.Audience, ", ")), elapsed(took))
	case hop.StageHub:
		s.hubs++
		s.covered += session.Spokes
		if s.covered < len(s.in.spokes) { // one line for all sessions
			return
		}
		s.log.stage("hub", "%s, %d s and for %s, in %s", session.Role, int(hop.HubDuration.Seconds()), s.narrowed(), elapsed(took))
	case hop.StageSpoke:
		s.assumed++
		if s.in.several { // told in their order, once all are there
			return
		}
		s.log.stage("spoke", "%s, %s, in %s", session.ARN, tagCount(session.Tags), elapsed(took))
	}
}

func (s *step) retrying(err error, attempt int, wait time.Duration) {
	s.log.stage("retry", "%s; attempt %d of %d follows in %s", clip(err.Error()), attempt+1, s.in.attempts, elapsed(wait))
}

func (s *step) dropped(spoke hop.Spoke, keys []string) {
	s.log.notice(fmt.Sprintf("the session tags are too large for AWS (PackedPolicyTooLarge); %s is assumed without %s", spoke.Role, strings.Join(keys, ", ")))
}

// hopSpokes are the spokes as the hop takes them.
func (s *step) hopSpokes() []hop.Spoke {
	var spokes []hop.Spoke
	for _, spoke := range s.in.spokes {
		spokes = append(spokes, hop.Spoke{
			Role:              spoke.role,
			Duration:          s.in.duration,
			TransitiveTagKeys: s.in.transitiveTagKeys,
			SourceIdentity:    s.in.sourceIdentity,
			ExternalID:        s.in.externalID,
			Policy:            s.in.sessionPolicy,
			PolicyARNs:        s.in.policyARNs,
		})
	}
	return spokes
}

// narrowed describes what the hub's sessions are for.
func (s *step) narrowed() string {
	n, sessions := len(s.in.spokes), ""
	if s.hubs > 1 {
		sessions = fmt.Sprintf(", in %d sessions", s.hubs)
	}
	if n == 1 {
		return "this spoke only"
	}
	return fmt.Sprintf("these %d spokes only%s", n, sessions)
}

// profileVariables name a profile. They are not blanked: to botocore, and so to the AWS CLI, an empty one is
// a profile whose name is empty ("The config profile () could not be found"), with keys and without.
var profileVariables = []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}

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
// and AWS's SDKs take an empty one as unset. Of the regions botocore does not, which matters where nothing fills
// them again: several spokes have theirs in their profiles.
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

// outputs are the step's. Of several spokes the single ones are left out, but for the earliest expiry.
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
