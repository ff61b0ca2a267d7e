package diagnose

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
	"github.com/org/hubspoke-chain/internal/transport"
)

const (
	hub   = "arn:aws:iam::123456789012:role/hub"
	spoke = "arn:aws:iam::222222222222:role/deploy"
	user  = "User: arn:aws:sts::123456789012:assumed-role/hub/gh-1-1 is not authorized to perform: "
)

// claims are those of a token that says this beside what it must say.
func claims(t testing.TB, more map[string]string) idtoken.Claims {
	t.Helper()
	all := map[string]string{"iss": "https://token.actions.githubusercontent.com", "aud": "sts.amazonaws.com"}
	for name, value := range more {
		all[name] = value
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	c, err := idtoken.ParseClaims("eyJ." + base64.RawURLEncoding.EncodeToString(payload) + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run is what Explain takes besides the error.
type run struct {
	plan   hop.Plan
	claims idtoken.Claims
	job    Job
}

// newRun returns a run whose token has this subject.
func newRun(t testing.TB, subject string) run {
	t.Helper()
	r := run{claims: claims(t, map[string]string{"sub": subject}), plan: hop.Plan{
		Region: "us-east-1", Audience: "sts.amazonaws.com", SessionName: "gh-1-1", DurationSeconds: 3600,
		Tags: []hop.Tag{{Key: "GitHub", Value: "Actions"}}, MaxAttempts: 5, TimeoutSeconds: 60,
	}}
	var err error
	if r.plan.Hub, err = hop.ParseRoleARN(hub); err != nil {
		t.Fatal(err)
	}
	role, err := hop.ParseRoleARN(spoke)
	if err != nil {
		t.Fatal(err)
	}
	r.plan.Spokes = []hop.ARN{role}
	return r
}

func (r run) explain(err error) Explanation { return Explain(err, r.plan, r.claims, r.job) }

func refused(stage hop.Stage, code, message string) *hop.Error {
	role := hub
	if stage == hop.StageSpoke {
		role = spoke
	}
	return &hop.Error{Stage: stage, Role: role, Code: code, Message: message, RequestID: "1f2e", Status: 403}
}

func requesting(e idtoken.Error) *hop.Error { return &hop.Error{Stage: hop.StageToken, Err: &e} }

// TestWhole has two explanations in full; testdata/failures of the command has those of 67 failures, as the
// log and the summary show them.
func TestWhole(t *testing.T) {
	t.Parallel()
	got := newRun(t, "repo:o/r:pull_request").explain(refused(hop.StageHub, "InvalidIdentityToken", "Incorrect token audience"))
	want := Explanation{
		Cause: "assuming hub role " + hub + `: InvalidIdentityToken: Incorrect token audience (request 1f2e); the OIDC provider in account 123456789012 ` +
			`does not list the audience "sts.amazonaws.com"`,
		Certain: true,
		Causes: []Cause{{
			Title:    `the OIDC provider in account 123456789012 does not list the audience "sts.amazonaws.com"`,
			Evidence: []string{`the token's audience is "sts.amazonaws.com"`},
			Fix:      "add the audience to the provider, or request one that it has; the default is sts.amazonaws.com",
			Snippet: Snippet{"sh", "account 123456789012", "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn " +
				"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com --client-id sts.amazonaws.com"},
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%#v\nwant\n%#v", got, want)
	}

	got = newRun(t, "").explain(requesting(idtoken.Error{MissingEnv: "ACTIONS_ID_TOKEN_REQUEST_URL", Attempts: 1}))
	want = Explanation{
		Cause: "requesting the ID token: missing ACTIONS_ID_TOKEN_REQUEST_URL (ensure the job has permissions: id-token: write); " +
			"likely: the job does not have the permission id-token: write",
		Causes: []Cause{
			{
				Title:    "the job does not have the permission id-token: write",
				Evidence: []string{"ACTIONS_ID_TOKEN_REQUEST_URL is not set: the runner sets it only for a job that may request a token"},
				Fix:      "add it to the job, or to the whole workflow; the log of the job's first step, Set up job, lists its permissions",
				Snippet: Snippet{"yaml", "the job, in the workflow", "permissions:\n  id-token: write\n" +
					"  contents: read # naming one permission drops all others, and actions/checkout needs this one"},
			},
			{
				Title: "the job is in a reusable workflow, and the job that calls it does not grant the permission",
				Fix:   "a reusable workflow gets no more than its caller grants: grant the permission to the calling job too",
				Snippet: Snippet{"yaml", "the calling job, in the caller's workflow", "permissions:\n  id-token: write\n" +
					"  contents: read # naming one permission drops all others, and actions/checkout needs this one"},
			},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%#v\nwant\n%#v", got, want)
	}
}

// TestCauses takes each kind of failure to the titles of its causes: one with "=" before it is certain.
func TestCauses(t *testing.T) {
	t.Parallel()
	const (
		legacy, immutable = "repo:o/r:environment:e", "repo:o@12/r@34:environment:e"
		hubPolicies       = "the permission policies of the hub role do not allow "
		hubTrust          = "the trust policy of the hub role "
		spokeTrust        = "the trust policy of the spoke role "
		gone              = "the hub role does not exist, or its trust policy names another principal instead of the OIDC provider"
		spelling          = hubTrust + "writes the subject in another case, or has a * where StringEquals takes it literally"
		claim             = hubTrust + "has a condition on another claim, and that fails"
		audience          = hubTrust + `requires another audience than "sts.amazonaws.com"`
		clock             = "the runner's clock is wrong"
		unreached         = "the runner does not reach "
		changes           = "something between the runner and AWS changes requests"
		recreated         = "the hub role was deleted and created again after the trust policy was saved"
		missing           = "the spoke role does not exist"
		notNamed          = spokeTrust + "does not name the hub role"
		condition         = spokeTrust + "requires a tag, a source identity or a claim that this run does not have"
		pinned            = spokeTrust + "is pinned to another environment or branch than this run's"
		forked            = "the run is for a pull request from a fork, and GitHub issues no ID token to such runs|" +
			"the job does not have the permission id-token: write|the job is in a reusable workflow, and the job that calls it does not grant the permission"
		trouble = "AWS STS has an outage in this region, or a proxy in front of it has"
	)
	denied := func(action, reason string) *hop.Error {
		return refused(hop.StageSpoke, "AccessDenied", user+action+" on resource: "+spoke+reason)
	}
	webDenied := refused(hop.StageHub, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	for _, test := range []struct {
		name   string
		err    error
		change func(*run)
		want   string
	}{
		{"nothing", nil, nil, ""},
		{"another error", errors.New("x"), nil, ""},
		{"canceled", &hop.Error{Stage: hop.StageSpoke, Role: spoke, Err: context.Canceled}, nil, "=the runner stopped the step"},
		{"no time for GitHub", &hop.Error{Stage: hop.StageToken, Err: context.DeadlineExceeded}, nil, "GitHub's token endpoint was too slow"},
		{"something else when requesting", &hop.Error{Stage: hop.StageToken, Err: errors.New("x")}, nil, ""},
		{"job not running", requesting(idtoken.Error{NotInJob: true, Status: 403, Attempts: 5}), nil, "=GitHub reports that the job is not in progress"},
		{"request token", requesting(idtoken.Error{Status: 401}), nil, "GitHub does not accept the runner's request token"},
		{"GitHub throttles", requesting(idtoken.Error{Status: 429, Attempts: 5}), nil, "GitHub throttles requests for tokens"},
		{"GitHub is down", requesting(idtoken.Error{Status: 503, Attempts: 5}), nil, "GitHub's token service has an outage"},
		{"GitHub is silent", requesting(idtoken.Error{Reason: transport.Unreachable, Err: errors.New("x"), Attempts: 5}), nil, unreached + "GitHub's token endpoint"},
		{"GitHub without a cause", requesting(idtoken.Error{}), nil, unreached + "GitHub's token endpoint"},
		{"not GitHub", requesting(idtoken.Error{Status: 200, Reason: transport.WrongResponse, Err: errors.New("x")}), nil,
			"something between the runner and GitHub responded instead of it|ACTIONS_ID_TOKEN_REQUEST_URL is not what the runner set"},
		{"not HTTP", requesting(idtoken.Error{Reason: transport.WrongResponse, Err: errors.New("x")}), nil,
			"something between the runner and GitHub responded instead of it|ACTIONS_ID_TOKEN_REQUEST_URL is not what the runner set"},
		{"GitHub stalls", requesting(idtoken.Error{Status: 200, Reason: transport.TimedOut, Err: context.DeadlineExceeded}), nil,
			"GitHub's token endpoint was too slow, or something on the way drops what is sent to it"},
		{"GitHub is cut short", requesting(idtoken.Error{Status: 200, Reason: transport.CutShort, Err: errors.New("x")}), nil, unreached + "GitHub's token endpoint"},
		{"fork", requesting(idtoken.Error{MissingEnv: "X"}), func(r *run) { r.job.Event, r.job.Head, r.job.Repository = "pull_request", "x/r", "o/r" },
			forked},
		{"perhaps a fork", requesting(idtoken.Error{MissingEnv: "X"}), func(r *run) { r.job.Event = "pull_request" },
			forked},

		{"hub, legacy", webDenied, nil, hubTrust + `does not allow environment "e"|` + hubTrust + "names the repository with its ids, and this token's subject has none|" +
			claim + "|" + spelling + "|" + gone + "|" + audience},
		{"hub, immutable", webDenied, func(r *run) { r.claims = claims(t, map[string]string{"sub": immutable}) },
			hubTrust + "names the repository without its ids, or in the withdrawn form with hyphens|" + hubTrust + `does not allow environment "e"|` +
				claim + "|" + spelling + "|" + gone + "|" + audience},
		{"hub, capitals", webDenied, func(r *run) { r.claims = claims(t, map[string]string{"sub": "repo:o/r:ref:refs/heads/Main"}) },
			hubTrust + `does not allow "refs/heads/Main" without an environment|` + spelling + "|" +
				hubTrust + "names the repository with its ids, and this token's subject has none|" + claim + "|" + gone + "|" + audience},
		{"hub, no token", webDenied, func(r *run) { r.claims = idtoken.Claims{} },
			hubTrust + "does not expect a customized subject|" + claim + "|" + spelling + "|" + gone + "|" + audience},
		{"no provider, legacy text", refused(hop.StageHub, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://x"), nil,
			`=account 123456789012 has no OIDC provider for "https://token.actions.githubusercontent.com"`},
		{"thumbprint", refused(hop.StageHub, "InvalidIdentityToken", "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"), nil,
			"=the issuer's certificate does not match the thumbprint of the OIDC provider"},
		{"keys", refused(hop.StageHub, "IDPCommunicationError", "x"), nil, "=AWS could not fetch the issuer's keys"},
		{"not a JWT", refused(hop.StageHub, "InvalidIdentityToken", "The ID Token provided is not a valid JWT."), nil, "AWS does not accept the token"},
		{"expired token", refused(hop.StageHub, "ExpiredTokenException", "Token expired"), nil, "the token was too old when AWS received it: something on the way delayed the request"},
		{"expired token of a server", refused(hop.StageHub, "ExpiredTokenException", "Token expired"),
			func(r *run) {
				r.claims = claims(t, map[string]string{"iss": "https://git.example.com/_services/token"})
			},
			"the clock of the GitHub Enterprise Server is wrong|the token was too old when AWS received it: something on the way delayed the request"},
		{"hub's policy too large", refused(hop.StageHub, "PackedPolicyTooLarge", "x"), nil, "=the session policy that limits the hub's session to this spoke is larger than AWS allows"},

		{"spoke", denied("sts:AssumeRole", ""), nil,
			notNamed + "|" + pinned + "|" + spokeTrust + "requires an external id (sts:ExternalId)|" + recreated + "|" + missing + "|" + condition},
		{"spoke with an external id", denied("sts:AssumeRole", ""), func(r *run) { r.plan.ExternalID = "x1" },
			spokeTrust + "requires another external id (sts:ExternalId)|" + notNamed + "|" + pinned + "|" + recreated + "|" + missing + "|" + condition},
		{"spoke without tags", denied("sts:AssumeRole", ""), func(r *run) { r.plan.Tags = nil },
			notNamed + "|" + pinned + "|" + condition + "|" + spokeTrust + "requires an external id (sts:ExternalId)|" + recreated + "|" + missing},
		{"hub's side", denied("sts:TagSession", " because no identity-based policy allows the sts:TagSession action"), nil, "=" + hubPolicies + "sts:TagSession on the spoke"},
		{"hub denies", denied("sts:AssumeRole", " with an explicit deny in an identity-based policy"), nil, "=a permission policy of the hub role denies sts:AssumeRole"},
		{"spoke's side, named", refused(hop.StageSpoke, "AccessDenied", user+"sts:AssumeRole because no role trust policy allows the sts:AssumeRole action"), nil,
			"=" + spokeTrust + "does not allow sts:AssumeRole"},
		{"boundary", denied("sts:AssumeRole", " because no permissions boundary allows the sts:AssumeRole action"), nil, "=the permissions boundary of the hub role does not allow sts:AssumeRole"},
		{"source identity that is set", denied("sts:SetSourceIdentity", ""), func(r *run) {
			r.plan.SourceIdentity = "b"
			r.claims = claims(t, map[string]string{"sub": legacy, "https://aws.amazon.com/source_identity": "a"})
		}, "the hub's session already has a source identity, which stays for the whole chain|" + spokeTrust + "does not allow sts:SetSourceIdentity to the hub role|" +
			hubPolicies + "sts:SetSourceIdentity on the spoke"},
		{"region", refused(hop.StageSpoke, "RegionDisabledException", "STS is not activated in this region for account:123456789012. Your"), nil,
			`=STS is not activated in "us-east-1" for account 123456789012`},
		{"region without an account", refused(hop.StageHub, "RegionDisabledException", "x"), nil, `=STS is not activated in "us-east-1" for an account of this hop`},
		{"tag", refused(hop.StageSpoke, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."), nil, "=AWS does not accept the session tags"},
		{"ARN", refused(hop.StageSpoke, "ValidationError", spoke+" is invalid"), nil, "=role-to-assume is not an ARN that AWS accepts here"},
		{"policy of the hub", refused(hop.StageHub, "MalformedPolicyDocument", "x"), nil, ""},
		{"anything else", refused(hop.StageSpoke, "ValidationError", "x"), nil, ""},
		{"signature", refused(hop.StageSpoke, "SignatureDoesNotMatch", "x"), nil, changes + "|" + clock},
		{"region", refused(hop.StageHub, "SignatureDoesNotMatch", "Credential should be scoped to a valid region."), nil, `="us-east-1" (aws-region) is not a region whose signatures this endpoint accepts`},
		{"clock", refused(hop.StageSpoke, "SignatureDoesNotMatch", "Signature not yet current: x"), nil, "=" + clock},

		{"no time for AWS", &hop.Error{Stage: hop.StageHub, Err: context.DeadlineExceeded}, nil, "AWS STS was too slow, or something on the way drops what is sent to it"},
		{"no name", &hop.Error{Stage: hop.StageHub, Reason: transport.NoSuchHost, Err: errors.New("x")}, nil, "the runner's DNS does not know the name of AWS STS"},
		{"unreachable", &hop.Error{Stage: hop.StageHub, Reason: transport.Unreachable, Err: errors.New("x")}, nil, unreached + "AWS STS"},
		{"proxy", &hop.Error{Stage: hop.StageHub, Reason: transport.ProxyRefused, Err: errors.New("x")}, func(r *run) { r.job.Proxy = "p:3128" }, `=the proxy "p:3128" does not connect the step to AWS STS`},
		{"no proxy there", &hop.Error{Stage: hop.StageHub, Reason: transport.ProxyUnreachable, Err: errors.New("x")}, func(r *run) { r.job.Proxy = "p:3128" }, `=the proxy "p:3128" does not connect the step to AWS STS`},
		{"clock skew", &hop.Error{Stage: hop.StageSpoke, Status: 200, Reason: transport.ClockSkew, Err: errors.New("x")}, nil, "the runner's clock and the STS endpoint's clock disagree"},
		{"not AWS", &hop.Error{Stage: hop.StageSpoke, Status: 200, Reason: transport.WrongResponse, Err: errors.New("x")}, nil, "the endpoint is not AWS STS"},
		{"too large", &hop.Error{Stage: hop.StageSpoke, Status: 200, Reason: transport.TooLarge, Err: errors.New("x")}, nil, "the endpoint is not AWS STS"},
		{"certificate", requesting(idtoken.Error{Reason: transport.UntrustedCertificate, Err: errors.New("x")}), nil, "=no trusted certificate authority signed the certificate of GitHub's token endpoint"},
		{"cut short", &hop.Error{Stage: hop.StageHub, Status: 200, Reason: transport.CutShort, Err: errors.New("x")}, nil, unreached + "AWS STS"},
		{"gateway", &hop.Error{Stage: hop.StageHub, Status: 502, Err: errors.New("x")}, nil, trouble},
		{"no time to export", &hop.Error{Stage: hop.StageExport, Err: context.DeadlineExceeded}, nil, "the step timed out after AWS had responded"},
		{"no room", &hop.Error{Stage: hop.StageExport, Err: errors.New("no space left on device")}, nil, "the runner's files for environment variables and outputs cannot be written"},
	} {
		r := newRun(t, legacy)
		if test.change != nil {
			test.change(&r)
		}
		x := r.explain(test.err)
		var titles []string
		for _, c := range x.Causes {
			titles = append(titles, c.Title)
		}
		got := strings.Join(titles, "|")
		if x.Certain {
			got = "=" + got
		}
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, strings.ReplaceAll(got, "|", "\n     "), strings.ReplaceAll(test.want, "|", "\n     "))
		}
		if test.err != nil && !strings.HasPrefix(x.Cause, test.err.Error()) {
			t.Errorf("%s: the cause is %s", test.name, x.Cause)
		}
		if x.Certain && (len(x.Causes) != 1 || x.Decide != nil) {
			t.Errorf("%s: certain with %d causes and a command that decides", test.name, len(x.Causes))
		}
		if len(x.Causes) > 0 && x.Causes[0].Fix == "" {
			t.Errorf("%s: there is no fix", test.name)
		}
	}
}

// TestEvidence checks evidence that depends on the reason or on what was sent.
func TestEvidence(t *testing.T) {
	t.Parallel()
	r := newRun(t, "repo:o/r:pull_request")
	r.job.Proxy = "p:3128"
	r.plan.Tags = []hop.Tag{{Key: "a", Value: "12345"}, {Key: "b", Value: "123456789", Droppable: true}, {Key: "c", Value: "1"}}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"not HTTP", requesting(idtoken.Error{Reason: transport.WrongResponse, Err: errors.New("x")}), "its response is not HTTP"},
		{"no token", requesting(idtoken.Error{Status: 200, Reason: transport.WrongResponse, Err: errors.New("x")}), "it returned HTTP 200 and no token"},
		{"refused", &hop.Error{Stage: hop.StageHub, Reason: transport.ProxyRefused, Err: errors.New("x")}, "it refused to open a tunnel"},
		{"no proxy", &hop.Error{Stage: hop.StageHub, Reason: transport.ProxyUnreachable, Err: errors.New("x")}, "the runner does not reach it"},
		{"tags", refused(hop.StageSpoke, "PackedPolicyTooLarge", "x"), "2 session tags with 8 bytes in all, without those that were dropped already"},
	} {
		if got := r.explain(test.err).Causes[0].Evidence[0]; got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// TestSubjects has subjects from which a policy is made, and others from which none is.
func TestSubjects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ issuer, subject, want string }{ // want is a part of the policy; empty for none
		{"", "repo:o@1/r@2:environment:a%3Ab", `:sub": "repo:o@1/r@2:environment:a%3Ab"`},
		{"", "repo:o/r:ref:refs/tags/v1", `:sub": "repo:o/r:ref:refs/tags/v1"`},
		{"", "repo:o/r:pull_request", `:sub": "repo:o/r:pull_request"`},
		{"/acme", "repo:o/r:pull_request", `oidc-provider/token.actions.githubusercontent.com/acme"`},
		{"https://token.actions.acme.ghe.com", "repo:o/r:pull_request", `"token.actions.acme.ghe.com:sub"`},
		{"https://git.example.com/_services/token", "repo:o/r:pull_request", `"git.example.com/_services/token:sub"`},
		{"https://git.example.com", "repo:o/r:pull_request", ""},
		{"", "repo:o/r:environment:a:job_workflow_ref:b", ""},
		{"", "repo:o/r:ref:refs/pull/1/merge", ""},
		{"", "repo:o/r:environment:*", ""},
		{"", "repository_owner:o", ""},
		{"", "", ""},
	} {
		issuer := test.issuer
		if !strings.HasPrefix(issuer, "https://") {
			issuer = "https://token.actions.githubusercontent.com" + issuer
		}
		r := newRun(t, "")
		r.claims = claims(t, map[string]string{"iss": issuer, "sub": test.subject})
		e := explainer{plan: r.plan, claims: r.claims, failure: webDenied(), spoke: r.plan.Spokes[0]}
		got := e.hubTrust()
		if test.want == "" && got.Text != "" || !strings.Contains(got.Text, test.want) {
			t.Errorf("%s %s: got %q", issuer, test.subject, got.Text)
		}
		if got.Text == "" && !strings.Contains(r.explain(e.failure).Causes[0].Fix+r.explain(e.failure).Causes[1].Fix, quoted(test.subject)) {
			t.Errorf("%s: neither a policy nor the subject is shown", test.subject)
		}
	}
}

func webDenied() *hop.Error {
	return refused(hop.StageHub, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
}

// TestShell gives words to bash, which must read them as they were.
func TestShell(t *testing.T) {
	t.Parallel()
	for _, word := range []string{
		"plain-1.2/x@y:z", "", "a b", "it's", `a"b`, "$(touch x)", "`x`", "a\\b", "a\nb", "\x1b[31m", "##[error]x", "x##[y'z\\", "\u202egpj", "größe €", "\xff\xfe", "~", "*", "-x", "#x", "!x",
	} {
		quoted := shell(word)
		if strings.ContainsFunc(quoted, func(c rune) bool { return !unicode.IsPrint(c) }) || strings.Contains(quoted, "##[") {
			t.Errorf("%q becomes %s", word, quoted)
		}
		command := exec.Command("bash", "-c", "printf %s "+quoted)
		command.Env = []string{"LC_ALL=C.UTF-8"}
		if got, err := command.Output(); err != nil || string(got) != word {
			t.Errorf("%q becomes %s, which bash reads as %q, %v", word, quoted, got, err)
		}
	}
}

// FuzzExplain looks for a panic, and for a line that is not one line of bounded length.
func FuzzExplain(f *testing.F) {
	subjects := []string{"repo:o@1/r@2:environment:e", "repo:o/r:ref:refs/heads/x", "x\n::error::y", "repo:o/r:environment:\u202e`\"", ""}
	for i, code := range []string{
		"AccessDenied", "InvalidIdentityToken", "ExpiredToken", "RegionDisabledException", "PackedPolicyTooLarge", "ValidationError", "SignatureDoesNotMatch",
		"InvalidClientTokenId", "Throttling", "MalformedPolicyDocument", "InvalidParameterValue", "IDPCommunicationError", "", "x\r\n##[error]y",
	} {
		for stage := range 4 {
			f.Add(stage, code, user+"sts:TagSession because no session policy allows\x00", 403, subjects[i%len(subjects)], "https://x/y\n", strings.Repeat("v", i*300))
			f.Add(stage, code, "no response from x", 0, subjects[(i+1)%len(subjects)], "", "\x1b")
		}
	}
	reasons := []transport.Reason{
		"", transport.TimedOut, transport.CutShort, transport.TooLarge, transport.WrongResponse, transport.ClockSkew, transport.NoSuchHost,
		transport.Unreachable, transport.ProxyRefused, transport.ProxyUnreachable, transport.UntrustedCertificate,
	}
	for status := range reasons {
		for stage := range 3 {
			f.Add(stage, "", "x", status, subjects[0], "", "proxy\u202e\n:3128")
		}
	}
	f.Fuzz(func(t *testing.T, stage int, code, message string, status int, subject, issuer, value string) {
		stages := []hop.Stage{hop.StageToken, hop.StageHub, hop.StageSpoke, hop.StageExport}
		r := newRun(t, subject)
		r.claims = claims(t, map[string]string{"sub": subject, "iss": issuer, "actor": value, "job_workflow_ref": value, "workflow_ref": "x"})
		r.plan.Tags = append(r.plan.Tags, hop.Tag{Key: value, Value: message})
		r.plan.Endpoint, r.plan.SourceIdentity, r.plan.Audience = "https://"+value, value, value
		r.job = Job{Event: value, Actor: value, Repository: value, RunID: value, Proxy: value}
		reason := reasons[uint(status)%uint(len(reasons))]
		failure := &hop.Error{Stage: stages[uint(stage)%4], Role: hub, Code: code, Message: message, Status: status, RequestID: value}
		if code == "" {
			failure.Err, failure.Reason = errors.New(message), reason
			if failure.Stage == hop.StageToken {
				failure.Err = &idtoken.Error{Status: status, Reason: reason, Err: errors.New(message), MissingEnv: issuer}
			}
		}
		for _, err := range []error{failure, fmt.Errorf("%s: %w", value, failure), errors.Join(errors.New(message), failure), errors.New(message)} {
			checkLines(t, r.explain(err))
		}
	})
}

func checkLines(t *testing.T, x Explanation) {
	t.Helper()
	lines := append([]string{x.Cause}, x.Decide...)
	for _, c := range x.Causes {
		lines = append(lines, c.Title, c.Fix, c.Snippet.Where)
		lines = append(lines, c.Evidence...)
		lines = append(lines, strings.Split(c.Snippet.Text, "\n")...)
		if (c.Snippet.Text == "") != (c.Snippet == Snippet{}) || strings.HasSuffix(c.Snippet.Text, "\n") {
			t.Errorf("half a snippet: %q", c.Snippet)
		}
	}
	for _, line := range lines {
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("not one line that prints: %q", line)
		}
		if len(line) > 12000 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}
