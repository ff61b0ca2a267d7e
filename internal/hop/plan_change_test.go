package hop

import (
	"fmt"
	"slices"
	"strings"
)

// change is a plan with one field changed, and what is wrong with it then.
type change struct {
	name string
	make func(*Plan)
	want []Problem // nil when the plan remains valid
}

func invalid(field string, texts ...string) []Problem {
	var problems []Problem
	for _, text := range texts {
		problems = append(problems, Problem{Field: field, Text: text})
	}
	return problems
}

func missing(field, text string) []Problem {
	return []Problem{{Field: field, Text: "is required: " + text, Missing: true}}
}

const roleForm = "the full ARN of an IAM role, arn:aws:iam::123456789012:role/NAME"

func inPartition(role, partition, region, other string) string {
	return fmt.Sprintf("%q is in partition %s, but region %s is in %s; hub, spoke and region must be in one partition",
		role, partition, region, other)
}

// requiredChanges are those of the fields that every plan has.
func requiredChanges() []change {
	const sessionForm = "2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -"
	const audienceForm = "1 to 255 printable ASCII characters without a space"
	const chinaHub, chinaSpoke = "arn:aws-cn:iam::123456789012:role/hub", "arn:aws-cn:iam::222222222222:role/deploy"
	return []change{
		{"no region", func(p *Plan) { p.Region = "" }, missing("region", "the name of an AWS region, for example us-east-1")},
		{"no region's name", func(p *Plan) { p.Region, p.Endpoint = "us-east-1a", "" },
			invalid("region", `"us-east-1a" is not the name of an AWS region (for example us-east-1)`)},
		{"a long region", func(p *Plan) { p.Region, p.Endpoint = strings.Repeat("x", 301), "" },
			invalid("region", "a value of 301 bytes is not valid")},

		{"no hub", func(p *Plan) { p.Hub = ARN{} }, missing("hub", roleForm)},
		{"a hub of another partition", func(p *Plan) { p.Hub = roles(chinaHub)[0] },
			invalid("hub", inPartition(chinaHub, "aws-cn", "us-east-1", "aws"))},

		{"no spokes", func(p *Plan) { p.Spokes = nil }, missing("spokes", roleForm)},
		{"a spoke without an ARN", func(p *Plan) { p.Spokes = []ARN{p.Spokes[0], {}} }, missing("spokes", roleForm)},
		{"a spoke of another partition", func(p *Plan) { p.Spokes, p.PolicyARNs = roles(spokeRole, chinaSpoke), nil },
			invalid("spokes", inPartition(chinaSpoke, "aws-cn", "us-east-1", "aws"))},
		{"one spoke", func(p *Plan) { p.Spokes = p.Spokes[:1] }, nil},
		{"500 spokes", func(p *Plan) { p.Spokes = inAccounts(500, "aws", "222222222000", "deploy") }, nil},
		{"501 spokes", func(p *Plan) { p.Spokes = inAccounts(501, "aws", "222222222000", "deploy") },
			invalid("spokes", "501 are more than the 500 that are allowed")},
		{"all of another partition", func(p *Plan) {
			p.Region, p.Hub, p.Spokes, p.PolicyARNs, p.Endpoint = "cn-north-1", roles(chinaHub)[0], roles(chinaSpoke), nil, ""
		}, nil},

		{"no session name", func(p *Plan) { p.SessionName = "" }, missing("sessionName", sessionForm)},
		{"a session name of 1", func(p *Plan) { p.SessionName = "x" }, invalid("sessionName", `"x" is not `+sessionForm)},
		{"a session name of 2", func(p *Plan) { p.SessionName = "xy" }, nil},
		{"a session name of 64", func(p *Plan) { p.SessionName = strings.Repeat("=,.@-+_9", 8) }, nil},
		{"a session name of 65", func(p *Plan) { p.SessionName = strings.Repeat("x", 65) },
			invalid("sessionName", `"`+strings.Repeat("x", 65)+`" is not `+sessionForm)},
		{"a session name with a space", func(p *Plan) { p.SessionName = "gh 1" }, invalid("sessionName", `"gh 1" is not `+sessionForm)},
		{"a session name with a line end", func(p *Plan) { p.SessionName = "gh1\n" }, invalid("sessionName", "\"gh1\n\" is not "+sessionForm)},

		{"no audience", func(p *Plan) { p.Audience = "" }, missing("audience", audienceForm)},
		{"an audience of 1", func(p *Plan) { p.Audience = "a" }, nil},
		{"an audience of 255", func(p *Plan) { p.Audience = strings.Repeat("!~", 127) + "a" }, nil},
		{"an audience of 256", func(p *Plan) { p.Audience = strings.Repeat("a", 256) },
			invalid("audience", `"`+strings.Repeat("a", 256)+`" is not `+audienceForm)},
		{"an audience with a space", func(p *Plan) { p.Audience = "a b" }, invalid("audience", `"a b" is not `+audienceForm)},
		{"an audience that is not ASCII", func(p *Plan) { p.Audience = "é" }, invalid("audience", `"é" is not `+audienceForm)},

		{"899 s", func(p *Plan) { p.DurationSeconds = 899 }, invalid("durationSeconds", "899 is not from 900 to 3600")},
		{"900 s", func(p *Plan) { p.DurationSeconds = 900 }, nil},
		{"3601 s", func(p *Plan) { p.DurationSeconds = 3601 }, invalid("durationSeconds", "3601 is not from 900 to 3600")},

		{"0 attempts", func(p *Plan) { p.MaxAttempts = 0 }, invalid("maxAttempts", "0 is not from 1 to 20")},
		{"1 attempt", func(p *Plan) { p.MaxAttempts = 1 }, nil},
		{"20 attempts", func(p *Plan) { p.MaxAttempts = 20 }, nil},
		{"21 attempts", func(p *Plan) { p.MaxAttempts = 21 }, invalid("maxAttempts", "21 is not from 1 to 20")},

		{"a timeout of 0 s", func(p *Plan) { p.TimeoutSeconds = 0 }, invalid("timeoutSeconds", "0 is not from 1 to 3600")},
		{"a timeout of 1 s", func(p *Plan) { p.TimeoutSeconds = 1 }, nil},
		{"a timeout of 3600 s", func(p *Plan) { p.TimeoutSeconds = 3600 }, nil},
		{"a timeout of 3601 s", func(p *Plan) { p.TimeoutSeconds = 3601 }, invalid("timeoutSeconds", "3601 is not from 1 to 3600")},
	}
}

// tagChanges are those of the session tags.
func tagChanges() []change {
	const allowed = "letters, digits, spaces and _ . : / = + - @"
	key := func(s string) func(*Plan) { return func(p *Plan) { p.Tags = []Tag{{Key: s, Value: "v"}} } }
	value := func(s string) func(*Plan) { return func(p *Plan) { p.Tags = []Tag{{Key: "k", Value: s}} } }
	numbered := func(n int) (tags []Tag, keys []string) {
		for i := range n {
			keys = append(keys, fmt.Sprint("k", i))
			tags = append(tags, Tag{Key: keys[i]})
		}
		return tags, keys
	}
	return []change{
		{"no tags", func(p *Plan) { p.Tags = nil }, nil},
		{"50 tags", func(p *Plan) { p.Tags, _ = numbered(50) }, nil},
		{"51 tags", func(p *Plan) { p.Tags, _ = numbered(51) }, invalid("tags", "51 are more than the 50 that AWS allows")},
		{"a tag without a key", key(""), invalid("tags", `the key "" is not 1 to 128 `+allowed)},
		{"a key of 128", key(strings.Repeat("é", 128)), nil},
		{"a key of 129", key(strings.Repeat("é", 129)),
			invalid("tags", `the key "`+strings.Repeat("é", 129)+`" is not 1 to 128 `+allowed)},
		{"a key with a star", key("a*"), invalid("tags", `the key "a*" is not 1 to 128 `+allowed)},
		{"a key that is not UTF-8", key("a\xff"), invalid("tags", "the key \"a\xff\" is not 1 to 128 "+allowed)},
		{"a key of AWS", key("AWS:x"), invalid("tags", `"AWS:x" begins with aws:, which AWS reserves`)},
		{"a tag without a value", value(""), nil},
		{"a value of 256", value(strings.Repeat("é", 256)), nil},
		{"a value of 257", value(strings.Repeat("v", 257)),
			invalid("tags", `the value "`+strings.Repeat("v", 257)+`" of "k" is not up to 256 `+allowed)},
		{"a value that is too long to show", value(strings.Repeat("v", 301)),
			invalid("tags", `the value a value of 301 bytes of "k" is not up to 256 `+allowed)},
		{"a value with a line end", value("a\nb"), invalid("tags", "the value \"a\nb\" of \"k\" is not up to 256 "+allowed)},
		{"a value of AWS", value("aws:x"), invalid("tags", `"k" begins with aws:, which AWS reserves`)},
		{"a key twice", func(p *Plan) { p.Tags = []Tag{{Key: "Team"}, {Key: "x"}, {Key: "TEAM"}} },
			invalid("tags", `duplicate key "TEAM" (AWS compares tag keys without case)`)},
		{"several tags", func(p *Plan) { p.Tags = []Tag{{Key: "a*"}, {Key: "ok"}, {Key: "aws:b"}} },
			invalid("tags", `the key "a*" is not 1 to 128 `+allowed, `"aws:b" begins with aws:, which AWS reserves`)},

		{"a transitive key that is no tag", func(p *Plan) { p.TransitiveTagKeys = []string{"Absent"} }, nil},
		{"50 transitive keys", func(p *Plan) { _, p.TransitiveTagKeys = numbered(50) }, nil},
		{"51 transitive keys", func(p *Plan) { _, p.TransitiveTagKeys = numbered(51) },
			invalid("transitiveTagKeys", "51 are more than the 50 that AWS allows")},
		{"an invalid transitive key", func(p *Plan) { p.TransitiveTagKeys = []string{"a*", ""} },
			invalid("transitiveTagKeys", `the key "a*" is not 1 to 128 `+allowed, `the key "" is not 1 to 128 `+allowed)},
		{"a transitive key of AWS", func(p *Plan) { p.TransitiveTagKeys = []string{"aws:x"} },
			invalid("transitiveTagKeys", `"aws:x" begins with aws:, which AWS reserves`)},
		{"a transitive key twice", func(p *Plan) { p.TransitiveTagKeys = []string{"a", "A"} },
			invalid("transitiveTagKeys", `duplicate key "A" (AWS compares tag keys without case)`)},
	}
}

// sessionChanges are those of the other optional parameters of AssumeRole.
func sessionChanges() []change {
	const sessionForm = "2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -"
	const externalForm = "2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -"
	const policyARNForm = "the ARN of a managed policy (arn:aws:iam::aws:policy/NAME or arn:aws:iam::ACCOUNT:policy/NAME)"
	policy := func(length int, unit string) string {
		const start, end = `{"a":"`, `"}`
		return start + strings.Repeat(unit, length-len(start)-len(end)) + end
	}
	source := func(s string) func(*Plan) { return func(p *Plan) { p.SourceIdentity = s } }
	external := func(s string) func(*Plan) { return func(p *Plan) { p.ExternalID = s } }
	inline := func(s string) func(*Plan) { return func(p *Plan) { p.Policy = s } }
	managed := func(arns ...string) func(*Plan) { return func(p *Plan) { p.PolicyARNs = arns } }
	foreign := func(arn, account string) []Problem {
		return invalid("policyArns", fmt.Sprintf(`"%s" is neither an AWS managed policy nor in the spoke's account %s`, arn, account))
	}
	const own, other = "arn:aws:iam::222222222222:policy/own", "arn:aws:iam::333333333333:policy/other"
	const china = "arn:aws-cn:iam::aws:policy/ReadOnlyAccess"
	return []change{
		{"no source identity", source(""), nil},
		{"a source identity of 1", source("x"), invalid("sourceIdentity", `"x" is not `+sessionForm)},
		{"a source identity of 64", source(strings.Repeat("x", 64)), nil},
		{"a source identity of 65", source(strings.Repeat("x", 65)),
			invalid("sourceIdentity", `"`+strings.Repeat("x", 65)+`" is not `+sessionForm)},
		{"a source identity with a slash", source("a/b"), invalid("sourceIdentity", `"a/b" is not `+sessionForm)},

		{"no external id", external(""), nil},
		{"an external id of 1", external("x"), invalid("externalId", `"x" is not `+externalForm)},
		{"an external id of 2", external(":/"), nil},
		{"an external id of 1224", external(strings.Repeat("x", 1224)), nil},
		{"an external id of 1225", external(strings.Repeat("x", 1225)), invalid("externalId", "a value of 1225 bytes is not "+externalForm)},
		{"an external id with a space", external("a b"), invalid("externalId", `"a b" is not `+externalForm)},

		{"no policy", inline(""), nil},
		{"a policy of 2048", inline(policy(2048, "x")), nil},
		{"a policy of 2048 in Latin-1", inline(policy(2048, "é")), nil},
		{"a policy of 2049", inline(policy(2049, "x")),
			invalid("policy", "a value of 2049 bytes has 2049 characters without white space; AWS allows 2048")},
		{"a policy that is no JSON", inline("{"), invalid("policy", `"{" is not a JSON object`)},
		{"a policy that is an array", inline("[]"), invalid("policy", `"[]" is not a JSON object`)},
		{"a policy that is null", inline("null"), invalid("policy", `"null" is not a JSON object`)},
		{"two policies", inline("{}{}"), invalid("policy", `"{}{}" is not a JSON object`)},
		{"a policy with a character that AWS refuses", inline(`{"a":"€"}`),
			invalid("policy", `"{"a":"€"}" has a character that AWS refuses (allowed: U+0020 to U+00FF)`)},
		{"a policy that is not UTF-8", inline("{\"a\":\"\xff\"}"),
			invalid("policy", "\"{\"a\":\"\xff\"}\" has a character that AWS refuses (allowed: U+0020 to U+00FF)")},

		{"no policy ARNs", managed(), nil},
		{"10 policy ARNs", managed(slices.Repeat([]string{own}, 10)...), nil},
		{"11 policy ARNs", managed(slices.Repeat([]string{own}, 11)...), invalid("policyArns", "11 are more than the 10 that AWS allows")},
		{"a role as a policy", managed(own, spokeRole), invalid("policyArns", `"`+spokeRole+`" is not `+policyARNForm)},
		{"a policy ARN of 2048", managed("arn:aws:iam::222222222222:policy/" + strings.Repeat("p", 2048-33)), nil},
		{"a policy ARN of 2049", managed("arn:aws:iam::222222222222:policy/" + strings.Repeat("p", 2049-33)),
			invalid("policyArns", "a value of 2049 bytes is not "+policyARNForm)},
		{"a policy of another account", managed(own, other), foreign(other, "222222222222")},
		{"a policy of another partition", managed(china), foreign(china, "222222222222")},
		{"a policy of one spoke's account", func(p *Plan) {
			p.Spokes, p.PolicyARNs = roles(spokeRole, "arn:aws:iam::333333333333:role/deploy"), []string{own}
		}, foreign(own, "333333333333")},
	}
}

// networkChanges are those of how STS is reached.
func networkChanges() []change {
	endpoint := func(s string) func(*Plan) { return func(p *Plan) { p.Endpoint = s } }
	proxy := func(s string) func(*Plan) { return func(p *Plan) { p.Proxy = s } }
	noProxy := func(s string) func(*Plan) { return func(p *Plan) { p.NoProxy = s } }
	bundle := func(s string) func(*Plan) { return func(p *Plan) { p.CABundle = s } }
	elsewhere := func(endpoint string) []Problem {
		return invalid("endpoint", `"`+endpoint+`" is the endpoint of eu-west-1, but the region is "us-east-1"`)
	}
	outside := func(name string) []Problem {
		return invalid("caBundle", `"`+name+`" is not the name of a file in the plan's folder`)
	}
	const noURL = "the value is not the URL of a proxy " +
		"(http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if it requires them)"
	return []change{
		{"no endpoint", endpoint(""), nil},
		{"an endpoint on loopback", endpoint("http://127.0.0.1:4566"), nil},
		{"a FIPS endpoint", endpoint("https://sts-fips.us-east-1.amazonaws.com"), nil},
		{"the global endpoint", endpoint("https://sts.amazonaws.com"), nil},
		{"an interface endpoint", endpoint("https://vpce-1.sts.eu-west-1.vpce.amazonaws.com"), nil},
		{"an endpoint of another region", endpoint("https://sts.eu-west-1.amazonaws.com"), elsewhere("https://sts.eu-west-1.amazonaws.com")},
		{"a FIPS endpoint of another region", endpoint("https://sts-fips.eu-west-1.amazonaws.com"),
			elsewhere("https://sts-fips.eu-west-1.amazonaws.com")},
		{"an endpoint without TLS", endpoint("http://10.0.0.1"),
			invalid("endpoint", `"http://10.0.0.1" is not https (http is for 127.0.0.1, [::1] and localhost only)`)},
		{"no endpoint's URL", endpoint("sts"), invalid("endpoint", `"sts" is not an endpoint (https://HOST or https://HOST:PORT)`)},
		{"an endpoint with a password", endpoint("https://user:hunter2@host"),
			invalid("endpoint", "an endpoint holds no user and no password (https://HOST or https://HOST:PORT)")},
		{"a long endpoint", endpoint("https://host/" + strings.Repeat("x", 300)), invalid("endpoint", "a value of 313 bytes is not valid")},

		{"no proxy", proxy(""), nil},
		{"a proxy without a scheme", proxy("proxy:3128"), nil},
		{"a proxy with a password", proxy("http://user:hunter2@proxy"),
			invalid("proxy", "a plan must not hold a password; leave it empty for HTTPS_PROXY of the environment")},
		{"a proxy with an empty password", proxy("http://user:@proxy"),
			invalid("proxy", "a plan must not hold a password; leave it empty for HTTPS_PROXY of the environment")},
		{"a SOCKS proxy", proxy("socks5://proxy"), invalid("proxy", noURL)},
		{"a proxy that cannot be parsed", proxy("http://user:hunter2@pro xy"), invalid("proxy", noURL)},

		{"no hosts without a proxy", noProxy(""), nil},
		{"hosts without a proxy of 4096", noProxy(strings.Repeat("h", 4096)), nil},
		{"hosts without a proxy of 4097", noProxy(strings.Repeat("h", 4097)),
			invalid("noProxy", "a value of 4097 bytes is not a list of hosts of up to 4096 bytes")},
		{"hosts without a proxy on two lines", noProxy("a\nb"), invalid("noProxy", "\"a\nb\" is not a list of hosts of up to 4096 bytes")},

		{"no CA bundle", bundle(""), nil},
		{"a CA bundle in another folder", bundle("../ca.pem"), outside("../ca.pem")},
		{"a CA bundle at a path", bundle("/etc/ca.pem"), outside("/etc/ca.pem")},
		{"the folder as a CA bundle", bundle("."), outside(".")},
		{"the folder above as a CA bundle", bundle(".."), outside("..")},
		{"the root as a CA bundle", bundle("/"), outside("/")},
	}
}
