package hop

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestParseRoleARN(t *testing.T) {
	t.Parallel()
	const form = " is not the full ARN of an IAM role (arn:PARTITION:iam::ACCOUNT:role/NAME, with a 12-digit account)"
	for _, test := range []struct {
		in   string
		want ARN
		err  string
	}{
		{in: "arn:aws:iam::123456789012:role/hub", want: ARN{"aws", "123456789012", "/", "hub"}},
		{in: "arn:aws-cn:iam::123456789012:role/a/b/hub", want: ARN{"aws-cn", "123456789012", "/a/b/", "hub"}},
		{in: "arn:aws-us-gov:iam::000000000000:role/h_u+b=,.@-", want: ARN{"aws-us-gov", "000000000000", "/", "h_u+b=,.@-"}},
		{in: "arn:aws-iso-b:iam::123456789012:role/p*?$/r", want: ARN{"aws-iso-b", "123456789012", "/p*?$/", "r"}},
		{in: "arn:aws:iam::123456789012:role/" + strings.Repeat("n", 64), want: ARN{"aws", "123456789012", "/", strings.Repeat("n", 64)}},
		{in: "", err: `""` + form},
		{in: "hub", err: `"hub"` + form},
		{in: "arn:aws:iam::12345678901:role/hub", err: `"arn:aws:iam::12345678901:role/hub"` + form},
		{in: "arn:aws:iam::1234567890123:role/hub", err: `"arn:aws:iam::1234567890123:role/hub"` + form},
		{in: "arn:aws:iam::123456789012:user/hub", err: `"arn:aws:iam::123456789012:user/hub"` + form},
		{in: "arn:aws:sts::123456789012:assumed-role/hub/s", err: `"arn:aws:sts::123456789012:assumed-role/hub/s"` + form},
		{in: "arn:aws:iam:us-east-1:123456789012:role/hub", err: `"arn:aws:iam:us-east-1:123456789012:role/hub"` + form},
		{in: "arn:aws:iam::123456789012:role/", err: `"arn:aws:iam::123456789012:role/"` + form},
		{in: "arn:aws:iam::123456789012:role/*", err: `"arn:aws:iam::123456789012:role/*"` + form},
		{in: "arn:aws:iam::123456789012:role//hub", err: `"arn:aws:iam::123456789012:role//hub"` + form},
		{in: "arn:aws:iam::123456789012:role/a\n", err: `"arn:aws:iam::123456789012:role/a\n"` + form},
		{in: "arn:aws:iam::123456789012:role/" + strings.Repeat("n", 65), err: `"arn:aws:iam::123456789012:role/` + strings.Repeat("n", 65) + `"` + form},
		{in: "arn:aws-mars:iam::123456789012:role/hub", err: `"arn:aws-mars:iam::123456789012:role/hub" names the unknown partition "aws-mars" ` +
			`(aws, aws-cn, aws-us-gov, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f or aws-eusc)`},
	} {
		got, err := ParseRoleARN(test.in)
		if got != test.want || text(err) != test.err {
			t.Errorf("ParseRoleARN(%q)\n got %+v, %s\nwant %+v, %s", test.in, got, text(err), test.want, test.err)
		}
		if err == nil && got.String() != test.in {
			t.Errorf("%q comes back as %q", test.in, got)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSessionARN(t *testing.T) {
	t.Parallel()
	role := ARN{"aws-cn", "123456789012", "/a/b/", "hub"}
	if got, want := role.Session("gh-1-1"), "arn:aws-cn:sts::123456789012:assumed-role/hub/gh-1-1"; got != want {
		t.Errorf("got %s, want %s, without the path", got, want)
	}
}

func TestRegion(t *testing.T) {
	t.Parallel()
	// The hosts are those of the endpoint rule set of aws-sdk-go-v2/service/sts.
	for _, test := range []struct{ region, partition, host string }{
		{"us-east-1", "aws", "sts.us-east-1.amazonaws.com"},
		{"ap-southeast-7", "aws", "sts.ap-southeast-7.amazonaws.com"},
		{"mx-central-1", "aws", "sts.mx-central-1.amazonaws.com"},
		{"cn-north-1", "aws-cn", "sts.cn-north-1.amazonaws.com.cn"},
		{"us-gov-west-1", "aws-us-gov", "sts.us-gov-west-1.amazonaws.com"},
		{"us-iso-east-1", "aws-iso", "sts.us-iso-east-1.c2s.ic.gov"},
		{"us-isob-east-1", "aws-iso-b", "sts.us-isob-east-1.sc2s.sgov.gov"},
		{"eu-isoe-west-1", "aws-iso-e", "sts.eu-isoe-west-1.cloud.adc-e.uk"},
		{"us-isof-south-1", "aws-iso-f", "sts.us-isof-south-1.csp.hci.ic.gov"},
		{"eusc-de-east-1", "aws-eusc", "sts.eusc-de-east-1.amazonaws.eu"},
	} {
		partition, err := RegionPartition(test.region)
		if err != nil || partition != test.partition {
			t.Errorf("%s: got %q, %v, want %q", test.region, partition, err, test.partition)
		}
		endpoint, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), sts.EndpointParameters{Region: aws.String(test.region)})
		if err != nil || endpoint.URI.Host != test.host || endpoint.URI.Scheme != "https" {
			t.Errorf("%s: got endpoint %v, %v, want %s", test.region, endpoint.URI, err, test.host)
		}
	}
	for _, region := range []string{"", "us-east", "US-EAST-1", "us-east-1a", "us-east-1.evil.example", "us-east-1/", "eu-" + strings.Repeat("x", 21) + "-1", "aws-global\n"} {
		_, err := RegionPartition(region)
		if want := quoted(region) + " is not the name of an AWS region (for example us-east-1)"; text(err) != want {
			t.Errorf("got %s\nwant %s", text(err), want)
		}
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, "\n", `\n`) + `"` }
