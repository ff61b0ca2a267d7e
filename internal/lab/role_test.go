package lab_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/org/hubspoke-chain/internal/hop"
)

// TestAssumeRoleParameters has AWS's texts for requests that are wrong in themselves.
func TestAssumeRoleParameters(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("s", 65)
	many := make([]string, 102)
	for i := range many {
		many[i] = fmt.Sprint("k", i)
	}
	tests := map[string]struct {
		change func(*sts.AssumeRoleInput)
		want   string
	}{
		"session name's characters": {func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("Session1:2") },
			`ValidationError: 1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		"session name too long": {func(in *sts.AssumeRoleInput) { in.RoleSessionName = &long },
			"ValidationError: 1 validation error detected: Value '" + long + "' at 'roleSessionName' failed to satisfy constraint: Member must have length less than or equal to 64"},
		"session name and duration": {func(in *sts.AssumeRoleInput) {
			in.RoleSessionName, in.DurationSeconds = aws.String("x"), aws.Int32(100)
		},
			"ValidationError: 2 validation errors detected: Value 'x' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2; " +
				"Value '100' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		"duration above all roles'": {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(43201) },
			"ValidationError: 1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200"},
		"chained for over an hour": {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(3601) },
			"ValidationError: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."},
		"malformed ARN": {func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:a:a::aaaaaaaaaa:") }, "ValidationError: arn:a:a::aaaaaaaaaa: is invalid"},
		"external id too short": {func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("x") },
			"ValidationError: 1 validation error detected: Value 'x' at 'externalId' failed to satisfy constraint: Member must have length greater than or equal to 2"},
		"tag key empty": {func(in *sts.AssumeRoleInput) { in.Tags = tagsOf("", "v") },
			"ValidationError: 2 validation errors detected: Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
				`Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+`},
		"tag value's characters": {func(in *sts.AssumeRoleInput) { in.Tags = tagsOf("k", "a*b") },
			`ValidationError: 1 validation error detected: Value 'a*b' at 'tags.1.member.value' failed to satisfy constraint: Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*`},
		"51 tags": {func(in *sts.AssumeRoleInput) { in.Tags = tagsOf(many...) },
			"ValidationError: 1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"},
		"tag twice": {func(in *sts.AssumeRoleInput) { in.Tags = tagsOf("Team", "a", "team", "b") },
			"InvalidParameterValue: Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		"tag of AWS": {func(in *sts.AssumeRoleInput) { in.Tags = tagsOf("AWS:team", "a") }, "InvalidParameterValue: Tag keys and values must not begin with aws:."},
		"transitive key without its tag": {func(in *sts.AssumeRoleInput) { in.Tags, in.TransitiveTagKeys = tagsOf("a", "b"), []string{"c"} },
			"InvalidParameterValue: The specified transitive tag key must be included in the requested tags."},
		"session policy not JSON":  {func(in *sts.AssumeRoleInput) { in.Policy = aws.String("{") }, "MalformedPolicyDocument: This policy contains invalid Json"},
		"session policy no policy": {func(in *sts.AssumeRoleInput) { in.Policy = aws.String(`{"a":1}`) }, "MalformedPolicyDocument: Syntax errors in policy."},
		"session policy too long": {func(in *sts.AssumeRoleInput) { in.Policy = aws.String(strings.Repeat(" ", 2049)) },
			"ValidationError: 1 validation error detected: Value '" + strings.Repeat(" ", 2049) + "' at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048"},
		"managed policy unknown": {func(in *sts.AssumeRoleInput) {
			in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/Nothing")}}
		}, "ValidationError: The managed policy arn:aws:iam::aws:policy/Nothing does not exist in the account of the role."},
		"packed tags": {func(in *sts.AssumeRoleInput) {
			for i := range 9 {
				in.Tags = append(in.Tags, tagsOf(fmt.Sprint("key", i), strings.Repeat("a", 250))...)
			}
		}, "PackedPolicyTooLarge: Packed size of session tags consumes 498% of allotted space."},
	}
	s := open(t, nil)
	client := s.client(s.hub("staging"))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := spokeInput(stagingRole)
			test.change(in)
			_, err := client.AssumeRole(t.Context(), in)
			if got := refusal(t, err); got != "Bad Request "+test.want {
				t.Errorf("got  %s\nwant %s", got, "Bad Request "+test.want)
			}
		})
	}
}

// TestAuthorization has a world for each policy that can refuse, and AWS's text for it.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	const deny = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"sts:TagSession","Resource":"*"}]}`
	const narrow = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
	refused := func(action, rest string) string {
		return "Forbidden AccessDenied: User: " + hubSession + " is not authorized to perform: " + action + " on resource: " + stagingRole + rest
	}
	world := func(old, text string) map[string]string {
		return map[string]string{"world.json": replaced(t, "world.json", old, text), "extra.json": narrow, "deny.json": deny}
	}
	hub := `"policies": ["hub-permissions.json"]`
	external := replaced(t, "spoke-trust.json", `"Action"`, `"Condition": {"StringEquals": {"sts:ExternalId": "secret-1"}}, "Action"`)
	tags, identity := tagsOf("Team", "red"), aws.String("octocat")
	tests := map[string]struct {
		files map[string]string
		in    sts.AssumeRoleInput
		want  string
	}{
		"all of it": {nil, sts.AssumeRoleInput{Tags: tags, SourceIdentity: identity}, "200"},
		"trust policy without the action": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", `"sts:AssumeRole",`, "")},
			sts.AssumeRoleInput{}, refused("sts:AssumeRole", "")},
		"trust policy without tags": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", `"sts:TagSession",`, "")},
			sts.AssumeRoleInput{Tags: tags}, refused("sts:TagSession", "")},
		"trust policy without tags, untagged": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", `"sts:TagSession",`, "")},
			sts.AssumeRoleInput{}, "200"},
		"trust policy without source identity": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", "sts:SetSourceIdentity", "sts:AssumeRoleWithSAML")},
			sts.AssumeRoleInput{SourceIdentity: identity}, refused("sts:SetSourceIdentity", "")},
		"trust policy of another role": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", hubRole, stagingRole)},
			sts.AssumeRoleInput{}, refused("sts:AssumeRole", "")},
		"hub role made again": {world(hub, hub+`, "recreated": true`), sts.AssumeRoleInput{}, refused("sts:AssumeRole", "")},
		"hub role made again, account trusted": {map[string]string{
			"world.json":       replaced(t, "world.json", hub, hub+`, "recreated": true`),
			"spoke-trust.json": replaced(t, "spoke-trust.json", hubRole, "arn:aws:iam::123456789012:root"),
		}, sts.AssumeRoleInput{}, "200"},
		"external id missing":      {map[string]string{"spoke-trust.json": external}, sts.AssumeRoleInput{}, refused("sts:AssumeRole", "")},
		"external id wrong":        {map[string]string{"spoke-trust.json": external}, sts.AssumeRoleInput{ExternalId: aws.String("secret-2")}, refused("sts:AssumeRole", "")},
		"external id, with tags":   {map[string]string{"spoke-trust.json": external}, sts.AssumeRoleInput{ExternalId: aws.String("secret-1"), Tags: tags}, "200"},
		"hub without the spoke":    {map[string]string{"hub-permissions.json": replaced(t, "hub-permissions.json", stagingRole, stagingRole+"x")}, sts.AssumeRoleInput{}, refused("sts:AssumeRole", " because no identity-based policy allows the sts:AssumeRole action")},
		"hub without tags":         {map[string]string{"hub-permissions.json": replaced(t, "hub-permissions.json", `"sts:TagSession",`, "")}, sts.AssumeRoleInput{Tags: tags}, refused("sts:TagSession", " because no identity-based policy allows the sts:TagSession action")},
		"hub denies tags":          {world(hub, `"policies": ["deny.json"]`), sts.AssumeRoleInput{Tags: tags}, refused("sts:TagSession", " with an explicit deny in an identity-based policy")},
		"boundary":                 {world(hub, hub+`, "boundary": "extra.json"`), sts.AssumeRoleInput{}, refused("sts:AssumeRole", " because no permissions boundary allows the sts:AssumeRole action")},
		"boundary denies tags":     {world(hub, hub+`, "boundary": "deny.json"`), sts.AssumeRoleInput{Tags: tags}, refused("sts:TagSession", " with an explicit deny in a permissions boundary")},
		"SCP":                      {world(`"name": "hub",`, `"name": "hub", "scps": ["extra.json"],`), sts.AssumeRoleInput{}, refused("sts:AssumeRole", " because no service control policy allows the sts:AssumeRole action")},
		"SCP denies tags":          {world(`"name": "hub",`, `"name": "hub", "scps": ["deny.json"],`), sts.AssumeRoleInput{Tags: tags}, refused("sts:TagSession", " with an explicit deny in a service control policy")},
		"trust policy denies tags": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", `"Statement": [`, `"Statement": [{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:TagSession"},`)}, sts.AssumeRoleInput{Tags: tags}, refused("sts:TagSession", " with an explicit deny in the role trust policy")},
		"subject kept in the hub's session": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", `"Action"`,
			`"Condition": {"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:octo-org@1234567/octo-repo@89012345:environment:staging"}}, "Action"`)}, sts.AssumeRoleInput{}, "200"},
		"other claims not kept": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", `"Action"`,
			`"Condition": {"StringEquals": {"token.actions.githubusercontent.com:repository_id": "89012345"}}, "Action"`)}, sts.AssumeRoleInput{}, refused("sts:AssumeRole", "")},
		"principal is the role, not the session": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", `"Action"`,
			`"Condition": {"ArnEquals": {"aws:PrincipalArn": "`+hubRole+`"}}, "Action"`)}, sts.AssumeRoleInput{}, "200"},
		"source account is absent": {map[string]string{"spoke-trust.json": replaced(t, "spoke-trust.json", `"Action"`,
			`"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}, "Action"`)}, sts.AssumeRoleInput{}, refused("sts:AssumeRole", "")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, test.files)
			in := test.in
			in.RoleArn, in.RoleSessionName = aws.String(stagingRole), aws.String("gh-1-1")
			_, err := s.client(s.hub("staging")).AssumeRole(t.Context(), &in)
			if got := refusal(t, err); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestAssumeRoleThatDoesNotExist(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	_, err := s.client(s.hub("staging")).AssumeRole(t.Context(), spokeInput("arn:aws:iam::222222222222:role/nobody"))
	want := "Forbidden AccessDenied: User: " + hubSession + " is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/nobody"
	if got := refusal(t, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestHubSessionPolicy narrows the hub's session when it is made: the chain cannot leave it.
func TestHubSessionPolicy(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	in := webInput(s.mint(s.job("staging")))
	in.Policy = aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole"],"Resource":["` + stagingRole + `"]}]}`)
	out, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if size, ok := s.packed().(int); !ok || size < 1 {
		t.Errorf("packed size %v", s.packed())
	}
	client := s.client(out.Credentials)
	if _, err := client.AssumeRole(t.Context(), spokeInput(stagingRole)); err != nil {
		t.Error(err)
	}
	_, err = client.AssumeRole(t.Context(), spokeInput(productionRole))
	want := "Forbidden AccessDenied: User: " + hubSession + " is not authorized to perform: sts:AssumeRole on resource: " + productionRole +
		" because no session policy allows the sts:AssumeRole action"
	if got := refusal(t, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	tagged := spokeInput(stagingRole)
	tagged.Tags = tagsOf("a", "b")
	_, err = client.AssumeRole(t.Context(), tagged)
	if got := refusal(t, err); !strings.HasSuffix(got, "because no session policy allows the sts:TagSession action") {
		t.Errorf("tagging: %s", got)
	}
}

// TestNarrowedHub has two roles in the hub's account whose trust policies grant to everyone in it, and to the hub's
// session by its ARN. What they grant is not limited by what a session policy does not allow, only by what it denies
// (IAM User Guide, "Policy evaluation logic", and "AWS JSON policy elements: Principal", role session principals:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html).
func TestNarrowedHub(t *testing.T) {
	t.Parallel()
	const openRole, namedRole = "arn:aws:iam::123456789012:role/open", "arn:aws:iam::123456789012:role/named"
	staging, err := hop.ParseRoleARN(stagingRole)
	if err != nil {
		t.Fatal(err)
	}
	denied := func(role string) string {
		return "Forbidden AccessDenied: User: " + hubSession + " is not authorized to perform: sts:AssumeRole on resource: " + role +
			" with an explicit deny in a session policy"
	}
	for name, test := range map[string]struct {
		policy *string
		want   map[string]string
	}{
		"no session policy": {nil, map[string]string{stagingRole: "200", productionRole: "200", openRole: "200", namedRole: "200"}},
		"a session policy that only allows": {
			aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],"Resource":"` + stagingRole + `"}]}`),
			map[string]string{
				stagingRole: "200", openRole: "200", namedRole: "200",
				productionRole: "Forbidden AccessDenied: User: " + hubSession + " is not authorized to perform: sts:AssumeRole on resource: " + productionRole +
					" because no session policy allows the sts:AssumeRole action",
			},
		},
		"the hop's session policy": {
			aws.String(hop.HubPolicy([]hop.ARN{staging})),
			map[string]string{stagingRole: "200", productionRole: denied(productionRole), openRole: denied(openRole), namedRole: denied(namedRole)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const trust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"PRINCIPAL"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`
			s := open(t, map[string]string{
				"world.json": replaced(t, "world.json", `"policies": ["hub-permissions.json"]
        }`, `"policies": ["hub-permissions.json"]
        }, {"name": "open", "trust": "open.json"}, {"name": "named", "trust": "named.json"}`),
				"open.json":  strings.Replace(trust, "PRINCIPAL", "*", 1) + `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"123456789012"}}}}`,
				"named.json": strings.Replace(trust, "PRINCIPAL", hubSession, 1) + `}}`,
			})
			web := webInput(s.mint(s.job("staging")))
			web.Policy = test.policy
			hub, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), web)
			if err != nil {
				t.Fatal(err)
			}
			for role, want := range test.want {
				in := spokeInput(role)
				in.Tags, in.SourceIdentity = tagsOf("Team", "red"), aws.String("octocat")
				_, err := s.client(hub.Credentials).AssumeRole(t.Context(), in)
				if got := refusal(t, err); got != want {
					t.Errorf("%s:\ngot  %s\nwant %s", role, got, want)
				}
			}
		})
	}
}

// TestThirdHop has a chain of three roles: what is transitive goes on, what is not is dropped.
func TestThirdHop(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]string{
		"world.json": replaced(t, "world.json", `"roles": [{ "name": "deploy-staging", "trust": "spoke-trust.json" }]`,
			`"roles": [{ "name": "deploy-staging", "trust": "spoke-trust.json", "policies": ["on.json"] }]`),
		"spoke-trust-untagged.json": replaced(t, "spoke-trust.json", hubRole, stagingRole),
		"on.json":                   `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:*","Resource":"*","Condition":{"StringEqualsIfExists":{"aws:PrincipalTag/team":"red"}}}}`,
	})
	in := spokeInput(stagingRole)
	in.Tags, in.TransitiveTagKeys, in.SourceIdentity = tagsOf("Team", "red", "Job", "deploy"), []string{"team"}, aws.String("octocat")
	spoke, err := s.client(s.hub("staging")).AssumeRole(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	client := s.client(spoke.Credentials)
	again := spokeInput(sharedRole)
	again.Tags = tagsOf("TEAM", "red")
	_, err = client.AssumeRole(t.Context(), again)
	if got, want := refusal(t, err), "Bad Request InvalidParameterValue: One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	other := spokeInput(sharedRole)
	other.SourceIdentity = aws.String("monalisa")
	_, err = client.AssumeRole(t.Context(), other)
	want := "Forbidden AccessDenied: User: arn:aws:sts::222222222222:assumed-role/deploy-staging/gh-1-1 is not authorized to perform: sts:SetSourceIdentity on resource: " + sharedRole
	if got := refusal(t, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	third, err := client.AssumeRole(t.Context(), spokeInput(sharedRole))
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(third.SourceIdentity) != "octocat" {
		t.Errorf("source identity %v is not inherited", third.SourceIdentity)
	}
	events := s.Events()
	request := events[len(events)-1].RequestParameters
	if got := fmt.Sprintf("%v %v %v", request["incomingTransitiveTags"], request["tags"], request["sourceIdentity"]); got != "map[Team:red] <nil> octocat" {
		t.Errorf("recorded %s", got)
	}
}

// TestQueryProtocol speaks to STS without an SDK.
func TestQueryProtocol(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {hubRole}, "RoleSessionName": {"gh-1-1"}, "WebIdentityToken": {s.mint(s.job("staging"))}}
	without := func(name, value string) string {
		changed := url.Values{}
		for k, v := range form {
			changed[k] = v
		}
		changed.Del(name)
		if value != "" {
			changed.Set(name, value)
		}
		return changed.Encode()
	}
	const formType = "application/x-www-form-urlencoded; charset=utf-8"
	tests := map[string]struct {
		method, path, contentType, body string
		status                          int
		want                            string // in the answer
	}{
		"POST":            {"POST", "/", formType, form.Encode(), 200, "<Provider>arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com</Provider>"},
		"GET":             {"GET", "/?" + form.Encode(), "", "", 200, "<AssumeRoleWithWebIdentityResult>"},
		"PUT":             {"PUT", "/", formType, form.Encode(), 405, "<Code>MethodNotAllowed</Code>"},
		"another path":    {"POST", "/x", formType, form.Encode(), 404, "<Code>UnknownOperationException</Code>"},
		"JSON":            {"POST", "/", "application/json", "{}", 400, "<Code>MissingAction</Code>"},
		"no action":       {"POST", "/", formType, without("Action", ""), 400, "<Code>MissingAction</Code>"},
		"another action":  {"POST", "/", formType, without("Action", "GetFederationToken"), 400, "<Message>Could not find operation GetFederationToken for version 2011-06-15</Message>"},
		"another version": {"POST", "/", formType, without("Version", "2010-05-08"), 400, "<Message>Could not find operation AssumeRoleWithWebIdentity for version 2010-05-08</Message>"},
		"no version":      {"POST", "/", formType, without("Version", ""), 400, "for version NO_VERSION_SPECIFIED"},
		"twice":           {"POST", "/", formType, form.Encode() + "&RoleArn=x", 404, "<Code>MalformedQueryString</Code>"},
		"bad escape":      {"POST", "/", formType, "Action=%zz", 404, "<Code>MalformedQueryString</Code>"},
		"too large":       {"POST", "/", formType, "Action=" + strings.Repeat("a", 300<<10), 413, "<Code>RequestEntityTooLarge</Code>"},
		"no role":         {"POST", "/", formType, without("RoleArn", ""), 400, "<Message>1 validation error detected: Value at 'roleArn' failed to satisfy constraint: Member must not be null</Message>"},
		"token too long":  {"POST", "/", formType, without("WebIdentityToken", strings.Repeat("a", 20001)), 400, "<Message>1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: Member must have length less than or equal to 20000</Message>"},
		"duration a word": {"POST", "/", formType, without("DurationSeconds", "hour"), 400, "Member must be a number"},
		"unsigned":        {"POST", "/", formType, without("Action", "AssumeRole"), 403, "<Message>Request is missing Authentication Token</Message>"},
		"OAuth provider":  {"POST", "/", formType, without("ProviderId", "www.amazon.com"), 400, "<Code>InvalidParameterValue</Code>"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), test.method, s.STSURL+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if test.contentType != "" {
				request.Header.Set("Content-Type", test.contentType)
			}
			response, body := do(t, request)
			if response.StatusCode != test.status || !strings.Contains(body, test.want) {
				t.Errorf("%d %s\nwant %d %s", response.StatusCode, body, test.status, test.want)
			}
			if response.Header.Get("x-amzn-RequestId") == "" || response.Header.Get("Content-Type") != "text/xml" || response.Header.Get("Date") == "" {
				t.Errorf("headers %v", response.Header)
			}
			if test.status == 400 && !response.Close {
				t.Error("STS closes the connection after a refusal")
			}
		})
	}
}

// TestErrorDocument is byte for byte of the form that STS sends.
func TestErrorDocument(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.STSURL+"/?Action=GetCallerIdentity&Version=2011-06-15", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, body := do(t, request)
	want := `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>MissingAuthenticationToken</Code>
    <Message>Request is missing Authentication Token</Message>
  </Error>
  <RequestId>` + response.Header.Get("x-amzn-RequestId") + `</RequestId>
</ErrorResponse>
`
	if body != want {
		t.Errorf("got  %q\nwant %q", body, want)
	}
}

// TestRegionDisabled: the error names the account, whether the call is signed or not.
func TestRegionDisabled(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]string{"world.json": replaced(t, "world.json", `"name": "hub",`, `"name": "hub", "disabledRegions": ["us-west-2", "us-east-1"],`)})
	_, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(s.job("staging"))))
	want := "Forbidden RegionDisabledException: STS is not activated in this region for account:123456789012. Your account administrator can activate STS in this region using the IAM Console."
	if got := refusal(t, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s = open(t, map[string]string{"world.json": replaced(t, "world.json", `"name": "hub",`, `"name": "hub", "disabledRegions": ["us-west-2"],`)})
	_, err = s.client(s.hub("staging"), func(o *sts.Options) { o.Region = "us-west-2" }).GetCallerIdentity(t.Context(), nil)
	if got := refusal(t, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
