package diagnose

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
)

const (
	hub   = "arn:aws:iam::123456789012:role/hub"
	spoke = "arn:aws:iam::222222222222:role/deploy"
	user  = "User: arn:aws:sts::123456789012:assumed-role/hub/gh-1-1 is not authorized to perform: "
)

// run is a run whose token has this subject.
func run(t *testing.T, subject string) Run {
	t.Helper()
	payload := fmt.Sprintf(`{"sub":%q,"iss":"https://token.actions.githubusercontent.com","aud":"sts.amazonaws.com"}`, subject)
	claims, err := idtoken.ParseClaims("eyJ." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	r := Run{Region: "us-east-1", Audience: "sts.amazonaws.com", Claims: claims, Tagged: true}
	if r.Hub, err = hop.ParseRoleARN(hub); err != nil {
		t.Fatal(err)
	}
	if r.Spoke, err = hop.ParseRoleARN(spoke); err != nil {
		t.Fatal(err)
	}
	return r
}

func refused(stage hop.Stage, role, code, message string) error {
	return &hop.Error{Stage: stage, Role: role, Code: code, Message: message, RequestID: "1f2e", Status: 403}
}

// TestFiveFailures are the failures that every user of a hub role meets first, in the words that the
// user reads.
func TestFiveFailures(t *testing.T) {
	t.Parallel()
	const legacy, immutable = "repo:o/r:ref:refs/heads/main", "repo:o@12/r@34:ref:refs/heads/main"
	const provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
	const permission = `    {"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],"Resource":"` + spoke + `"}`
	const trust = `    {"Effect":"Allow","Principal":{"AWS":"` + hub + `"},"Action":["sts:AssumeRole","sts:TagSession"]}`
	oneAnswer := "AWS gives this one answer whether the role does not exist, its trust policy names another provider, or a condition fails; what AWS has: aws iam get-role --role-name hub (in account 123456789012)"
	statement := func(subject string) string {
		return `    {"Effect":"Allow","Principal":{"Federated":"` + provider + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com","token.actions.githubusercontent.com:sub":"` + subject + `"}}}`
	}
	for _, test := range []struct {
		name, subject string
		err           error
		cause         string
		hints         []string
	}{
		{"no id-token: write", "", &hop.Error{Stage: hop.StageToken, Err: &idtoken.Error{MissingEnv: "ACTIONS_ID_TOKEN_REQUEST_URL", Attempts: 1}},
			"minting the ID token: missing ACTIONS_ID_TOKEN_REQUEST_URL (ensure the job has permissions: id-token: write)", []string{
				"the runner sets ACTIONS_ID_TOKEN_REQUEST_URL only for a job that may ask for a token; add to the job, or to the whole workflow:",
				"    permissions:",
				"      id-token: write",
				"      contents: read   # naming one permission drops all others, and actions/checkout needs this one",
				"a pull request from a fork gets no token whatever the workflow says, and neither does a run that Dependabot started with read-only permissions",
				"a reusable workflow gets no more than its caller grants: the calling job needs the permission too",
			}},
		{"the hub refuses a legacy subject", legacy, refused(hop.StageHub, hub, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
			"assuming hub role " + hub + ": AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity (request 1f2e)", []string{
				`the token's subject is "repo:o/r:ref:refs/heads/main" (legacy form)`,
				`the token's audience is "sts.amazonaws.com"`,
				"a legacy subject carries no ids; a trust policy written for repo:OWNER@OWNER-ID/REPO@REPO-ID:... does not match it",
				oneAnswer, "for this run the trust policy of the hub role needs this statement, or one as good:", statement(legacy),
			}},
		{"the hub refuses an immutable subject", immutable, refused(hop.StageHub, hub, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
			"assuming hub role " + hub + ": AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity (request 1f2e)", []string{
				`the token's subject is "repo:o@12/r@34:ref:refs/heads/main" (immutable form)`,
				`the token's audience is "sts.amazonaws.com"`,
				"an immutable subject carries the ids of owner and repository; a trust policy that still names repo:OWNER/REPO:... does not match it",
				oneAnswer, "for this run the trust policy of the hub role needs this statement, or one as good:", statement(immutable),
			}},
		{"the spoke refuses sts:AssumeRole", legacy, refused(hop.StageSpoke, spoke, "AccessDenied", user+"sts:AssumeRole on resource: "+spoke),
			"assuming spoke role " + spoke + ": AccessDenied: " + user + "sts:AssumeRole on resource: " + spoke + " (request 1f2e)", []string{
				"AWS gives this one answer whether the spoke role does not exist, its trust policy does not name the hub role, or one of its conditions (sts:ExternalId, tags) fails",
				"the trust policy of " + spoke + " must allow sts:AssumeRole to the hub role:", trust,
				"and a permission policy of " + hub + " must allow it on the spoke:", permission,
				"what AWS has: aws iam get-role --role-name deploy (in account 222222222222)",
				"a hub role that was deleted and made again is another principal: save the spoke's trust policy anew",
			}},
		{"the hub's own policy does not allow it", legacy, refused(hop.StageSpoke, spoke, "AccessDenied", user+"sts:AssumeRole on resource: "+spoke+" because no identity-based policy allows the sts:AssumeRole action"),
			"assuming spoke role " + spoke + ": AccessDenied: " + user + "sts:AssumeRole on resource: " + spoke + " because no identity-based policy allows the sts:AssumeRole action (request 1f2e)", []string{
				"the hub role's own permission policy does not allow it; add to a policy of " + hub + ":", permission,
			}},
		{"the spoke refuses sts:TagSession", legacy, refused(hop.StageSpoke, spoke, "AccessDenied", user+"sts:TagSession on resource: "+spoke),
			"assuming spoke role " + spoke + ": AccessDenied: " + user + "sts:TagSession on resource: " + spoke + " (request 1f2e)", []string{
				"the trust policy of " + spoke + " must allow sts:TagSession to the hub role:", trust,
				"and a permission policy of " + hub + " must allow it on the spoke:", permission,
				"or, to hop without session tags, set role-skip-session-tagging: true on this step",
			}},
		{"no provider, or not this audience", legacy, refused(hop.StageHub, hub, "InvalidIdentityToken", "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements."),
			"assuming hub role " + hub + ": InvalidIdentityToken: The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements. (request 1f2e)", []string{
				`the token's subject is "repo:o/r:ref:refs/heads/main" (legacy form)`,
				`the token's audience is "sts.amazonaws.com"`,
				`AWS does not say which of two: account 123456789012 has no OIDC provider for https://token.actions.githubusercontent.com, or that provider does not list the audience "sts.amazonaws.com"`,
				"what AWS has: aws iam get-open-id-connect-provider --open-id-connect-provider-arn " + provider,
				"if there is none: aws iam create-open-id-connect-provider --url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com",
				"if it lacks the audience: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn " + provider + " --client-id sts.amazonaws.com",
			}},
	} {
		x := Explain(test.err, run(t, test.subject))
		if x.Cause != test.cause {
			t.Errorf("%s:\n got %s\nwant %s", test.name, x.Cause, test.cause)
		}
		if !slices.Equal(x.Hints, test.hints) {
			t.Errorf("%s:\n got\n%s\nwant\n%s", test.name, strings.Join(x.Hints, "\n"), strings.Join(test.hints, "\n"))
		}
	}
}

// TestFirstHint takes every other failure to the first thing that is said of it; "" for nothing.
func TestFirstHint(t *testing.T) {
	t.Parallel()
	minting := func(e idtoken.Error) error { return &hop.Error{Stage: hop.StageToken, Err: &e} }
	unreachable := "nothing that counts as an answer came from AWS STS: look at aws-region, "
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"another error", errors.New("x"), ""},
		{"cancelled", &hop.Error{Stage: hop.StageSpoke, Role: spoke, Err: context.Canceled}, "the runner stopped the step: "},
		{"out of time at AWS", &hop.Error{Stage: hop.StageHub, Role: hub, Err: context.DeadlineExceeded}, unreachable},
		{"out of time at GitHub", &hop.Error{Stage: hop.StageToken, Err: context.DeadlineExceeded}, ""},
		{"out of time at the end", &hop.Error{Stage: hop.StageExport, Err: context.DeadlineExceeded}, "nothing was exported; "},
		{"no room", &hop.Error{Stage: hop.StageExport, Err: errors.New("no space left on device")}, "nothing was exported; "},
		{"no answer", &hop.Error{Stage: hop.StageHub, Role: hub, Err: errors.New("refused")}, unreachable},
		{"a page", &hop.Error{Stage: hop.StageHub, Role: hub, Status: 200, Err: errors.New("x")}, "what answered is not AWS STS: "},
		{"a broken gateway", &hop.Error{Stage: hop.StageHub, Role: hub, Status: 502, Err: errors.New("x")}, "AWS did not recover in the attempts made; "},
		{"throttled", refused(hop.StageHub, hub, "Throttling", "Rate exceeded"), "AWS did not recover in the attempts made; "},
		{"no key", refused(hop.StageHub, hub, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider"), "AWS could not fetch the keys of token.actions.githubusercontent.com; "},
		{"source identity", refused(hop.StageSpoke, spoke, "AccessDenied", user+"sts:SetSourceIdentity on resource: "+spoke), "the trust policy of " + spoke + " must allow sts:SetSourceIdentity to the hub role:"},
		{"expired", refused(hop.StageHub, hub, "ExpiredTokenException", "Token expired"), "the clock of this machine or the time between minting and asking is off: "},
		{"region off", refused(hop.StageHub, hub, "RegionDisabledException", "x"), "activate STS in us-east-1 in that account "},
		{"tags too large", refused(hop.StageSpoke, spoke, "PackedPolicyTooLarge", "x"), "the session tags, with the session policies, are too large "},
		{"too long", refused(hop.StageSpoke, spoke, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."),
			"lower role-duration-seconds to what " + spoke + " allows: aws iam get-role --role-name deploy --query Role.MaxSessionDuration"},
		{"signature", refused(hop.StageSpoke, spoke, "SignatureDoesNotMatch", "x"), "AWS did not accept the hub session's signature: "},
		{"anything else", refused(hop.StageSpoke, spoke, "ValidationError", "x"), ""},
		{"job not running", minting(idtoken.Error{NotInJob: true, Status: 403, Attempts: 5}), "GitHub was asked 5 times; "},
		{"request token refused", minting(idtoken.Error{Status: 401}), "the runner's request token was refused; "},
		{"GitHub is down", minting(idtoken.Error{Status: 503, Attempts: 5}), "GitHub's token endpoint was asked 5 times; "},
		{"GitHub is silent", minting(idtoken.Error{Err: errors.New("x"), Attempts: 5}), "GitHub's token endpoint was asked 5 times; "},
		{"not GitHub", minting(idtoken.Error{Status: 200, Err: errors.New("x")}), "something between the runner and GitHub answered in its place: "},
	} {
		x := Explain(test.err, run(t, "repo:o/r:pull_request"))
		if x.Cause != test.err.Error() {
			t.Errorf("%s: the cause is %s", test.name, x.Cause)
		}
		got := ""
		if len(x.Hints) > 0 {
			got = x.Hints[0]
		}
		if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}
