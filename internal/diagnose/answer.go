package diagnose

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
)

// sts is whom a hop's second and third request go to.
const sts = "AWS STS"

// noAnswer explains that no answer of AWS came, or one that cannot be AWS's.
func (e explainer) noAnswer() Explanation {
	text := e.failure.Error()
	clock := Cause{
		Title:    "this machine's clock and the one of what answered differ",
		Evidence: []string{"the credentials have expired by this machine's clock, though they are new"},
		Fix:      "set the clock of the runner by NTP; only a machine of your own can have it wrong",
	}
	stranger := Cause{
		Title:    "what answered is not AWS STS",
		Evidence: append(e.stsEndpoint(), e.proxied()...),
		Fix:      "look at sts-endpoint, and for a proxy in between that answers in AWS's place",
	}
	switch {
	case strings.Contains(text, "the credentials expired at"):
		return likely(clock)
	case strings.Contains(text, "the answer is for"), strings.Contains(text, "the answer lacks"),
		strings.Contains(text, "the answer's credentials"), strings.Contains(text, "the answer is larger"):
		return likely(stranger)
	case e.failure.Status == 0 && errors.Is(e.failure, context.DeadlineExceeded), strings.Contains(text, "no answer from"):
		return e.unreachable(sts)
	case e.failure.Status >= 500 || e.failure.Status == 429:
		return e.trouble()
	case e.failure.Status == 0 || errors.Is(e.failure, context.DeadlineExceeded) || strings.Contains(text, "cut short"):
		return e.unreachable(sts)
	}
	return likely(stranger)
}

func (e explainer) stsEndpoint() []string {
	if e.Endpoint == "" {
		return []string{"the step asked the endpoint of " + quoted(e.Region)}
	}
	return []string{"the step asked " + quoted(e.Endpoint) + " (sts-endpoint)"}
}

func (e explainer) attempts() string {
	if e.Attempts == 1 {
		return "AWS was asked once: retry-max-attempts is 1"
	}
	return fmt.Sprintf("AWS was asked up to %d times (retry-max-attempts), as far as the time was enough (action-timeout-s)", e.Attempts)
}

func (e explainer) trouble() Explanation {
	return likely(Cause{
		Title:    "AWS STS is in trouble in this region, or a proxy in front of it",
		Evidence: append([]string{e.attempts()}, append(e.stsEndpoint(), e.proxied()...)...),
		Fix:      "see https://health.aws.amazon.com and run the job again, in another aws-region if it must be now",
	})
}

// accountInMessage is how RegionDisabledException names the account.
var accountInMessage = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`account: ?([0-9]{12})`) })

// refusedRequest explains the refusals that are about the request and not about who may.
func (e explainer) refusedRequest() Explanation {
	f := e.failure
	role, input := e.Spoke, "role-to-assume"
	if f.Stage == hop.StageHub {
		role, input = e.Hub, "hub-role-to-assume"
	}
	says := func(text string) bool { return strings.Contains(f.Message, text) }
	switch {
	case strings.Contains(strings.ToLower(f.Code), "throttl"), f.HasCode("TooManyRequests"), f.HasCode("RequestLimitExceeded"), f.HasCode("SlowDown"), f.Status == 429:
		return certain(Cause{
			Title:    "AWS throttles the account's calls of STS",
			Evidence: []string{e.attempts()},
			Fix:      "start fewer jobs at the same moment, or wait longer: raise retry-max-attempts and action-timeout-s",
			Snippet:  Snippet{"yaml", "this step's inputs", "retry-max-attempts: 10\naction-timeout-s: 180"},
		})
	case f.Status >= 500:
		return e.trouble()
	case f.HasCode("RegionDisabled"):
		account := "an account of this hop"
		if m := accountInMessage().FindStringSubmatch(f.Message); m != nil {
			account = "account " + m[1]
		}
		return certain(Cause{
			Title:    "STS is not activated in " + quoted(e.Region) + " for " + account,
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
			Title:    "AWS allows a session that was assumed from another one for an hour at most",
			Evidence: []string{fmt.Sprintf("%d seconds were asked for", int(e.Duration.Seconds()))},
			Fix:      "ask for at most 3600 seconds; a job that takes longer sets auto-refresh, or uses the action again before the hour is over",
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
			Title:    input + " is not an ARN that AWS takes here",
			Evidence: []string{"the role that was asked for is " + quoted(role.String()), "it was asked for in " + quoted(e.Region)},
			Fix:      "compare it with what IAM shows, partition included",
		})
	}
	return Explanation{}
}

func (e explainer) tokenExpired() Explanation {
	evidence := []string{"GitHub makes a token for 5 minutes, and AWS takes it for 5 more; a runner's own clock plays no part in that"}
	if !e.Claims.Expires.IsZero() {
		evidence = append(evidence, "the token says that it expires at "+e.Claims.Expires.UTC().Format(time.RFC3339))
	}
	issuer, _ := e.githubIssuer()
	return Explanation{Causes: rank(
		weighed{50, Cause{
			Title:    "the token was too old when AWS got it: something on the way held the request back",
			Evidence: evidence,
			Fix:      "run the job again: a new token is made for each hop",
		}},
		weighed{when(issuer.GHES != "", 80, 0), Cause{
			Title:    "the clock of the GitHub Enterprise Server is wrong",
			Evidence: []string{"it makes the tokens, and AWS goes by its own clock"},
			Fix:      "set the server's clock by NTP",
		}},
	)}
}

// signature explains that AWS does not take the hub's session for what it is.
func (e explainer) signature() Explanation {
	message := strings.ToLower(e.failure.Message)
	clock := Cause{
		Title:    "this machine's clock is wrong",
		Evidence: []string{"AWS takes a signature whose time is within 5 minutes of its own", "AWS's answer names both times"},
		Fix:      "set the clock of the runner by NTP; only a machine of your own can have it wrong",
	}
	if strings.Contains(message, "scoped to a valid region") {
		return certain(Cause{
			Title:    quoted(e.Region) + " (aws-region) is not a region in which this endpoint takes signatures",
			Evidence: e.stsEndpoint(),
			Fix:      "look at aws-region for a mistake; with sts-endpoint, it is the region of that endpoint",
		})
	}
	if strings.Contains(message, "signature expired") || strings.Contains(message, "signature not yet current") {
		return certain(clock)
	}
	clock.Evidence = clock.Evidence[:1]
	expired := e.failure.HasCode("ExpiredToken")
	partition := Cause{
		Title:    "the hub's session was made by one endpoint and used at another",
		Evidence: e.stsEndpoint(),
		Fix:      "look at sts-endpoint: it must be an endpoint of the partition " + quoted(e.Hub.Partition) + "; leave it empty for that of aws-region",
	}
	return Explanation{Causes: rank(
		weighed{when(expired, 80, 0), Cause{
			Title:    "the hub's session was over before the spoke was assumed",
			Evidence: []string{"it lives for 900 s", e.allowed()},
			Fix:      "run the job again; a step that takes minutes has lost them waiting for AWS or GitHub",
		}},
		weighed{when(e.failure.HasCode("InvalidClientTokenId"), 70, 0), partition},
		weighed{when(e.failure.HasCode("InvalidClientTokenId") || expired, 0, 70), Cause{
			Title:    "something between the runner and AWS changes requests",
			Evidence: append(e.stsEndpoint(), e.proxied()...),
			Fix:      "let requests to AWS STS pass as they are: a signature covers the host, the headers and the body",
		}},
		weighed{40, clock},
	)}
}

func (e explainer) tooLarge() Cause {
	custom, longest := 0, ""
	size := 0
	for _, t := range e.Tags {
		size += len(t.Key) + len(t.Value)
		if !t.Droppable {
			custom++
		}
		if longest == "" || len(t.Value) > e.tagSize(longest) {
			longest = t.Key
		}
	}
	c := Cause{
		Title:    "the session tags and session policies are larger than AWS takes",
		Evidence: []string{fmt.Sprintf("%d session tags with %d bytes in all; those that may go were left out already", len(e.Tags), size)},
		Fix:      "shorten custom-tags and the session policies, or hop without tags",
		Snippet:  Snippet{"yaml", "this step's inputs", "role-skip-session-tagging: true"},
	}
	if longest != "" {
		c.Evidence = append(c.Evidence, fmt.Sprintf("the longest is %s with %d bytes", quoted(longest), e.tagSize(longest)))
	}
	if e.InlinePolicy || e.ManagedPolicies {
		c.Evidence = append(c.Evidence, "session policies are passed, which count too")
	}
	if e.failure.Stage == hop.StageHub {
		c = Cause{
			Title:    "what narrows the hub's session to this hop is larger than AWS takes",
			Evidence: []string{"the spoke is " + quoted(e.Spoke.String())},
			Fix:      "give the spoke role a shorter path",
		}
		if e.Spokes > 1 {
			c.Evidence = []string{fmt.Sprintf("there are %d spokes, and a session policy that names one of them alone was too large too", e.Spokes)}
		}
	}
	return c
}

// tagSize is the length of the value of a tag that is sent, in bytes.
func (e explainer) tagSize(key string) int {
	for _, t := range e.Tags {
		if t.Key == key {
			return len(t.Value)
		}
	}
	return 0
}

func (e explainer) tooLong(role hop.ARN) Explanation {
	seconds := int(e.Duration.Seconds())
	if e.failure.Stage == hop.StageHub {
		seconds = 900
	}
	return certain(Cause{
		Title:    fmt.Sprintf("the role allows no session of %d seconds", seconds),
		Evidence: []string{"IAM's smallest maximum is 3600 seconds, so something else than IAM may have answered"},
		Fix:      "lower role-duration-seconds to what the role has, or raise the role's maximum",
		Snippet:  Snippet{"sh", "account " + role.AccountID, getRole(role.Name) + " --query Role.MaxSessionDuration"},
	})
}

func (e explainer) tagRefused() Cause {
	if strings.Contains(e.failure.Message, "from the calling session") {
		return Cause{
			Title: "the hub's session has a transitive tag of the same key as one that is sent",
			Evidence: []string{
				"the token has set it: tokens of github.com carry no tags, so this issuer's were made to",
				"a transitive tag stays for the whole chain, and cannot be sent again with the same value either",
			},
			Fix: "take the key out of custom-tags, or out of the issuer's transitive_tag_keys; this action's own tags go with role-skip-session-tagging",
		}
	}
	return Cause{
		Title:    "AWS does not take the session tags",
		Evidence: []string{"custom-tags and transitive-tag-keys are checked before, so a rule of AWS has changed, or something on the way changes requests"},
		Fix:      "hop without tags for now",
		Snippet:  Snippet{"yaml", "this step's inputs", "role-skip-session-tagging: true"},
	}
}

func (e explainer) malformedPolicy() Explanation {
	if e.failure.Stage == hop.StageHub || !e.InlinePolicy {
		return Explanation{}
	}
	return certain(Cause{
		Title:    "inline-session-policy is not a policy that AWS takes",
		Evidence: []string{"it is JSON, but IAM reads more into it than that: Version, and statements with Effect, Action and Resource"},
		Fix:      "check it before the next run; a session policy has no Principal",
		Snippet:  Snippet{"sh", "the policy in a file of its own", "hubspoke-chain lint --kind session session-policy.json"},
	})
}

func (e explainer) export() Explanation {
	if errors.Is(e.failure, context.DeadlineExceeded) {
		return likely(Cause{
			Title:    "the step's time was over when AWS had answered",
			Evidence: []string{e.allowed()},
			Fix:      "raise action-timeout-s",
		})
	}
	return likely(Cause{
		Title:    "the runner's files for variables and outputs cannot be written",
		Evidence: []string{"nothing was exported; later steps see no credentials of this hop"},
		Fix:      "look at the disk of the runner, and for a step that has changed GITHUB_ENV, GITHUB_OUTPUT or the files that they name",
	})
}

// allowed is the time of the whole step.
func (e explainer) allowed() string {
	return fmt.Sprintf("the step had %d s in all (action-timeout-s)", int(e.Timeout.Seconds()))
}
