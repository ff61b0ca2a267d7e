package action

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/org/hubspoke-chain/internal/diagnose"
	"github.com/org/hubspoke-chain/internal/hop"
)

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
