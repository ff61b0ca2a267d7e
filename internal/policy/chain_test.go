package policy

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	chainHub   = "arn:aws:iam::123456789012:role/path/hub"
	chainSpoke = "arn:aws:iam::222222222222:role/spoke"
)

func chainToken(claims Claims) *Token {
	return &Token{Issuer: github, Provider: "arn:aws:iam::123456789012:oidc-provider/" + github, Claims: claims}
}

// keys lists a context, sorted.
func keys(ctx Context) []string { return slices.Sorted(maps.Keys(ctx)) }

// TestWebIdentityKeys has the keys that AWS gives a call with a token: "Available keys for AWS OIDC federation"
// (IAM User Guide) and the Service Authorization Reference of AWS STS.
func TestWebIdentityKeys(t *testing.T) {
	t.Parallel()
	always := []string{"aws:currenttime", "aws:epochtime", "aws:resourceaccount", "aws:securetransport", "sts:rolesessionname"}
	claims := Claims{
		"sub": "repo:o/r:environment:e", "aud": "sts.amazonaws.com", "environment": "e", "ref": "refs/heads/main", "actor": "",
		"event_name": "push", "runner_environment": "github-hosted", "iat": 1.0,
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
		"github.com": {chainToken(claims), []string{github + ":aud", github + ":environment", github + ":ref", github + ":sub"}},
		"azp and amr": {chainToken(Claims{"sub": "s", "aud": []any{"a", "b"}, "azp": "z", "amr": []any{"x"}}),
			[]string{github + ":amr", github + ":aud", github + ":oaud", github + ":sub"}},
		"GitHub Enterprise Server": {&Token{Issuer: ghes, Claims: claims}, []string{ghes + ":aud", ghes + ":sub"}},
		"a claim that is a number": {chainToken(with("repository_id", 7.0)), []string{github + ":aud", github + ":environment", github + ":ref", github + ":sub"}},
	} {
		requests := Call{Token: test.token, Role: Role{ARN: chainHub}, SessionName: "s"}.Requests()
		if len(requests) != 1 || requests[0].Action != "sts:AssumeRoleWithWebIdentity" || requests[0].Resource != chainHub {
			t.Fatalf("%s: %+v", name, requests)
		}
		if requests[0].Caller != (Caller{Federated: test.token.Provider}) {
			t.Errorf("%s: caller %+v", name, requests[0].Caller)
		}
		want := slices.Sorted(slices.Values(slices.Concat(always, test.want)))
		if got := keys(requests[0].Context); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
	azp := Call{Token: chainToken(Claims{"sub": "s", "aud": []any{"a", "b"}, "azp": "z"}), Role: Role{ARN: chainHub}}.Requests()[0].Context
	if aud, _ := azp.Values(github + ":aud"); !slices.Equal(aud, []string{"z"}) {
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
		Context: Context{"aws:sourceip": {"192.0.2.1"}},
	}
	requests := second.Requests()
	var actions []string
	for _, r := range requests {
		actions = append(actions, r.Action)
	}
	if want := []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}; !slices.Equal(actions, want) {
		t.Errorf("actions %q, want %q", actions, want)
	}
	want := Caller{Account: "123456789012", RoleARN: chainHub, RoleID: "AROAHUB", SessionARN: hub.ARN()}
	if got := requests[0].Caller; got != want {
		t.Errorf("caller %+v, want %+v", got, want)
	}
	holds(t, requests[0].Context, map[string]string{
		github + ":sub": "s", github + ":aud": "a", "aws:FederatedProvider": "arn:aws:iam::123456789012:oidc-provider/" + github,
		"aws:PrincipalArn": chainHub, "aws:PrincipalAccount": "123456789012", "aws:PrincipalOrgID": "o-1", "aws:PrincipalTag/Team": "hub",
		"aws:userid": "AROAHUB:one", "aws:TokenIssueTime": "2026-11-23T12:00:00Z", "aws:RequestTag/Extra": "x", "aws:TagKeys": "Team Extra",
		"sts:TransitiveTagKeys": "team", "sts:SourceIdentity": "octocat", "sts:ExternalId": "id", "sts:RoleSessionName": "two",
		"aws:ResourceTag/Team": "spoke", "iam:ResourceTag/Cost": "1", "aws:ResourceAccount": "222222222222", "aws:RequestedRegion": "us-east-1",
		"aws:SourceIp": "192.0.2.1",
	})
	for _, key := range []string{github + ":environment", "aws:SourceAccount", "aws:SourceIdentity", "aws:UserAgent", "aws:ResourceOrgID"} {
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
	if _, present := requests[0].Context.Values(github + ":sub"); present {
		t.Error("the token's keys are in the session behind the next role")
	}
	if got := third.Session(); got.SourceIdentity != "octocat" || len(got.Transitive) != 1 || got.Transitive[0].Value != "red" {
		t.Errorf("session %+v", got)
	}

	third.SourceIdentity = "hubot"
	everything := parse(t, `{"Statement": {"Effect": "Allow", "Action": "*", "Principal": "*"}}`)
	steps := third.Authorize(Policies{Trust: everything, Identity: []*Document{parse(t, `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`)}})
	if len(steps) != 1 || steps[0].Allowed || steps[0].Action != "sts:SetSourceIdentity" ||
		steps[0].Reason != `the calling session has the source identity "octocat", which stays for the whole chain` {
		t.Errorf("another source identity: %+v", steps)
	}
}

func holds(t *testing.T, ctx Context, want map[string]string) {
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
		github: true, github + "/octo-enterprise": true, "token.actions.octo.ghe.com": true, "github.com/enterprises/octo": true,
		"token.actions.octo.ghe.com/octo": false, "github.example.com/_services/token": false, "gitlab.com": false,
		"token.actions.githubusercontent.com.evil.com": false, "evil.ghe.com": false, "": false,
	} {
		if got := CarriesClaims(issuer); got != want {
			t.Errorf("%q: %t", issuer, got)
		}
	}
}

func TestJobSubject(t *testing.T) {
	t.Parallel()
	legacy, immutable := Repository{Owner: "o", Name: "r"}, Repository{Owner: "o", Name: "r", OwnerID: "1", ID: "2"}
	for _, test := range []struct {
		repository Repository
		claims     Claims
		want       string
	}{
		{legacy, Claims{"environment": "a:b", "event_name": "pull_request", "ref": "x"}, "repo:o/r:environment:a%3Ab"},
		{immutable, Claims{"event_name": "pull_request", "ref": "refs/pull/1/merge"}, "repo:o@1/r@2:pull_request"},
		{immutable, Claims{"event_name": "pull_request_target", "ref": "refs/heads/main"}, "repo:o@1/r@2:ref:refs/heads/main"},
		{legacy, Claims{}, ""},
	} {
		if got := JobSubject(test.repository, test.claims); got != test.want {
			t.Errorf("%v: %q, want %q", test.claims, got, test.want)
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 257)
	for want, tags := range map[string]Tags{
		"":                                        {{"Team", ""}, {"Ünï cødé", "a b_.:/=+-@"}},
		`"team" is there twice`:                   {{"Team", "a"}, {"team", "b"}},
		`"" is not a tag's key`:                   {{"", "a"}},
		`"aws:x" is not a tag's key`:              {{"aws:x", "a"}},
		`"a*" is not a tag's value`:               {{"k", "a*"}},
		`"` + long + `" is not a tag's value`:     {{"k", long}},
		`"` + long[:129] + `" is not a tag's key`: {{long[:129], ""}},
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

func TestExtract(t *testing.T) {
	t.Parallel()
	const document = `{"Version": "2012-10-17",
 "Statement": {"Sid": "A", "Effect": "Allow", "Principal": "*", "Action": "sts:*"}}`
	quoted := strings.ReplaceAll(strings.ReplaceAll(document, `"`, `\"`), "\n", `\n`)
	for name, test := range map[string]struct {
		file string
		role string
		at   Position // of the statement
	}{
		"as it is":           {document, "", Position{2, 15}},
		"get-role":           {"{\"Role\": {\n\"Arn\": \"é\", \"AssumeRolePolicyDocument\": " + document + "}}", "é", Position{3, 15}},
		"get-role, a string": {`{"Role": {"Arn": "x", "AssumeRolePolicyDocument": "` + quoted + `"}}`, "x", Position{2, 15}},
		"get-role, encoded": {`{"Role": {"AssumeRolePolicyDocument": "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%22%2A%22%2C%22Action%22%3A%22sts%3A%2A%22%7D%7D"}}`,
			"", Position{1, 14}},
		"get-role-policy":    {`{"PolicyName": "x", "PolicyDocument": ` + document + "}", "", Position{2, 15}},
		"get-policy-version": {`{"PolicyVersion": {"IsDefaultVersion": true, "Document": ` + document + "}}", "", Position{2, 15}},
		"describe-policy":    {`{"Policy": {"Content": "` + quoted + `"}}`, "", Position{2, 15}},
	} {
		text, role, err := Extract([]byte(test.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if role.ARN != test.role || d.Statements[0].Position != test.at {
			t.Errorf("%s: role %q, statement at %+v, want %+v", name, role.ARN, d.Statements[0].Position, test.at)
		}
	}
	if _, _, err := Extract([]byte(`{"Role": {"Arn": "x"}}`)); err == nil || err.Error() != "the role has no AssumeRolePolicyDocument" {
		t.Errorf("a role without a trust policy: %v", err)
	}
	full := `{"Role": {"Arn": "` + chainHub + `", "RoleId": "AROAX", "Tags": [{"Key": "Team", "Value": "red"}], "AssumeRolePolicyDocument": {}}}`
	if _, role, err := Extract([]byte(full)); err != nil || role.ARN != chainHub || role.ID != "AROAX" || !slices.Equal(role.Tags, Tags{{"Team", "red"}}) {
		t.Errorf("%+v, %v", role, err)
	}
}

// FuzzExtract reads anything, and finds documents where they stand.
func FuzzExtract(f *testing.F) {
	f.Add([]byte(`{"Role": {"AssumeRolePolicyDocument": {"Statement": []}}}`))
	f.Add([]byte(`{"PolicyDocument": "%7B%7D"}`))
	f.Add([]byte("{\"Policy\":\n{\"Content\": {}}}"))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, _, err := Extract(data)
		if err != nil {
			return
		}
		if len(text) > len(data) {
			t.Fatalf("%q became longer: %q", data, text)
		}
		// An object keeps its place in the file, line and column; a string is another text altogether.
		inner := bytes.TrimLeft(text, " \n")
		begin := len(text) - len(inner)
		if bytes.HasPrefix(inner, []byte("{")) && bytes.Equal(data[begin:len(text)], inner) &&
			bytes.Count(data[:begin], []byte("\n")) != bytes.Count(text[:begin], []byte("\n")) {
			t.Errorf("%q: the document has moved: %q", data, text)
		}
		if d, err := Parse(text); err == nil && len(d.Statements) == 0 {
			t.Errorf("%q: a policy without a statement", data)
		}
	})
}
