package chain

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/policy"
)

const (
	chainHub   = "arn:aws:iam::123456789012:role/path/hub"
	chainSpoke = "arn:aws:iam::222222222222:role/spoke"
)

func chainToken(claims Claims) *Token {
	return &Token{Issuer: policy.GitHubIssuer, Provider: "arn:aws:iam::123456789012:oidc-provider/" + policy.GitHubIssuer, Claims: claims}
}

// keys lists a context, sorted.
func keys(ctx policy.Context) []string { return slices.Sorted(maps.Keys(ctx)) }

// TestWebIdentityKeys checks the keys that AWS sets for a call with a token: "Available keys for AWS OIDC federation"
// (IAM User Guide) and the Service Authorization Reference of AWS STS.
func TestWebIdentityKeys(t *testing.T) {
	t.Parallel()
	always := []string{"aws:currenttime", "aws:epochtime", "aws:resourceaccount", "aws:securetransport", "sts:rolesessionname"}
	claims := Claims{
		"sub": "repo:o/r:environment:e", "aud": "sts.amazonaws.com", "environment": "e", "ref": "refs/heads/main", "actor": "",
		"event_name": "push", "runner_environment": "policy.GitHubIssuer-hosted", "iat": 1.0,
	}
	with := func(name string, value any) Claims {
		c := maps.Clone(claims)
		c[name] = value
		return c
	}
	const ghes = "github.example.com/_services/token"
	for name, test := range map[string]struct {
		token *Token
		want  []string
	}{
		"github.com": {chainToken(claims), []string{policy.GitHubIssuer + ":aud", policy.GitHubIssuer + ":environment", policy.GitHubIssuer + ":ref", policy.GitHubIssuer + ":sub"}},
		"azp and amr": {chainToken(Claims{"sub": "s", "aud": []any{"a", "b"}, "azp": "z", "amr": []any{"x"}}),
			[]string{policy.GitHubIssuer + ":amr", policy.GitHubIssuer + ":aud", policy.GitHubIssuer + ":oaud", policy.GitHubIssuer + ":sub"}},
		"GitHub Enterprise Server": {&Token{Issuer: ghes, Claims: claims}, []string{ghes + ":aud", ghes + ":sub"}},
		"a claim that is a number": {chainToken(with("repository_id", 7.0)), []string{policy.GitHubIssuer + ":aud", policy.GitHubIssuer + ":environment", policy.GitHubIssuer + ":ref", policy.GitHubIssuer + ":sub"}},
	} {
		requests := Call{Token: test.token, Role: Role{ARN: chainHub}, SessionName: "s"}.Requests()
		if len(requests) != 1 || requests[0].Action != "sts:AssumeRoleWithWebIdentity" || requests[0].Resource != chainHub {
			t.Fatalf("%s: %+v", name, requests)
		}
		if requests[0].Caller != (policy.Caller{Federated: test.token.Provider}) {
			t.Errorf("%s: caller %+v", name, requests[0].Caller)
		}
		want := slices.Sorted(slices.Values(slices.Concat(always, test.want)))
		if got := keys(requests[0].Context); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
	azp := Call{Token: chainToken(Claims{"sub": "s", "aud": []any{"a", "b"}, "azp": "z"}), Role: Role{ARN: chainHub}}.Requests()[0].Context
	if aud, _ := azp.Values(policy.GitHubIssuer + ":aud"); !slices.Equal(aud, []string{"z"}) {
		t.Errorf("aud %q, want azp", aud)
	}
}

// TestChain follows a session over three roles: "Chaining roles with session tags" (IAM User Guide).
func TestChain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	hub := Call{
		Token: chainToken(Claims{"sub": "s", "aud": "a", "environment": "e"}), SessionName: "one", Time: now,
		Role: Role{ARN: chainHub, ID: "AROAHUB", Organization: "o-1", Tags: Tags{{"Team", "hub"}}},
	}.Session()
	if got := hub.ARN(); got != "arn:aws:sts::123456789012:assumed-role/hub/one" {
		t.Errorf("session %s", got)
	}
	second := Call{
		Caller: &hub, Role: Role{ARN: chainSpoke, Tags: Tags{{"team", "spoke"}, {"Cost", "1"}}}, SessionName: "two", Time: now, Region: "us-east-1",
		Tags: Tags{{"Team", "red"}, {"Extra", "x"}}, TransitiveTagKeys: []string{"team"}, SourceIdentity: "octocat", ExternalID: "id",
		Context: policy.Context{"aws:sourceip": {"192.0.2.1"}},
	}
	requests := second.Requests()
	var actions []string
	for _, r := range requests {
		actions = append(actions, r.Action)
	}
	if want := []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}; !slices.Equal(actions, want) {
		t.Errorf("actions %q, want %q", actions, want)
	}
	want := policy.Caller{Account: "123456789012", RoleARN: chainHub, RoleID: "AROAHUB", SessionARN: hub.ARN()}
	if got := requests[0].Caller; got != want {
		t.Errorf("caller %+v, want %+v", got, want)
	}
	holds(t, requests[0].Context, map[string]string{
		policy.GitHubIssuer + ":sub": "s", policy.GitHubIssuer + ":aud": "a", "aws:FederatedProvider": "arn:aws:iam::123456789012:oidc-provider/" + policy.GitHubIssuer,
		"aws:PrincipalArn": chainHub, "aws:PrincipalAccount": "123456789012", "aws:PrincipalOrgID": "o-1", "aws:PrincipalTag/Team": "hub",
		"aws:userid": "AROAHUB:one", "aws:TokenIssueTime": "2026-11-23T12:00:00Z", "aws:RequestTag/Extra": "x", "aws:TagKeys": "Team Extra",
		"sts:TransitiveTagKeys": "team", "sts:SourceIdentity": "octocat", "sts:ExternalId": "id", "sts:RoleSessionName": "two",
		"aws:ResourceTag/Team": "spoke", "iam:ResourceTag/Cost": "1", "aws:ResourceAccount": "222222222222", "aws:RequestedRegion": "us-east-1",
		"aws:SourceIp": "192.0.2.1",
	})
	for _, key := range []string{policy.GitHubIssuer + ":environment", "aws:SourceAccount", "aws:SourceIdentity", "aws:UserAgent", "aws:ResourceOrgID"} {
		if values, present := requests[0].Context.Values(key); present {
			t.Errorf("%s is %q", key, values)
		}
	}

	spoke := second.Session()
	third := Call{Caller: &spoke, Role: Role{ARN: chainHub, Tags: Tags{{"Team", "hub"}}}, SessionName: "three", Time: now}
	requests = third.Requests()
	if len(requests) != 3 {
		t.Fatalf("inherited tags and source identity need their actions: %+v", requests)
	}
	holds(t, requests[2].Context, map[string]string{
		"aws:PrincipalTag/Team": "red", "aws:PrincipalTag/Cost": "1", "aws:PrincipalTag/Extra": "x", "aws:ResourceTag/Team": "red",
		"aws:SourceIdentity": "octocat", "sts:SourceIdentity": "octocat",
	})
	if _, present := requests[0].Context.Values(policy.GitHubIssuer + ":sub"); present {
		t.Error("the token's keys are in the session behind the next role")
	}
	if got := third.Session(); got.SourceIdentity != "octocat" || len(got.Transitive) != 1 || got.Transitive[0].Value != "red" {
		t.Errorf("session %+v", got)
	}

	third.SourceIdentity = "hubot"
	everything := parse(t, `{"Statement": {"Effect": "Allow", "Action": "*", "Principal": "*"}}`)
	steps := third.Authorize(policy.Policies{Trust: everything, Identity: []*policy.Document{parse(t, `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`)}})
	if len(steps) != 1 || steps[0].Allowed || steps[0].Action != "sts:SetSourceIdentity" ||
		steps[0].Reason != `the calling session already has the source identity "octocat", which cannot change within a chain` {
		t.Errorf("another source identity: %+v", steps)
	}
}

func holds(t *testing.T, ctx policy.Context, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if got, _ := ctx.Values(key); strings.Join(got, " ") != value {
			t.Errorf("%s is %q, want %q", key, got, value)
		}
	}
}

func TestCarriesClaims(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]bool{
		policy.GitHubIssuer: true, policy.GitHubIssuer + "/octo-enterprise": true, "token.actions.octo.ghe.com": true, "github.com/enterprises/octo": true,
		"token.actions.octo.ghe.com/octo": false, "github.example.com/_services/token": false, "gitlab.com": false,
		"token.actions.githubusercontent.com.evil.com": false, "evil.ghe.com": false, "": false,
	} {
		if got := CarriesClaims(issuer); got != want {
			t.Errorf("%q: %t", issuer, got)
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 257)
	for want, tags := range map[string]Tags{
		"":                                      {{"Team", ""}, {"Ünï cødé", "a b_.:/=+-@"}},
		`duplicate key "team"`:                  {{"Team", "a"}, {"team", "b"}},
		`"" is not a tag key`:                   {{"", "a"}},
		`"aws:x" is not a tag key`:              {{"aws:x", "a"}},
		`"a*" is not a tag value`:               {{"k", "a*"}},
		`"` + long + `" is not a tag value`:     {{"k", long}},
		`"` + long[:129] + `" is not a tag key`: {{long[:129], ""}},
	} {
		if got := tags.Problem(); got != want {
			t.Errorf("%v: %q, want %q", tags, got, want)
		}
	}
	for want, test := range map[string]struct {
		sent       Tags
		transitive []string
		inherited  Tags
	}{
		"": {Tags{{"Team", "a"}}, []string{"team"}, Tags{{"Cost", "1"}}},
		"Duplicate tag keys found. Please note that Tag keys are case insensitive.": {sent: Tags{{"A", ""}, {"a", ""}}},
		"Tag keys and values must not begin with aws:.":                             {sent: Tags{{"A", "AWS:x"}}},
		"The specified transitive tag key must be included in the requested tags.":  {sent: Tags{{"A", ""}}, transitive: []string{"B"}},
		"One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.": {
			sent: Tags{{"A", "x"}}, inherited: Tags{{"a", "x"}}},
	} {
		if got := test.sent.Refusal(test.transitive, test.inherited); got != want {
			t.Errorf("%v: %q, want %q", test.sent, got, want)
		}
	}
}

func parse(t *testing.T, document string) *policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
