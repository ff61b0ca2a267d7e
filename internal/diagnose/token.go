package diagnose

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/org/hubspoke-chain/internal/idtoken"
	"github.com/org/hubspoke-chain/internal/transport"
)

// github is the service that issues tokens.
const github = "GitHub's token endpoint"

// permissions is what a job must have to get an ID token.
const permissions = `permissions:
  id-token: write
  contents: read # naming one permission drops all others, and actions/checkout needs this one`

// token explains a token that GitHub did not issue.
func (e explainer) token() Explanation {
	var failed *idtoken.Error
	switch {
	case errors.Is(e.failure, context.DeadlineExceeded) && !errors.As(e.failure, &failed):
		return likely(Cause{
			Title:    "GitHub's token endpoint was too slow",
			Evidence: []string{e.timeLimit(), "a token usually takes less than a second"},
			Fix:      "run the job again; if it stays slow, check https://www.githubstatus.com and the network between the runner and GitHub",
		})
	case !errors.As(e.failure, &failed):
		return Explanation{}
	case failed.MissingEnv != "":
		return e.noPermission(failed)
	case failed.NotInJob:
		return certain(Cause{
			Title:    "GitHub reports that the job is not in progress",
			Evidence: []string{attempts(failed), "a job that has just started may not be marked as in progress yet, and one that has ended gets no token"},
			Fix:      "run the job again; a higher retry-max-attempts waits longer",
		})
	case failed.Status == http.StatusUnauthorized:
		return likely(Cause{
			Title:    "GitHub does not accept the runner's request token",
			Evidence: []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN is valid only while its job is running"},
			Fix:      "run the job again; nothing in the workflow may set ACTIONS_ID_TOKEN_REQUEST_TOKEN or ACTIONS_ID_TOKEN_REQUEST_URL",
		})
	case failed.Status == http.StatusTooManyRequests:
		return likely(Cause{
			Title:    "GitHub throttles requests for tokens",
			Evidence: []string{attempts(failed)},
			Fix:      "start fewer jobs at the same time, or raise retry-max-attempts and action-timeout-s",
		})
	case failed.Status >= 500:
		return likely(Cause{
			Title:    "GitHub's token service has an outage",
			Evidence: []string{attempts(failed), fmt.Sprintf("HTTP %d is an error of the server, or of a proxy in front of it", failed.Status)},
			Fix:      "check https://www.githubstatus.com and run the job again; a higher retry-max-attempts waits longer",
		})
	case failed.Reason == transport.WrongResponse, failed.Reason == transport.TooLarge, failed.Reason == "" && failed.Status != 0:
		return e.notGitHub(failed)
	}
	return e.unreachable(github, failed.Reason)
}

func attempts(failed *idtoken.Error) string {
	if failed.Attempts == 1 {
		return "GitHub was called once"
	}
	return fmt.Sprintf("GitHub was called %d times", failed.Attempts)
}

// noPermission explains a job in which the runner has set no URL to request a token from.
func (e explainer) noPermission(failed *idtoken.Error) Explanation {
	fromFork := e.job.Head != "" && !strings.EqualFold(e.job.Head, e.job.Repository)
	maybeFork := e.job.Head == "" && strings.HasPrefix(e.job.Event, "pull_request")
	fork := Cause{
		Title:    "the run is for a pull request from a fork, and GitHub issues no ID token to such runs",
		Evidence: []string{"the run was started by " + quoted(e.job.Event), "only a private repository can grant them more than read permissions"},
		Fix:      "skip this step in pull requests from forks, and deploy once the change is merged",
		Snippet: Snippet{"yaml", "the job, in the workflow",
			"if: github.event.pull_request == null || github.event.pull_request.head.repo.full_name == github.repository"},
	}
	if fromFork {
		fork.Evidence[0] = "the pull request comes from " + quoted(e.job.Head)
	}
	dependabot := e.job.Actor == "dependabot[bot]"
	x := Explanation{Causes: rank(
		weighed{60, Cause{
			Title:    "the job does not have the permission id-token: write",
			Evidence: []string{printable(failed.MissingEnv, maxValue) + " is not set: the runner sets it only for a job that may request a token"},
			Fix:      "add it to the job, or to the whole workflow; the log of the job's first step, Set up job, lists its permissions",
			Snippet:  Snippet{"yaml", "the job, in the workflow", permissions},
		}},
		weighed{when(dependabot, 80, 0), Cause{
			Title:    "Dependabot started the run, and by default GitHub gives such runs read-only permissions",
			Evidence: []string{"the run's actor is " + quoted(e.job.Actor)},
			Fix:      "skip this job in Dependabot's runs: its changes are not reviewed yet",
			Snippet:  Snippet{"yaml", "the job, in the workflow", "if: github.actor != 'dependabot[bot]'"},
		}},
		weighed{when(fromFork, 90, when(maybeFork && !dependabot, 70, 0)), fork},
		weighed{40, Cause{
			Title:   "the job is in a reusable workflow, and the job that calls it does not grant the permission",
			Fix:     "a reusable workflow gets no more than its caller grants: grant the permission to the calling job too",
			Snippet: Snippet{"yaml", "the calling job, in the caller's workflow", permissions},
		}},
	)}
	if e.job.Repository != "" && e.job.RunID != "" && (maybeFork || dependabot) {
		x.Decide = []string{"gh api " + shell("repos/"+e.job.Repository+"/actions/runs/"+e.job.RunID) + " --jq '.event, .actor.login, .head_repository.full_name'"}
	}
	return x
}

// notGitHub explains a response that GitHub's token endpoint does not send.
func (e explainer) notGitHub(failed *idtoken.Error) Explanation {
	response := fmt.Sprintf("it returned HTTP %d and no token", failed.Status)
	if failed.Status == 0 {
		response = "its response is not HTTP"
	}
	return Explanation{Causes: rank(
		weighed{when(e.job.Proxy != "", 80, 60), Cause{
			Title:    "something between the runner and GitHub responded instead of it",
			Evidence: append([]string{response}, e.proxied()...),
			Fix:      "let the runner reach GitHub's token endpoint: https://*.actions.githubusercontent.com, or the GitHub Enterprise Server",
		}},
		weighed{50, Cause{
			Title: "ACTIONS_ID_TOKEN_REQUEST_URL is not what the runner set",
			Fix:   "nothing in the workflow may set ACTIONS_ID_TOKEN_REQUEST_URL or ACTIONS_ID_TOKEN_REQUEST_TOKEN",
		}},
	)}
}
