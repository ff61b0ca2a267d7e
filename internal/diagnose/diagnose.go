// Package diagnose turns a failed hop into its cause and the change that mends it. It is pure: the
// error and what is known of the run go in, text comes out. The text holds what came from outside,
// in Go quotes; printing it safely is left to the caller.
package diagnose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
)

// Run is what is known of the run that failed.
type Run struct {
	Hub      hop.ARN
	Spoke    hop.ARN
	Region   string
	Audience string
	Claims   idtoken.Claims // empty when no token was minted
	Tagged   bool           // session tags were to be sent
}

// Explanation is what to tell the user.
type Explanation struct {
	Cause string   // one line: what went wrong
	Hints []string // one line each: the evidence first, then what to change
}

// Explain finds the cause of a failed hop. It claims only what the answer allows: where AWS answers
// several mistakes with the same words, it says so.
func Explain(err error, run Run) Explanation {
	var failure *hop.Error
	if !errors.As(err, &failure) {
		return Explanation{Cause: err.Error()}
	}
	x := Explanation{Cause: failure.Error()}
	switch {
	case errors.Is(err, context.Canceled):
		x.Hints = []string{"the runner stopped the step: the job was cancelled, or timeout-minutes was over; nothing was exported"}
	case errors.Is(err, context.DeadlineExceeded) && failure.Status == 0 && (failure.Stage == hop.StageHub || failure.Stage == hop.StageSpoke):
		x.Hints = unreachable(failure)
	case failure.Stage == hop.StageToken:
		x.Hints = token(failure)
	case failure.Stage == hop.StageExport:
		x.Hints = []string{"nothing was exported; later steps see no credentials of this hop"}
	case failure.HasCode("InvalidIdentityToken"):
		x.Hints = identityToken(failure, run)
	case failure.HasCode("AccessDenied") && failure.Stage == hop.StageHub:
		x.Hints = hubRefused(run)
	case failure.Denies("sts:TagSession"):
		x.Hints = tagSession(run)
	case failure.Denies("sts:SetSourceIdentity"):
		x.Hints = bothSides(run, "sts:SetSourceIdentity", "or leave source-identity empty, if no role before it in the chain has set one")
	case failure.HasCode("AccessDenied"):
		x.Hints = spokeRefused(failure, run)
	default:
		x.Hints = other(failure, run)
	}
	return x
}

func token(failure *hop.Error) []string {
	var minting *idtoken.Error
	if !errors.As(failure, &minting) {
		return nil
	}
	switch {
	case minting.MissingEnv != "":
		return []string{
			"the runner sets " + minting.MissingEnv + " only for a job that may ask for a token; add to the job, or to the whole workflow:",
			"    permissions:",
			"      id-token: write",
			"      contents: read   # naming one permission drops all others, and actions/checkout needs this one",
			"a pull request from a fork gets no token whatever the workflow says, and neither does a run that Dependabot started with read-only permissions",
			"a reusable workflow gets no more than its caller grants: the calling job needs the permission too",
		}
	case minting.NotInJob:
		return []string{fmt.Sprintf("GitHub was asked %d times; a job that has just started may not be marked as running yet, so run it again", minting.Attempts)}
	case minting.Status == http.StatusUnauthorized, minting.Status == http.StatusForbidden:
		return []string{"the runner's request token was refused; it is good only while the job that it was made for is running"}
	case minting.Status == http.StatusTooManyRequests, minting.Status >= 500, minting.Err != nil && minting.Status == 0:
		return []string{fmt.Sprintf("GitHub's token endpoint was asked %d times; see https://www.githubstatus.com, and raise retry-max-attempts and action-timeout-s to wait longer", minting.Attempts)}
	}
	return []string{"something between the runner and GitHub answered in its place: look for a proxy, or a variable ACTIONS_ID_TOKEN_REQUEST_URL that an earlier step has set"}
}

// subject shows what the token said of the job, the evidence in every refusal at the hub.
func subject(run Run) []string {
	return []string{
		fmt.Sprintf("the token's subject is %q (%s form)", run.Claims.Subject, run.Claims.Form()),
		fmt.Sprintf("the token's audience is %q", strings.Join(run.Claims.Audience, ", ")),
	}
}

func hubRefused(run Run) []string {
	issuer := provider(run)
	hints := subject(run)
	switch run.Claims.Form() {
	case idtoken.Immutable:
		hints = append(hints, "an immutable subject carries the ids of owner and repository; a trust policy that still names repo:OWNER/REPO:... does not match it")
	case idtoken.Legacy:
		hints = append(hints, "a legacy subject carries no ids; a trust policy written for repo:OWNER@OWNER-ID/REPO@REPO-ID:... does not match it")
	case idtoken.Customized:
		hints = append(hints, "the subject is of neither of GitHub's standard forms: the organisation or the repository has customized its subject claim")
	}
	return append(hints,
		fmt.Sprintf("AWS gives this one answer whether the role does not exist, its trust policy names another provider, or a condition fails; what AWS has: aws iam get-role --role-name %s (in account %s)", run.Hub.Name, run.Hub.AccountID),
		"for this run the trust policy of the hub role needs this statement, or one as good:",
		"    "+statement("sts:AssumeRoleWithWebIdentity", map[string]string{"Federated": "arn:" + run.Hub.Partition + ":iam::" + run.Hub.AccountID + ":oidc-provider/" + issuer},
			map[string]map[string]string{"StringEquals": {issuer + ":aud": first(run.Claims.Audience), issuer + ":sub": run.Claims.Subject}}),
	)
}

func identityToken(failure *hop.Error, run Run) []string {
	issuer := provider(run)
	if strings.HasPrefix(failure.Message, "Couldn't retrieve verification key") {
		return []string{"AWS could not fetch the keys of " + issuer + "; that passes by itself, and the call was repeated retry-max-attempts times; run the job again"}
	}
	hints := append(subject(run),
		fmt.Sprintf("AWS does not say which of two: account %s has no OIDC provider for https://%s, or that provider does not list the audience %q", run.Hub.AccountID, issuer, run.Audience))
	arn := "arn:" + run.Hub.Partition + ":iam::" + run.Hub.AccountID + ":oidc-provider/" + issuer
	return append(hints,
		"what AWS has: aws iam get-open-id-connect-provider --open-id-connect-provider-arn "+arn,
		fmt.Sprintf("if there is none: aws iam create-open-id-connect-provider --url https://%s --client-id-list %s", issuer, run.Audience),
		fmt.Sprintf("if it lacks the audience: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn %s --client-id %s", arn, run.Audience),
	)
}

func spokeRefused(failure *hop.Error, run Run) []string {
	if strings.Contains(failure.Message, "no identity-based policy allows") {
		return []string{
			fmt.Sprintf("the hub role's own permission policy does not allow it; add to a policy of %s:", run.Hub),
			"    " + hubPermission(run),
		}
	}
	hints := []string{
		"AWS gives this one answer whether the spoke role does not exist, its trust policy does not name the hub role, or one of its conditions (sts:ExternalId, tags) fails",
	}
	hints = append(hints, bothSides(run, "sts:AssumeRole", "")...)
	return append(hints,
		fmt.Sprintf("what AWS has: aws iam get-role --role-name %s (in account %s)", run.Spoke.Name, run.Spoke.AccountID),
		"a hub role that was deleted and made again is another principal: save the spoke's trust policy anew",
	)
}

func tagSession(run Run) []string {
	return bothSides(run, "sts:TagSession", "or, to hop without session tags, set role-skip-session-tagging: true on this step")
}

// bothSides shows the statement for either account: across accounts both must allow every action.
func bothSides(run Run, action, otherwise string) []string {
	actions := []string{"sts:AssumeRole", "sts:TagSession"}
	if action == "sts:SetSourceIdentity" {
		actions = append(actions, action)
	}
	if !run.Tagged {
		actions = []string{action}
	}
	hints := []string{
		fmt.Sprintf("the trust policy of %s must allow %s to the hub role:", run.Spoke, action),
		"    " + statement(actions, map[string]string{"AWS": run.Hub.String()}, nil),
		fmt.Sprintf("and a permission policy of %s must allow it on the spoke:", run.Hub),
		"    " + hubPermission(run),
	}
	if otherwise != "" {
		hints = append(hints, otherwise)
	}
	return hints
}

func hubPermission(run Run) string {
	return marshal(struct {
		Effect   string
		Action   []string
		Resource string
	}{"Allow", []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}, run.Spoke.String()})
}

func other(failure *hop.Error, run Run) []string {
	switch {
	case failure.HasCode("ExpiredToken"):
		return []string{"the clock of this machine or the time between minting and asking is off: a token is good for five minutes and AWS allows five more"}
	case failure.HasCode("RegionDisabledException"):
		return []string{fmt.Sprintf("activate STS in %s in that account (IAM console, Account settings), or set aws-region to one that is active", run.Region)}
	case failure.HasCode("PackedPolicyTooLarge"):
		return []string{"the session tags, with the session policies, are too large even without the ones that may go; shorten custom-tags or set role-skip-session-tagging: true"}
	case strings.Contains(failure.Message, "MaxSessionDuration"):
		return []string{fmt.Sprintf("lower role-duration-seconds to what %s allows: aws iam get-role --role-name %s --query Role.MaxSessionDuration", failure.Role, roleName(failure, run))}
	case failure.HasCode("SignatureDoesNotMatch"), failure.HasCode("InvalidClientTokenId"):
		return []string{"AWS did not accept the hub session's signature: look at this machine's clock, and at anything between it and AWS that changes requests"}
	case strings.Contains(failure.Code, "hrottl"), failure.Status >= 500:
		return []string{"AWS did not recover in the attempts made; raise retry-max-attempts and action-timeout-s to wait longer"}
	case failure.Code == "" && failure.Status == 0:
		return unreachable(failure)
	case failure.Code == "":
		return []string{"what answered is not AWS STS: look at sts-endpoint, and for a proxy in between"}
	}
	return nil
}

func unreachable(*hop.Error) []string {
	return []string{"nothing that counts as an answer came from AWS STS: look at aws-region, sts-endpoint, http-proxy and the network's rules; action-timeout-s bounds the whole step"}
}

func roleName(failure *hop.Error, run Run) string {
	if failure.Stage == hop.StageHub {
		return run.Hub.Name
	}
	return run.Spoke.Name
}

// provider is the issuer as IAM names it, without the scheme.
func provider(run Run) string {
	if issuer, found := strings.CutPrefix(run.Claims.Issuer, "https://"); found {
		return issuer
	}
	return "token.actions.githubusercontent.com"
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

func statement(action any, principal map[string]string, condition map[string]map[string]string) string {
	return marshal(struct {
		Effect    string
		Principal map[string]string
		Action    any
		Condition map[string]map[string]string `json:",omitempty"`
	}{"Allow", principal, action, condition})
}

func marshal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(text)
}
