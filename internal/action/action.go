// Package action is the edge towards GitHub: it reads a step's inputs, walks the hop, and writes the runner's command
// files, the log and the job summary. The walk itself is hop's; explaining a failure is diagnose's.
package action

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/sethvargo/go-githubactions"

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
