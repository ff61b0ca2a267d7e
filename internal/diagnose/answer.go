package diagnose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/pattern"
	"github.com/org/hubspoke-chain/internal/transport"
)

// sts is the service of the hub call and the spoke call.
const sts = "AWS STS"

// noResponse explains that AWS returned no response, or one that cannot be AWS's.
func (e explainer) noResponse() Explanation {
	switch f := e.failure; {
	case f.Reason == transport.ClockSkew:
		return likely(Cause{
			Title:    "the runner's clock and the STS endpoint's clock disagree",
			Evidence: []string{"the credentials have expired by the runner's clock, though they are new"},
			Fix:      "set the runner's clock by NTP; only a self-hosted runner can have it wrong",
		})
	case f.Status >= 500 || f.Status == http.StatusTooManyRequests:
		return e.outage()
	case f.Reason == transport.WrongResponse, f.Reason == transport.TooLarge:
		return likely(Cause{
			Title:    "the endpoint is not AWS STS",
			Evidence: append(e.stsEndpoint(), e.proxied()...),
			Fix:      "check sts-endpoint, and look for a proxy that responds instead of AWS",
		})
	}
	return e.unreachable(sts, e.failure.Reason)
}

// endpointHost returns HOST:PORT of sts-endpoint; empty for the region's endpoint.
func (e explainer) endpointHost() string {
	if u, err := url.Parse(e.plan.Endpoint); err == nil {
		return u.Host
	}
	return ""
}

func (e explainer) stsEndpoint() []string {
	if e.plan.Endpoint == "" {
		return []string{"the step called the endpoint of " + quoted(e.plan.Region)}
	}
	return []string{"the step called " + quoted(e.endpointHost()) + " (sts-endpoint)"}
}

func (e explainer) attempts() string {
	if e.plan.MaxAttempts == 1 {
		return "AWS was called once: retry-max-attempts is 1"
	}
	return fmt.Sprintf("AWS was called up to %d times (retry-max-attempts), within the step's timeout (action-timeout-s)", e.plan.MaxAttempts)
}

func (e explainer) outage() Explanation {
	return likely(Cause{
		Title:    "AWS STS has an outage in this region, or a proxy in front of it has",
		Evidence: append([]string{e.attempts()}, append(e.stsEndpoint(), e.proxied()...)...),
		Fix:      "check https://health.aws.amazon.com and run the job again, in another aws-region if it is urgent",
	})
}

// accountInMessage is how RegionDisabledException names the account.
var accountInMessage = pattern.Lazy(`account: ?([0-9]{12})`)

// refusedRequest explains the errors about the request itself rather than about permissions.
func (e explainer) refusedRequest() Explanation {
	f := e.failure
	role, input := e.spoke, "role-to-assume"
	if f.Stage == hop.StageHub {
		role, input = e.plan.Hub, "hub-role-to-assume"
	}
	says := func(text string) bool { return strings.Contains(f.Message, text) }
	switch {
	case strings.Contains(strings.ToLower(f.Code), "throttl"), f.HasCode("TooManyRequests"), f.HasCode("RequestLimitExceeded"), f.HasCode("SlowDown"), f.Status == 429:
		return certain(Cause{
			Title:    "AWS throttles the account's calls of STS",
			Evidence: []string{e.attempts()},
			Fix:      "start fewer jobs at the same time, or wait longer: raise retry-max-attempts and action-timeout-s",
			Snippet:  Snippet{"yaml", "this step's inputs", "retry-max-attempts: 10\naction-timeout-s: 180"},
		})
	case f.Status >= 500:
		return e.outage()
	case f.HasCode("RegionDisabled"):
		account := "an account of this hop"
		if m := accountInMessage().FindStringSubmatch(f.Message); m != nil {
			account = "account " + m[1]
		}
		return certain(Cause{
			Title:    "STS is not activated in " + quoted(e.plan.Region) + " for " + account,
			Evidence: e.stsEndpoint(),
			Fix:      "activate it in that account (IAM console, Account settings, Endpoints), or set aws-region to a region that is active in both accounts",
		})
	case f.HasCode("ExpiredToken") && f.Stage == hop.StageHub:
		return e.tokenExpired()
	case f.HasCode("ExpiredToken"), f.HasCode("InvalidClientTokenId"), f.HasCode("SignatureDoesNotMatch"), f.HasCode("IncompleteSignature"), f.HasCode("MissingAuthenticationToken"):
		return e.signature()
	case f.HasCode("PackedPolicyTooLarge"):
		return certain(e.tooLarge())
	case says("role chaining"):
		return certain(Cause{
			Title:    "AWS limits a session assumed through role chaining to one hour",
			Evidence: []string{fmt.Sprintf("the step requested %d seconds", e.plan.DurationSeconds)},
			Fix:      "request at most 3600 seconds; for a longer job set auto-refresh, or use the action again before the hour has passed",
			Snippet:  Snippet{"yaml", "this step's inputs", "role-duration-seconds: 3600"},
		})
	case says("MaxSessionDuration"):
		return e.tooLong(role)
	case says("transitive tag key") || says("Tag keys are case insensitive") || says("must not begin with aws:"):
		return certain(e.tagRefused())
	case f.HasCode("MalformedPolicyDocument"):
		return e.malformedPolicy()
	case says("is invalid") && says(role.String()):
		return certain(Cause{
			Title:    input + " is not an ARN that AWS accepts here",
			Evidence: []string{"the requested role is " + quoted(role.String()), "the region is " + quoted(e.plan.Region)},
			Fix:      "compare it with the ARN in IAM, partition included",
		})
	}
	return Explanation{}
}

func (e explainer) tokenExpired() Explanation {
	evidence := []string{"a token of GitHub is valid for 5 minutes, and AWS accepts it for 5 more; the runner's clock does not matter"}
	if !e.claims.Expires.IsZero() {
		evidence = append(evidence, "the token expires at "+e.claims.Expires.UTC().Format(time.RFC3339))
	}
	issuer, _ := e.githubIssuer()
	return Explanation{Causes: rank(
		weighed{50, Cause{
			Title:    "the token was too old when AWS received it: something on the way delayed the request",
			Evidence: evidence,
			Fix:      "run the job again: each hop requests a new token",
		}},
		weighed{when(issuer.GHES != "", 80, 0), Cause{
			Title:    "the clock of the GitHub Enterprise Server is wrong",
			Evidence: []string{"it issues the tokens, and AWS compares their times with its own clock"},
			Fix:      "set the server's clock by NTP",
		}},
	)}
}

// signature explains that AWS does not accept the hub's session.
func (e explainer) signature() Explanation {
	message := strings.ToLower(e.failure.Message)
	clock := Cause{
		Title:    "the runner's clock is wrong",
		Evidence: []string{"AWS accepts a signature whose time is within 5 minutes of its own", "AWS's message names both times"},
		Fix:      "set the runner's clock by NTP; only a self-hosted runner can have it wrong",
	}
	if strings.Contains(message, "scoped to a valid region") {
		return certain(Cause{
			Title:    quoted(e.plan.Region) + " (aws-region) is not a region whose signatures this endpoint accepts",
			Evidence: e.stsEndpoint(),
			Fix:      "check aws-region; with sts-endpoint, it must be the region of that endpoint",
		})
	}
	if strings.Contains(message, "signature expired") || strings.Contains(message, "signature not yet current") {
		return certain(clock)
	}
	clock.Evidence = clock.Evidence[:1]
	expired := e.failure.HasCode("ExpiredToken")
	partition := Cause{
		Title:    "the hub's session was issued by one endpoint and used at another",
		Evidence: e.stsEndpoint(),
		Fix:      "check sts-endpoint: it must be an endpoint of the partition " + quoted(e.plan.Hub.Partition) + "; leave it empty for the endpoint of aws-region",
	}
	return Explanation{Causes: rank(
		weighed{when(expired, 80, 0), Cause{
			Title:    "the hub's session had expired before the spoke was assumed",
			Evidence: []string{"it lives for 900 s", e.timeLimit()},
			Fix:      "run the job again; a step that takes minutes spends them waiting for AWS or GitHub",
		}},
		weighed{when(e.failure.HasCode("InvalidClientTokenId"), 70, 0), partition},
		weighed{when(e.failure.HasCode("InvalidClientTokenId") || expired, 0, 70), Cause{
			Title:    "something between the runner and AWS changes requests",
			Evidence: append(e.stsEndpoint(), e.proxied()...),
			Fix:      "let requests to AWS STS pass unchanged: the signature covers the host, the headers and the body",
		}},
		weighed{40, clock},
	)}
}

func (e explainer) tooLarge() Cause {
	if e.failure.Stage == hop.StageHub {
		c := Cause{
			Title:    "the session policy that limits the hub's session to this spoke is larger than AWS allows",
			Evidence: []string{"the spoke is " + quoted(e.spoke.String())},
			Fix:      "give the spoke role a shorter path",
		}
		if len(e.plan.Spokes) > 1 {
			c.Evidence = []string{fmt.Sprintf("there are %d spokes, and a session policy that names one of them alone was too large too", len(e.plan.Spokes))}
		}
		return c
	}
	size := 0
	sent := slices.DeleteFunc(slices.Clone(e.plan.Tags), func(t hop.Tag) bool { return t.Droppable })
	for _, t := range sent {
		size += len(t.Key) + len(t.Value)
	}
	c := Cause{
		Title:    "the session tags and session policies are larger than AWS allows",
		Evidence: []string{fmt.Sprintf("%d session tags with %d bytes in all, without those that were dropped already", len(sent), size)},
		Fix:      "shorten custom-tags and the session policies, or send no tags",
		Snippet:  Snippet{"yaml", "this step's inputs", "role-skip-session-tagging: true"},
	}
	if len(sent) > 0 {
		longest := slices.MaxFunc(sent, func(a, b hop.Tag) int { return cmp.Compare(len(a.Value), len(b.Value)) })
		c.Evidence = append(c.Evidence, fmt.Sprintf("the longest is %s with %d bytes", quoted(longest.Key), len(longest.Value)))
	}
	if e.plan.Policy != "" || len(e.plan.PolicyARNs) > 0 {
		c.Evidence = append(c.Evidence, "session policies are passed, and count too")
	}
	return c
}

func (e explainer) tooLong(role hop.ARN) Explanation {
	seconds := e.plan.DurationSeconds
	if e.failure.Stage == hop.StageHub {
		seconds = 900
	}
	return certain(Cause{
		Title:    fmt.Sprintf("the role allows no session of %d seconds", seconds),
		Evidence: []string{"IAM's smallest maximum is 3600 seconds, so the endpoint may not be AWS"},
		Fix:      "lower role-duration-seconds to the role's maximum, or raise the maximum",
		Snippet:  Snippet{"sh", "account " + role.AccountID, getRole(role.Name) + " --query Role.MaxSessionDuration"},
	})
}

func (e explainer) tagRefused() Cause {
	if strings.Contains(e.failure.Message, "from the calling session") {
		return Cause{
			Title: "the hub's session has a transitive tag of the same key as one that is sent",
			Evidence: []string{
				"the token set it: tokens of github.com have no tags, so this issuer was configured to add them",
				"a transitive tag stays for the whole chain, and cannot be sent again, even with the same value",
			},
			Fix: "remove the key from custom-tags, or from the issuer's transitive_tag_keys; role-skip-session-tagging removes this action's own tags",
		}
	}
	return Cause{
		Title:    "AWS does not accept the session tags",
		Evidence: []string{"custom-tags and transitive-tag-keys are validated before, so a rule of AWS has changed, or something on the way changes requests"},
		Fix:      "send no tags for now",
		Snippet:  Snippet{"yaml", "this step's inputs", "role-skip-session-tagging: true"},
	}
}

func (e explainer) malformedPolicy() Explanation {
	if e.failure.Stage == hop.StageHub || e.plan.Policy == "" {
		return Explanation{}
	}
	return certain(Cause{
		Title:    "inline-session-policy is not a policy that AWS accepts",
		Evidence: []string{"it is JSON, but IAM also requires Version, and statements with Effect, Action and Resource"},
		Fix:      "check it before the next run; a session policy has no Principal",
		Snippet:  Snippet{"sh", "the policy in its own file", "hubspoke-chain lint --kind session session-policy.json"},
	})
}

func (e explainer) export() Explanation {
	if errors.Is(e.failure, context.DeadlineExceeded) {
		return likely(Cause{
			Title:    "the step timed out after AWS had responded",
			Evidence: []string{e.timeLimit()},
			Fix:      "raise action-timeout-s",
		})
	}
	return likely(Cause{
		Title:    "the runner's files for environment variables and outputs cannot be written",
		Evidence: []string{"nothing was exported; later steps see no credentials of this hop"},
		Fix:      "check the disk of the runner, and look for a step that changed GITHUB_ENV, GITHUB_OUTPUT or the files that they name",
	})
}

// timeLimit is the evidence of a timeout.
func (e explainer) timeLimit() string {
	return fmt.Sprintf("the step has a timeout of %d s (action-timeout-s)", e.plan.TimeoutSeconds)
}
