package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/org/hubspoke-chain/internal/idtoken"
)

// permissions is what a job must say to get an ID token.
const permissions = `permissions:
  id-token: write
  contents: read # naming one permission drops all others, and actions/checkout needs this one`

// token explains a token that GitHub did not give.
func (e explainer) token() Explanation {
	var minting *idtoken.Error
	switch {
	case errors.Is(e.failure, context.DeadlineExceeded) && !errors.As(e.failure, &minting):
		return likely(Cause{
			Title:    "GitHub's token endpoint was too slow",
			Evidence: []string{e.allowed(), "a token usually takes less than a second"},
			Fix:      "run the job again; if it stays slow, look at https://www.githubstatus.com and at what stands between the runner and GitHub",
		})
	case !errors.As(e.failure, &minting):
		return Explanation{}
	case minting.MissingEnv != "":
		return e.noPermission(minting)
	case minting.NotInJob:
		return certain(Cause{
			Title:    "GitHub does not hold the job to be running",
			Evidence: []string{asked(minting), "a job that has just started may not be marked as running yet, and one that is over gets no token any more"},
			Fix:      "run the job again; a higher retry-max-attempts waits longer",
		})
	case minting.Status == http.StatusUnauthorized:
		return likely(Cause{
			Title:    "GitHub does not take the runner's request token",
			Evidence: []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN is good only while the job that it was made for is running"},
			Fix:      "run the job again; nothing in the workflow may set ACTIONS_ID_TOKEN_REQUEST_TOKEN or ACTIONS_ID_TOKEN_REQUEST_URL",
		})
	case minting.Status == http.StatusTooManyRequests:
		return likely(Cause{
			Title:    "GitHub throttles requests for tokens",
			Evidence: []string{asked(minting)},
			Fix:      "start fewer jobs at the same moment, or raise retry-max-attempts and action-timeout-s",
		})
	case minting.Status >= 500:
		return likely(Cause{
			Title:    "GitHub's token service is in trouble",
			Evidence: []string{asked(minting), fmt.Sprintf("HTTP %d is an error of the server, or of a proxy in front of it", minting.Status)},
			Fix:      "see https://www.githubstatus.com and run the job again; a higher retry-max-attempts waits longer",
		})
	case minting.Status == 0:
		return e.unreachable("GitHub's token endpoint")
	}
	return e.notGitHub(minting)
}

func asked(minting *idtoken.Error) string {
	if minting.Attempts == 1 {
		return "GitHub was asked once"
	}
	return fmt.Sprintf("GitHub was asked %d times", minting.Attempts)
}

// noPermission explains a job in which the runner has set no address to ask for a token.
func (e explainer) noPermission(minting *idtoken.Error) Explanation {
	fromFork := e.Head != "" && !strings.EqualFold(e.Head, e.Repository)
	maybeFork := e.Head == "" && strings.HasPrefix(e.Event, "pull_request")
	fork := Cause{
		Title:    "the run is for a pull request from a fork, and GitHub gives such runs no ID token",
		Evidence: []string{"the run was started by " + quoted(e.Event), "only a private repository can be set to give more than read permissions to them"},
		Fix:      "leave this step out of pull requests from forks, and deploy once the change is merged",
		Snippet: Snippet{"yaml", "the job, in the workflow",
			"if: github.event.pull_request == null || github.event.pull_request.head.repo.full_name == github.repository"},
	}
	if fromFork {
		fork.Evidence[0] = "the pull request comes from " + quoted(e.Head)
	}
	dependabot := e.Actor == "dependabot[bot]"
	x := Explanation{Causes: rank(
		weighed{60, Cause{
			Title:    "the job does not have the permission id-token: write",
			Evidence: []string{printable(minting.MissingEnv, maxValue) + " is not set: the runner sets it only for a job that may ask for a token"},
			Fix:      "add it to the job, or to the whole workflow; the log of the job's first step, Set up job, lists what it has",
			Snippet:  Snippet{"yaml", "the job, in the workflow", permissions},
		}},
		weighed{when(dependabot, 80, 0), Cause{
			Title:    "Dependabot started the run, and by default GitHub gives such runs read-only permissions",
			Evidence: []string{"the run's actor is " + quoted(e.Actor)},
			Fix:      "leave this job out of Dependabot's runs: what it changes is not reviewed yet",
			Snippet:  Snippet{"yaml", "the job, in the workflow", "if: github.actor != 'dependabot[bot]'"},
		}},
		weighed{when(fromFork, 90, when(maybeFork && !dependabot, 70, 0)), fork},
		weighed{40, Cause{
			Title:   "the job is in a reusable workflow, and the job that calls it does not grant the permission",
			Fix:     "a reusable workflow gets no more than its caller grants: give the calling job the permission too",
			Snippet: Snippet{"yaml", "the calling job, in the caller's workflow", permissions},
		}},
	)}
	if e.Repository != "" && e.ID != "" && (maybeFork || dependabot) {
		x.Decide = []string{"gh api " + shell("repos/"+e.Repository+"/actions/runs/"+e.ID) + " --jq '.event, .actor.login, .head_repository.full_name'"}
	}
	return x
}

// notGitHub explains an answer that GitHub's token endpoint does not give.
func (e explainer) notGitHub(minting *idtoken.Error) Explanation {
	return Explanation{Causes: rank(
		weighed{when(e.Proxy != "", 80, 60), Cause{
			Title:    "something between the runner and GitHub answered in its place",
			Evidence: append([]string{fmt.Sprintf("it answered HTTP %d and no token", minting.Status)}, e.proxied()...),
			Fix:      "let the runner reach GitHub's token endpoint: https://*.actions.githubusercontent.com, or the GitHub Enterprise Server",
		}},
		weighed{50, Cause{
			Title: "ACTIONS_ID_TOKEN_REQUEST_URL is not what the runner set",
			Fix:   "nothing in the workflow may set ACTIONS_ID_TOKEN_REQUEST_URL or ACTIONS_ID_TOKEN_REQUEST_TOKEN",
		}},
	)}
}

func (e explainer) proxied() []string {
	if e.Proxy == "" {
		return nil
	}
	return []string{"the step goes through the proxy " + quoted(e.Proxy) + " (http-proxy)"}
}

// disbelieved explains that the certificate of what answered was not believed.
func (e explainer) disbelieved(what string, certificate *tls.CertificateVerificationError) Explanation {
	shown := "it is for nobody that can be read"
	if len(certificate.UnverifiedCertificates) > 0 {
		leaf := certificate.UnverifiedCertificates[0]
		shown = "it is of " + quoted(leaf.Subject.String()) + ", signed by " + quoted(leaf.Issuer.String())
	}
	evidence := append([]string{shown}, append(e.endpointEvidence(what), e.proxied()...)...)
	var invalid x509.CertificateInvalidError
	if errors.As(certificate, &invalid) && invalid.Reason == x509.Expired {
		return certain(Cause{
			Title:    "the certificate of " + what + " is not good at this time, or this machine's clock is wrong",
			Evidence: evidence,
			Fix:      "set the clock of the runner by NTP; if it is right, what answered has an old certificate",
		})
	}
	var name x509.HostnameError
	if errors.As(certificate, &name) {
		return certain(Cause{
			Title:    "something else answered for " + what + ": its certificate is for another name",
			Evidence: evidence,
			Fix:      "look at sts-endpoint, and for a proxy in between that answers in its place",
		})
	}
	return certain(Cause{
		Title:    "no certificate authority that is known here signed the certificate of " + what,
		Evidence: append(evidence, "a company's proxy that looks into TLS signs with an authority of its own"),
		Fix:      "if that authority is your company's, give its certificate in ca-bundle; if not, something on the way reads what is sent, and nothing should be",
	})
}

// unreachable explains that nobody answered.
func (e explainer) unreachable(what string) Explanation {
	text := e.failure.Error()
	var certificate *tls.CertificateVerificationError
	if errors.As(e.failure, &certificate) {
		return e.disbelieved(what, certificate)
	}
	// proxyconnect is net/http's word for a proxy that is not reached itself.
	proxyRefused := e.Proxy != "" && (strings.Contains(text, "the proxy refused to connect") || strings.Contains(text, "proxyconnect"))
	slow := errors.Is(e.failure, context.DeadlineExceeded) || strings.Contains(text, "Timeout exceeded")
	name := strings.Contains(text, "no such host")
	return Explanation{Certain: proxyRefused, Causes: rank(
		weighed{when(proxyRefused, 90, 0), Cause{
			Title:    "the proxy " + quoted(e.Proxy) + " does not let the step through to " + what,
			Evidence: []string{"it was asked for a tunnel and refused, or was not reached itself"},
			Fix:      "let the proxy allow that host, give its user and password in http-proxy, or list the host in no-proxy when it is reached directly",
		}},
		weighed{when(slow && !proxyRefused, 70, 0), Cause{
			Title:    what + " was too slow, or something on the way drops what is sent to it",
			Evidence: append([]string{e.allowed() + ", and each attempt 10"}, e.proxied()...),
			Fix:      "run the job again; if it stays so, look at the firewall of the runner's network: what it drops without an answer looks like this",
		}},
		weighed{when(name && !proxyRefused, 80, 0), Cause{
			Title:    "the name of " + what + " is not known to the runner's DNS",
			Evidence: e.endpointEvidence(what),
			Fix:      "look at aws-region and sts-endpoint for a mistake, and at the DNS of the runner's network",
		}},
		weighed{when(!slow && !name && !proxyRefused, 60, 0), Cause{
			Title:    "the runner does not reach " + what,
			Evidence: append(e.endpointEvidence(what), e.proxied()...),
			Fix:      "look at the network of the runner: its firewall, its proxy (http-proxy, no-proxy), its DNS",
		}},
	)}
}

func (e explainer) endpointEvidence(what string) []string {
	if e.Endpoint == "" || what != sts {
		return nil
	}
	return []string{"sts-endpoint stands in for the region's endpoint: " + quoted(e.Endpoint)}
}
