package action

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/transport"
)

// given are inputs, or variables, by name.
type given map[string]string

func (g given) get(name string) string { return strings.TrimSpace(g[name]) }

// with is g with more.
func (g given) with(more given) given {
	all := maps.Clone(g)
	maps.Copy(all, more)
	return all
}

var (
	required = given{
		"aws-region":         "us-east-1",
		"hub-role-to-assume": "arn:aws:iam::123456789012:role/hub",
		"role-to-assume":     "arn:aws:iam::222222222222:role/deploy",
	}
	ofRun = given{"GITHUB_RUN_ID": "17", "GITHUB_RUN_ATTEMPT": "2"}
)

// defaults are the inputs where only the required ones are set.
func defaults() inputs {
	return inputs{
		plan: hop.Plan{
			Region:          "us-east-1",
			Hub:             hop.ARN{Partition: "aws", AccountID: "123456789012", Path: "/", Name: "hub"},
			Spokes:          []hop.ARN{{Partition: "aws", AccountID: "222222222222", Path: "/", Name: "deploy"}},
			SessionName:     "gh-17-2",
			Audience:        "sts.amazonaws.com",
			DurationSeconds: 3600,
			MaxAttempts:     5,
			TimeoutSeconds:  60,
		},
		destinations:  []destination{{region: "us-east-1"}},
		askedDuration: 3600,
		accountIDs:    []string{"123456789012", "222222222222"},
		exportEnv:     true,
	}
}

func TestInputs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 1224)
	for _, test := range []struct {
		name string
		in   given
		env  given
		want func(*inputs)
	}{
		{"defaults", nil, nil, func(*inputs) {}},
		{"white space around", given{"aws-region": " us-east-1\n", "role-session-name": "\tdeploy "}, nil, func(in *inputs) { in.plan.SessionName = "deploy" }},
		{"session name", given{"role-session-name": "a_+=,.@-9"}, nil, func(in *inputs) { in.plan.SessionName = "a_+=,.@-9" }},
		{"session name without a run", given{"role-session-name": "deploy"}, given{"GITHUB_RUN_ID": ""}, func(in *inputs) { in.plan.SessionName = "deploy" }},
		{"shortest", given{"role-duration-seconds": "900"}, nil, func(in *inputs) { in.plan.DurationSeconds, in.askedDuration = 900, 900 }},
		{"capped", given{"role-duration-seconds": "43200"}, nil, func(in *inputs) { in.askedDuration = 43200 }},
		{"no tags", given{"role-skip-session-tagging": "TRUE"}, nil, func(in *inputs) { in.skipTagging = true }},
		{"tags that are not sent", given{"role-skip-session-tagging": "true", "custom-tags": `{"a": "b"}`, "transitive-tag-keys": "a"}, nil, func(in *inputs) {
			in.skipTagging, in.skippedTags = true, true
		}},
		{"tags", given{"custom-tags": `{"Team": "pay ments", "Empty": ""}`, "transitive-tag-keys": "team\n\n  Repository  \n"}, nil, func(in *inputs) {
			in.plan.Tags = []hop.Tag{{Key: "Team", Value: "pay ments"}, {Key: "Empty"}}
			in.plan.TransitiveTagKeys = []string{"team", "Repository"}
		}},
		{"source identity", given{"source-identity": "alice@example.com"}, nil, func(in *inputs) { in.plan.SourceIdentity = "alice@example.com" }},
		{"external id", given{"role-external-id": "a:b/c"}, nil, func(in *inputs) { in.plan.ExternalID = "a:b/c" }},
		{"longest external id", given{"role-external-id": long}, nil, func(in *inputs) { in.plan.ExternalID = long }},
		{"session policy", given{"inline-session-policy": "{\n  \"Version\": \"2012-10-17\"\n}"}, nil, func(in *inputs) { in.plan.Policy = `{"Version":"2012-10-17"}` }},
		{"managed policies", given{"managed-session-policies": "arn:aws:iam::aws:policy/ReadOnlyAccess\narn:aws:iam::222222222222:policy/a,b"}, nil, func(in *inputs) {
			in.plan.PolicyARNs = []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::222222222222:policy/a,b"}
		}},
		{"audience", given{"audience": "https://example.com/a"}, nil, func(in *inputs) { in.plan.Audience = "https://example.com/a" }},
		{"allowed accounts", given{"allowed-account-ids": "333333333333, 222222222222\n"}, nil, func(in *inputs) {
			in.accountIDs = append(in.accountIDs, "333333333333")
		}},
		{"flags", given{"mask-aws-account-id": "true", "output-env-credentials": "false", "output-credentials": "True", "unset-current-credentials": "true"}, nil, func(in *inputs) {
			in.maskAccountID, in.exportEnv, in.exportOutputs, in.unsetCurrent = true, false, true, true
		}},
		{"limits", given{"retry-max-attempts": "1", "action-timeout-s": "3600"}, nil, func(in *inputs) { in.plan.MaxAttempts, in.plan.TimeoutSeconds = 1, 3600 }},
		{"proxy of the environment", nil, given{"https_proxy": "proxy.example.com:3128", "NO_PROXY": ".internal"}, func(in *inputs) {
			in.network = transport.NewNetwork(parse("http://proxy.example.com:3128"), ".internal", nil)
		}},
		{"proxy of the input", given{"http-proxy": "https://u:p%40ss@proxy.example.com", "no-proxy": "a"}, given{"HTTPS_PROXY": "http://other", "NO_PROXY": "b"}, func(in *inputs) {
			in.network = transport.NewNetwork(parse("https://u:p%40ss@proxy.example.com"), "a", nil)
			in.proxyPasswords = []string{"p@ss", "p%40ss"}
			in.plan.Proxy, in.plan.NoProxy = "https://u@proxy.example.com", "a"
		}},
		{"hosts without the proxy, one per line", given{"no-proxy": "a.example,\nb.example c.example"}, nil, func(in *inputs) { in.plan.NoProxy = "a.example,b.example,c.example" }},
		{"a profile", given{"aws-profile": "deploy.1", "overwrite-aws-profile": "true"}, nil, func(in *inputs) {
			in.destinations[0].profile, in.exportEnv, in.overwriteProfile = "deploy.1", false, true
		}},
		{"a profile and variables", given{"aws-profile": "default", "output-env-credentials": "true"}, nil, func(in *inputs) { in.destinations[0].profile = "default" }},
		{"credentials that renew themselves", given{"auto-refresh": "true"}, nil, func(in *inputs) {
			in.destinations[0].profile, in.exportEnv, in.autoRefresh = "hubspoke-chain", false, true
		}},
		{"the same under a name", given{"auto-refresh": "true", "aws-profile": "deploy"}, nil, func(in *inputs) {
			in.destinations[0].profile, in.exportEnv, in.autoRefresh = "deploy", false, true
		}},
		{"the same over a proxy without a password", given{"auto-refresh": "true", "http-proxy": "http://u@proxy:3128"}, nil, func(in *inputs) {
			in.destinations[0].profile, in.exportEnv, in.autoRefresh = "hubspoke-chain", false, true
			in.network, in.plan.Proxy = transport.NewNetwork(parse("http://u@proxy:3128"), "", nil), "http://u@proxy:3128"
		}},
		{"several spokes", given{"role-to-assume": "", "spokes": "a=arn:aws:iam::222222222222:role/x=y\n\n b = arn:aws:iam::333333333333:role/deploy   eu-west-1 \n"}, nil, func(in *inputs) {
			in.plan.Spokes = []hop.ARN{
				{Partition: "aws", AccountID: "222222222222", Path: "/", Name: "x=y"},
				{Partition: "aws", AccountID: "333333333333", Path: "/", Name: "deploy"},
			}
			in.destinations = []destination{{"a", "us-east-1"}, {"b", "eu-west-1"}}
			in.several, in.exportEnv, in.accountIDs = true, false, []string{"123456789012", "222222222222", "333333333333"}
		}},
		{"endpoint", given{"sts-endpoint": "http://127.0.0.1:4566/"}, nil, func(in *inputs) { in.plan.Endpoint = "http://127.0.0.1:4566/" }},
		{"China", given{"aws-region": "cn-north-1", "hub-role-to-assume": "arn:aws-cn:iam::123456789012:role/hub", "role-to-assume": "arn:aws-cn:iam::222222222222:role/deploy"}, nil, func(in *inputs) {
			in.plan.Region, in.plan.Hub.Partition, in.plan.Audience = "cn-north-1", "aws-cn", "sts.amazonaws.com.cn"
			in.plan.Spokes[0].Partition, in.destinations[0].region = "aws-cn", "cn-north-1"
		}},
	} {
		want := defaults()
		test.want(&want)
		got, problems := readInputs(required.with(test.in).get, ofRun.with(test.env).get)
		for _, target := range []string{"https://sts.us-east-1.amazonaws.com", "https://sts.internal", "https://a"} {
			via, _ := got.network.Via(parse(target))
			if expected, _ := want.network.Via(parse(target)); fmt.Sprint(via) != fmt.Sprint(expected) {
				t.Errorf("%s: %s is reached via %v, want %v", test.name, target, via, expected)
			}
		}
		got.network, want.network = transport.Network{}, transport.Network{}
		if len(problems) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: problems %q\n got %+v\nwant %+v", test.name, problems, got, want)
		}
	}
}

func TestInputProblems(t *testing.T) {
	t.Parallel()
	const name = "2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -"
	const object = `is not a JSON object of strings, {"Team": "payments"} for example`
	const tag = "letters, digits, spaces and _ . : / = + - @"
	const notRole = " is not the full ARN of an IAM role (arn:PARTITION:iam::ACCOUNT:role/NAME, with a 12-digit account)"
	const notProxy = "the value is not the URL of a proxy (http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if it requires them)"
	many := "{" + strings.TrimSuffix(strings.Repeat(`"kN": "v",`, 37), ",") + "}"
	for i := range 37 {
		many = strings.Replace(many, "kN", fmt.Sprintf("k%d", i), 1)
	}
	for _, test := range []struct{ input, value, want string }{
		{"aws-region", "", "aws-region: is required: the name of an AWS region, for example us-east-1"},
		{"aws-region", "us-east", `aws-region: "us-east" is not the name of an AWS region (for example us-east-1)`},
		{"aws-region", "eu-central-1\x00", `aws-region: "eu-central-1\x00" is not the name of an AWS region (for example us-east-1)`},
		{"hub-role-to-assume", "", "hub-role-to-assume: is required: the full ARN of an IAM role, arn:aws:iam::123456789012:role/NAME"},
		{"hub-role-to-assume", "hub", `hub-role-to-assume: "hub"` + notRole},
		{"hub-role-to-assume", "arn:aws-cn:iam::123456789012:role/hub", `hub-role-to-assume: "arn:aws-cn:iam::123456789012:role/hub" is in partition aws-cn, but region us-east-1 is in aws; hub, spoke and region must be in one partition`},
		{"role-to-assume", "", "role-to-assume: is required, unless spokes is set: the full ARN of an IAM role, arn:aws:iam::123456789012:role/NAME"},
		{"role-to-assume", "arn:aws:iam::222222222222:role/" + longPath + "/r", `role-to-assume: "arn:aws:iam::222222222222:role/` + longPath + `/r" is too long: the session policy that names it has 2425 characters, and AWS allows 2048; use a role with a shorter path`},
		{"role-to-assume", "arn:aws-us-gov:iam::222222222222:role/deploy", `role-to-assume: "arn:aws-us-gov:iam::222222222222:role/deploy" is in partition aws-us-gov, but region us-east-1 is in aws; hub, spoke and region must be in one partition`},
		{"role-session-name", "a", `role-session-name: "a" is not ` + name},
		{"role-session-name", "a b", `role-session-name: "a b" is not ` + name},
		{"role-session-name", strings.Repeat("a", 65), `role-session-name: "` + strings.Repeat("a", 65) + `" is not ` + name},
		{"role-duration-seconds", "899", `role-duration-seconds: 899 is not from 900 to 3600`},
		{"role-duration-seconds", "1h", `role-duration-seconds: "1h" is not a number of seconds from 900 to 3600 (more is capped at 3600)`},
		{"role-duration-seconds", "99999999999999999999", `role-duration-seconds: "99999999999999999999" is not a number of seconds from 900 to 3600 (more is capped at 3600)`},
		{"role-skip-session-tagging", "yes", `role-skip-session-tagging: "yes" is neither true nor false`},
		{"custom-tags", "Team=payments", `custom-tags: "Team=payments": ` + object},
		{"custom-tags", `{"Team": "payments"`, `custom-tags: "{"Team": "payments"": ` + object},
		{"custom-tags", `{"Team": "payments"} x`, `custom-tags: "{"Team": "payments"} x": ` + object},
		{"custom-tags", `["Team"]`, `custom-tags: "["Team"]": ` + object},
		{"custom-tags", `{"Team": 7}`, `custom-tags: "{"Team": 7}": the value of "Team" is not a string`},
		{"custom-tags", `{"Team": {"a": "b"}}`, `custom-tags: "{"Team": {"a": "b"}}": the value of "Team" is not a string`},
		{"custom-tags", `{"": "x"}`, `custom-tags: the key "" is not 1 to 128 ` + tag},
		{"custom-tags", `{"a*": "x"}`, `custom-tags: the key "a*" is not 1 to 128 ` + tag},
		{"custom-tags", `{"a": "x;y"}`, `custom-tags: the value "x;y" of "a" is not up to 256 ` + tag},
		{"custom-tags", `{"a": "\ud800"}`, `custom-tags: the value "` + "\ufffd" + `" of "a" is not up to 256 ` + tag},
		{"custom-tags", `{"AWS:a": "x"}`, `custom-tags: "AWS:a" begins with aws:, which AWS reserves`},
		{"custom-tags", `{"a": "aws:x"}`, `custom-tags: "a" begins with aws:, which AWS reserves`},
		{"custom-tags", `{"repository": "x"}`, `custom-tags: "{"repository": "x"}": "repository" is set by this action and cannot be overridden`},
		{"custom-tags", `{"a": "x", "A": "y"}`, `custom-tags: duplicate key "A" (AWS compares tag keys without case)`},
		{"custom-tags", "{\"a\": \"\xff\"}", "custom-tags: \"{\"a\": \"\xff\"}\": is not UTF-8"},
		{"custom-tags", many, "custom-tags: " + plain.Quote(many) + ": has 37 tags; AWS allows 50 in all, and this action sends up to 14"},
		{"custom-tags", strings.Repeat("x", 65537), "custom-tags: " + plain.Quote(strings.Repeat("x", 65537)) + ": is larger than 64 KiB"},
		{"transitive-tag-keys", "Team", `transitive-tag-keys: "Team" is neither among custom-tags nor a tag of this action`},
		{"transitive-tag-keys", "Actor\nactor", `transitive-tag-keys: duplicate key "actor" (AWS compares tag keys without case)`},
		{"source-identity", "aws:x", `source-identity: "aws:x" is not ` + name},
		{"role-external-id", "x", `role-external-id: "x" is not 2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -`},
		{"role-external-id", strings.Repeat("a", 1225), "role-external-id: " + plain.Quote(strings.Repeat("a", 1225)) + " is not 2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -"},
		{"inline-session-policy", "[]", `inline-session-policy: "[]" is not a JSON object`},
		{"inline-session-policy", "{", `inline-session-policy: "{" is not a JSON object`},
		{"inline-session-policy", `{"a":"€"}`, `inline-session-policy: "{"a":"€"}" has a character that AWS refuses (allowed: U+0020 to U+00FF)`},
		{"inline-session-policy", `{"a":"` + strings.Repeat("b", 2041) + `"}`, `inline-session-policy: ` + plain.Quote(`{"a":"`+strings.Repeat("b", 2041)+`"}`) + " has 2049 characters without white space; AWS allows 2048"},
		{"aws-profile", "a b", `aws-profile: "a b" is not ` + profileName.Words},
		{"aws-profile", strings.Repeat("a", 65), `aws-profile: "` + strings.Repeat("a", 65) + `" is not ` + profileName.Words},
		{"aws-profile", "../x", `aws-profile: "../x" is not ` + profileName.Words},
		{"auto-refresh", "on", `auto-refresh: "on" is neither true nor false`},
		{"overwrite-aws-profile", "1", `overwrite-aws-profile: "1" is neither true nor false`},
		{"managed-session-policies", "ReadOnly", `managed-session-policies: "ReadOnly" is not the ARN of a managed policy (arn:aws:iam::aws:policy/NAME or arn:aws:iam::ACCOUNT:policy/NAME)`},
		{"managed-session-policies", "arn:aws:iam::123456789012:policy/x", `managed-session-policies: "arn:aws:iam::123456789012:policy/x" is neither an AWS managed policy nor in the spoke's account 222222222222`},
		{"managed-session-policies", strings.Repeat("arn:aws:iam::aws:policy/x\n", 11), "managed-session-policies: 11 are more than the 10 that AWS allows"},
		{"audience", "a b", `audience: "a b" is not 1 to 255 printable ASCII characters without a space`},
		{"allowed-account-ids", "222222222222,1", `allowed-account-ids: "1" is not an account id of 12 digits`},
		{"allowed-account-ids", "333333333333", `role-to-assume: "arn:aws:iam::222222222222:role/deploy" is in account 222222222222, which is not among allowed-account-ids (333333333333)`},
		{"mask-aws-account-id", "1", `mask-aws-account-id: "1" is neither true nor false`},
		{"output-env-credentials", "no", `output-env-credentials: "no" is neither true nor false`},
		{"output-credentials", "on", `output-credentials: "on" is neither true nor false`},
		{"unset-current-credentials", "tRUE", `unset-current-credentials: "tRUE" is neither true nor false`},
		{"retry-max-attempts", "0", `retry-max-attempts: 0 is not from 1 to 20`},
		{"retry-max-attempts", "+5", `retry-max-attempts: "+5" is not a number from 1 to 20`},
		{"action-timeout-s", "3601", `action-timeout-s: 3601 is not from 1 to 3600`},
		{"http-proxy", "socks5://user:hunter2@proxy", "http-proxy: " + notProxy},
		{"http-proxy", "http://user:hun%zzter2@proxy", "http-proxy: " + notProxy},
		{"http-proxy", "user:hunter2@", "http-proxy: " + notProxy},
		{"sts-endpoint", "http://sts.amazonaws.com", `sts-endpoint: "http://sts.amazonaws.com" is not https (http is for 127.0.0.1, [::1] and localhost only)`},
		{"sts-endpoint", "https://user:hunter2@host", "sts-endpoint: an endpoint holds no user and no password (https://HOST or https://HOST:PORT)"},
	} {
		_, problems := readInputs(required.with(given{test.input: test.value}).get, ofRun.get)
		if !slices.Equal(problems, []string{test.want}) {
			t.Errorf("%s: %.60q\n got %q\nwant %q", test.input, test.value, problems, test.want)
		}
	}

	_, problems := readInputs(required.get, given{"HTTPS_PROXY": "http://user:hunter2@", "GITHUB_RUN_ID": "1\n"}.get)
	if want := []string{
		"HTTPS_PROXY: " + notProxy,
		`role-session-name: has no default because GITHUB_RUN_ID is "1" and GITHUB_RUN_ATTEMPT is ""; set it to ` + name,
	}; !slices.Equal(problems, want) {
		t.Errorf("got %q\nwant %q", problems, want)
	}
}

// longPath is a role's path that IAM allows and that does not fit a session policy once it is escaped.
var longPath = strings.Repeat("*", 510)

// TestAllProblemsAtOnce has every input wrong; one run names each of them.
func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	var asked []string
	_, problems := readInputs(func(name string) string {
		if !slices.Contains(asked, name) {
			asked = append(asked, name)
		}
		return "\x00"
	}, ofRun.get)
	for _, name := range asked {
		found := slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, name+": ") })
		if !found {
			t.Errorf("%s is not reported", name)
		}
	}
}

func TestProxyPasswords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"http://proxy:3128":               nil,
		"http://user@proxy":               nil,
		"http://user:@proxy":              nil,
		"http://user:%20@proxy":           {"%20", "+"},
		"http://user:hunter2@proxy":       {"hunter2"},
		"http://user:a%2fb@proxy":         {"a/b", "a%2fb", "a%2Fb"},
		"http://user:a:b@proxy/x:y@z":     {"a:b", "a%3Ab"},
		"http://user:a%20b%40c@proxy?q=@": {"a b@c", "a%20b%40c", "a+b%40c"},
	} {
		if got := proxyPasswords(in, parse(in)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// FuzzInputs sets every input to the same text, for some after a valid prefix. Accepted values must be within
// AWS's limits, and no error message may contain a proxy's password.
func TestContradictions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in   given
		want string
	}{
		{given{"auto-refresh": "true", "output-env-credentials": "true"},
			"output-env-credentials: cannot be true with auto-refresh: most SDKs prefer environment variables, which are not renewed, to the profile"},
		{given{"auto-refresh": "true", "http-proxy": "http://u:hunter2@proxy"},
			"http-proxy: auto-refresh would have to write its password to disk; set the variable HTTPS_PROXY of the job instead"},
		{given{"role-to-assume": "", "spokes": "a = arn:aws:iam::222222222222:role/x\nb = arn:aws:iam::222222222222:role/" + longPath + "/r"},
			`spokes: "arn:aws:iam::222222222222:role/` + longPath + `/r" is too long: the session policy that names it has 2425 characters, and AWS allows 2048; use a role with a shorter path`},
		{given{"role-to-assume": "", "spokes": strings.Repeat("a=b\n", 501)}, "spokes: has 501 lines; 500 are allowed"},
		{given{"role-to-assume": "", "spokes": "a = arn:aws:iam::222222222222:role/x\n\n# b"},
			`spokes: line 3: "# b" is not of the form PROFILE = ROLE-ARN [REGION], for example staging = arn:aws:iam::222222222222:role/deploy eu-central-1`},
		{given{"role-to-assume": "", "spokes": "a=arn:aws:iam::222222222222:role/x,b=arn:aws:iam::333333333333:role/x"},
			`spokes: line 1: "arn:aws:iam::222222222222:role/x,b=arn:aws:iam::333333333333:role/x" holds two ARNs; write one spoke per line: PROFILE = ROLE-ARN [REGION], for example staging = arn:aws:iam::222222222222:role/deploy eu-central-1`},
		{given{"role-to-assume": "", "spokes": "a = arn:aws:iam::222222222222:role/x\nb = arn:aws:iam::333333333333:role/x", "managed-session-policies": "arn:aws:iam::222222222222:policy/x"},
			`managed-session-policies: "arn:aws:iam::222222222222:policy/x" is neither an AWS managed policy nor in the spoke's account 333333333333`},
	} {
		_, problems := readInputs(required.with(test.in).get, ofRun.get)
		if !slices.Equal(problems, []string{test.want}) {
			t.Errorf("%v: got %q, want %q", test.in, problems, test.want)
		}
	}
}

func FuzzInputs(f *testing.F) {
	f.Add("aws-region", "us-east-1")
	f.Add("custom-tags", `{"Team": "payments"}`)
	f.Add("custom-tags", `{"a":"b","a":"c"}`)
	f.Add("inline-session-policy", `{"Version":"2012-10-17"}`)
	f.Add("role-to-assume", "arn:aws:iam::222222222222:role/a/b")
	f.Add("http-proxy", "http://u:hunter2secret@proxy")
	f.Add("http-proxy", "u:hunter2secret@")
	f.Add("sts-endpoint", "https://u:hunter2secret@host")
	f.Add("managed-session-policies", "arn:aws:iam::aws:policy/x\n\n")
	f.Add("spokes", "a = arn:aws:iam::222222222222:role/a/b eu-west-1\nb=arn")
	f.Add("aws-profile", "x]\n[y")
	f.Add("allowed-account-ids", "222222222222,\u00a0")
	f.Fuzz(func(t *testing.T, name, value string) {
		in, problems := readInputs(required.with(given{name: value}).get, ofRun.get)
		for _, problem := range problems {
			input, _, _ := strings.Cut(problem, ": ")
			if strings.Contains(problem, "hunter2secret") && (input == "http-proxy" || input == "sts-endpoint" && strings.Contains(value, "@")) || len(problem) > 1700 {
				t.Errorf("%s: %q: %q", name, value, problem)
			}
		}
		if len(problems) > 0 {
			return
		}
		if len(in.plan.SessionName) < 2 || len(in.plan.SessionName) > 64 || in.plan.DurationSeconds < 900 || in.plan.DurationSeconds > 3600 || in.plan.MaxAttempts < 1 || in.plan.MaxAttempts > 20 ||
			in.plan.TimeoutSeconds < 1 || len(in.plan.Policy) > 2*2048 || len(in.plan.PolicyARNs) > 10 || in.plan.Hub.Partition != in.plan.Spokes[0].Partition || in.plan.Audience == "" {
			t.Errorf("%s: %q: accepted %+v", name, value, in)
		}
		for _, tag := range in.plan.Tags {
			if tagValue(tag.Value) != tag.Value || tag.Key == "" || strings.ContainsFunc(tag.Key, hop.NotTagRune) {
				t.Errorf("accepted the tag %+v", tag)
			}
		}
		for _, password := range in.proxyPasswords {
			if strings.TrimSpace(password) == "" {
				t.Errorf("%q would be masked", password)
			}
		}
	})
}
