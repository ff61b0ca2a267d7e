package policy

import (
	"errors"
	"strings"
	"testing"
)

const role = "arn:aws:iam::123456789012:role/github-actions-hub"

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	trust := func(principal, more string) string {
		return `{"Statement": {"Effect": "Allow", "Principal": ` + principal + `, "Action": "sts:AssumeRole"` + more + `}}`
	}
	federated := func(issuer, action, condition string) string {
		return `{"Statement": {"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/` + issuer +
			`"}, ` + action + condition + `}}`
	}
	web := `"Action": "sts:AssumeRoleWithWebIdentity"`
	allow := func(more string) string { return `{"Statement": {"Effect": "Allow", ` + more + `}}` }
	long := func(n int) string {
		head := `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*","Sid":"`
		return head + strings.Repeat("x", n-len(head)-len(`"}}`)) + `"}}`
	}
	sub := func(operator, key, value string) string {
		return `, "Condition": {"` + operator + `": {"` + key + `": ` + value + `}}`
	}
	const github = "token.actions.githubusercontent.com"
	const guard = "a trust policy for " + github + " needs a condition on " + github + ":sub that is more than a wildcard"

	for _, c := range []struct {
		kind     Kind
		document string
		want     string // without the position
	}{
		{Trust, long(2049), "Cannot exceed quota for ACLSizePerRole: 2048"},
		{Identity, long(10241), "the policy has more than 10240 characters"},
		{Boundary, long(6145), "Cannot exceed quota for PolicySize: 6144"},
		{SCP, long(10240) + " ", "the policy has more than 10240 characters"},
		{Session, long(2048) + "\n", "the policy has more than 2048 characters"},

		{Trust, allow(`"Action": "sts:AssumeRole"`), "Missing required field Principal"},
		{Trust, trust(`"*"`, `, "Resource": "*"`), "Has prohibited field Resource"},
		{Trust, trust(`"*"`, `, "NotResource": "*"`), "AssumeRole policy must not contain resources."},
		{Trust, allow(`"NotPrincipal": "*", "Action": "sts:AssumeRole"`), "AssumeRole policy must not contain NotPrincipal field."},
		{Trust, allow(`"Principal": "*", "Action": "*"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{Trust, allow(`"Principal": "*", "Action": ["sts:AssumeRole", "s3:GetObject"]`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{Trust, allow(`"Principal": "*", "Action": "sts:GetCallerIdentity"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{Trust, allow(`"Principal": "*", "NotAction": "s3:*"`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{Trust, trust(`{"AWS": "arn:aws:iam::123456789012:role/*"}`, ""), `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:role/*"`},
		{Trust, trust(`{"AWS": "arn:aws:iam::*:root"}`, ""), `Invalid principal in policy: "AWS":"arn:aws:iam::*:root"`},
		{Trust, trust(`{"AWS": "arn:aws:sts::123456789012:assumed-role/hub/*"}`, ""), `Invalid principal in policy: "AWS":"arn:aws:sts::123456789012:assumed-role/hub/*"`},
		{Trust, trust(`{"AWS": "arn:aws-cn:iam::123456789012:root"}`, ""), `Invalid principal in policy: "AWS":"arn:aws-cn:iam::123456789012:root"`},
		{Trust, trust(`{"AWS": "arn:aws:iam::12345678901:root"}`, ""), `Invalid principal in policy: "AWS":"arn:aws:iam::12345678901:root"`},
		{Trust, trust(`{"AWS": "arn:aws:iam::123456789012:group/x"}`, ""), `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:group/x"`},
		{Trust, trust(`{"AWS": "1234567890123"}`, ""), `Invalid principal in policy: "AWS":"1234567890123"`},
		{Trust, trust(`{"AWS": ""}`, ""), `Invalid principal in policy: "AWS":""`},
		{Trust, trust(`{"Service": "ec2"}`, ""), `Invalid principal in policy: "SERVICE":"ec2"`},
		{Trust, trust(`{"CanonicalUser": "79a5"}`, ""), `Invalid principal in policy: "CANONICALUSER":"79a5"`},
		{Trust, trust(`{"Federated": "https://token.actions.githubusercontent.com"}`, ""), "Federated principals must be valid domain names or SAML metadata ARNs"},
		{Trust, trust(`{"Federated": "arn:aws:iam//123456789012:oidc-provider/x.y"}`, ""), "Federated principals must be valid domain names or SAML metadata ARNs"},
		{Trust, federated(github, web, ""), guard},
		{Trust, federated(github, web, sub("StringEquals", github+":aud", `"sts.amazonaws.com"`)), guard},
		{Trust, federated(github, web, sub("StringLike", github+":sub", `"*"`)), guard},
		{Trust, federated(github, web, sub("StringLike", github+":sub", `["repo:o/r:*", "?*"]`)), guard},
		{Trust, federated(github, web, sub("Null", github+":sub", `"false"`)), guard},
		{Trust, federated(github, web, sub("StringLike", github+"/acme:sub", `"repo:o/r:*"`)), guard},
		{Trust, federated(github, `"Action": "sts:*"`, ""), guard},
		{Trust, federated(github, `"NotAction": "sts:TagSession"`, ""), guard},
		{Trust, federated(github+"/acme", web, sub("StringEquals", github+":sub", `"x"`)), strings.ReplaceAll(guard, github, github+"/acme")},

		{Identity, allow(`"Action": "sts:AssumeRole"`), "Policy statement must contain resources."},
		{Identity, allow(`"Principal": "*", "Action": "sts:AssumeRole", "Resource": "*"`), "Policy document should not specify a principal."},
		{SCP, allow(`"NotPrincipal": "*", "Action": "sts:AssumeRole", "Resource": "*"`), "Policy document should not specify a principal."},
		{Session, allow(`"Action": "AssumeRole", "Resource": "*"`), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{Session, allow(`"Action": "sts:Assume:Role", "Resource": "*"`), "Actions/Condition can contain only one colon."},
		{Session, allow(`"NotAction": "s*:x", "Resource": "*"`), "Vendor s* is not valid"},
		{Identity, allow(`"Action": "sts:*", "Resource": "role/x"`), `Resource role/x must be in ARN format or "*".`},
		{Identity, allow(`"Action": "sts:*", "NotResource": "arn:aws:*:::x"`), "Resource vendor must be fully qualified and cannot contain regexes."},
		{Identity, allow(`"Action": "sts:*", "Resource": "arn:aws:iam::${aws:PrincipalAccount}:role/x"`), "Resource arn:aws:iam::${aws:PrincipalAccount}:role/x has a policy variable before the fifth colon of the ARN"},
		{Identity, allow(`"Action": "sts:*", "Resource": "*", "Sid": "a b"`), "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"},
		{Identity, `{"Statement": [{"Sid": "a", "Effect": "Deny", "Action": "*", "Resource": "*"}, {"Sid": "a", "Effect": "Deny", "Action": "*", "Resource": "*"}]}`,
			"Statement IDs (SID) in a single policy must be unique."},

		{Trust, trust(`"*"`, sub("stringEquals", "a:b", `"x"`)), `IAM has no condition operator "stringEquals"`},
		{Trust, trust(`"*"`, sub("NullIfExists", "a:b", `"true"`)), `IAM has no condition operator "NullIfExists"`},
		{Trust, trust(`"*"`, sub("ForAnyValue:Null", "a:b", `"true"`)), `IAM has no condition operator "ForAnyValue:Null"`},
		{Trust, trust(`"*"`, sub("ForSomeValues:StringEquals", "a:b", `"x"`)), `IAM has no condition operator "ForSomeValues:StringEquals"`},
		{Trust, trust(`"*"`, sub("StringEquals", "sub", `"x"`)), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{Trust, trust(`"*"`, sub("Bool", "a:b", `"yes"`)), `Bool compares with true or false, and "yes" is none`},
		{Trust, trust(`"*"`, sub("NumericLessThan", "a:b", `1e9`)), `NumericLessThan compares with a number, and "1e9" is none`},
		{Trust, trust(`"*"`, sub("DateLessThanIfExists", "a:b", `"tomorrow"`)), `DateLessThanIfExists compares with a date (ISO 8601, or seconds since 1970), and "tomorrow" is none`},
		{Trust, trust(`"*"`, sub("NotIpAddress", "a:b", `"10.0.0.0/33"`)), `NotIpAddress compares with an IP address or CIDR block, and "10.0.0.0/33" is none`},
		{Trust, trust(`"*"`, sub("BinaryEquals", "a:b", `"?"`)), `BinaryEquals compares with base64, and "?" is none`},
	} {
		err := parse(t, c.document).Check(c.kind, role)
		var failure *CheckError
		if !errors.As(err, &failure) || failure.Message != c.want || failure.Line < 1 || failure.Column < 1 {
			t.Errorf("%s %.200s\n got %v\nwant %s", c.kind, c.document, err, c.want)
		}
	}

	err := parse(t, "{\n \"Statement\": {\"Effect\": \"Allow\", \"Principal\": {\"AWS\":\n  \"x\"}, \"Action\": \"sts:AssumeRole\"}}").Check(Trust, role)
	if want := `line 3, column 3: Invalid principal in policy: "AWS":"x"`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	trust := func(principal string) string {
		return `{"Statement": {"Effect": "Allow", "Principal": ` + principal + `, "Action": ["sts:AssumeRole", "STS:tagsession", "sts:Assume*"]}}`
	}
	const subject = `{"Statement": {"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com/acme"},
		"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringLike": {"Token.Actions.GithubUserContent.com/acme:SUB": "repo:o/r:*"}}}}`
	spaced := strings.Repeat(" ", 3000)
	for _, c := range []struct {
		kind     Kind
		document string
	}{
		{Trust, trust(`"*"`)},
		{Trust, trust(`{"AWS": ["*", "123456789012", "arn:aws:iam::222222222222:root", "arn:aws:iam::222222222222:role/a/b/x",
			"arn:aws:iam::222222222222:user/x", "AROAHUB1234567890ABCD", "arn:aws:sts::222222222222:assumed-role/x/session@1"]}`)},
		{Trust, trust(`{"Service": ["ec2.amazonaws.com"]}`)},
		{Trust, trust(`{"Federated": ["cognito-identity.amazonaws.com", "arn:aws:iam::123456789012:saml-provider/x",
			"arn:aws:iam::123456789012:oidc-provider/ghes.example.com/_services/token"]}`)},
		{Trust, subject},
		{Trust, strings.Replace(subject, `"Allow"`, `"Deny"`, 1)},
		{Trust, trust(`"*"`) + spaced}, // IAM does not count white space
		{Identity, `{"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "NotAction": "*", "Resource":
			["*", "arn:aws:iam::*:role/${aws:PrincipalTag/a:b}*", "arn:aws:iam::*"]}}`},
		{Boundary, `{"Statement": {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::x", "Condition": {"Bool": {"aws:SecureTransport": false}}}}`},
		{Session, `{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}}`},
		{SCP, `{"Statement": {"Sid": "a b", "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"NumericLessThan": {"a:b": -1.5}, "IpAddress": {"a:c": "::1"}}}}`},
	} {
		if err := parse(t, c.document).Check(c.kind, role); err != nil {
			t.Errorf("%s %s: %v", c.kind, c.document, err)
		}
	}
}
