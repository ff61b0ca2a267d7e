package hop

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/org/hubspoke-chain/internal/pattern"
	"github.com/org/hubspoke-chain/internal/plain"
)

// ARN is the ARN of an IAM role, parsed.
type ARN struct {
	Partition string // aws, aws-cn, aws-us-gov, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f or aws-eusc
	AccountID string // 12 digits
	Path      string // "/" or "/a/b/"
	Name      string // 1 to 64 of [\w+=,.@-]
}

// partitions are AWS's, with the prefix of their regions' names; aws itself, whose regions have no
// prefix of their own, is what is left.
// Source: the partitions of aws-sdk-go-v2/service/sts's endpoint rule set.
var partitions = []struct{ name, regionPrefix string }{
	{"aws-cn", "cn-"},
	{"aws-us-gov", "us-gov-"},
	{"aws-iso", "us-iso-"},
	{"aws-iso-b", "us-isob-"},
	{"aws-iso-e", "eu-isoe-"},
	{"aws-iso-f", "us-isof-"},
	{"aws-eusc", "eusc-"},
}

var (
	// Lengths are compared apart: a counted repeat of hundreds costs milliseconds at every start.
	roleARN = pattern.Lazy(`^arn:([a-z-]+):iam::([0-9]{12}):role(/|/[\x21-\x7e]+/)([A-Za-z0-9_+=,.@-]+)$`)
	region  = pattern.Lazy(`^[a-z]{2,4}(-[a-z]{1,20}){1,3}-[0-9]{1,2}$`)
)

// ParseRoleARN parses the full ARN of an IAM role in any partition.
func ParseRoleARN(s string) (ARN, error) {
	m := roleARN().FindStringSubmatch(s)
	if m == nil || len(m[3]) > maxRolePath || len(m[4]) > maxRoleName {
		return ARN{}, fmt.Errorf("%s is not the full ARN of an IAM role (arn:PARTITION:iam::ACCOUNT:role/NAME, with a 12-digit account)", shown(s))
	}
	if m[1] == "aws" {
		return ARN{Partition: m[1], AccountID: m[2], Path: m[3], Name: m[4]}, nil
	}
	for _, p := range partitions {
		if p.name == m[1] {
			return ARN{Partition: m[1], AccountID: m[2], Path: m[3], Name: m[4]}, nil
		}
	}
	return ARN{}, fmt.Errorf("%s names the unknown partition %q (aws, aws-cn, aws-us-gov, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f or aws-eusc)", shown(s), m[1])
}

// shown returns a quoted value, or its length where it may be a secret in the wrong place.
func shown(s string) string {
	if len(s) > plain.MaxQuoted {
		return plain.Quote(s)
	}
	return strconv.Quote(s)
}

// String returns the ARN as IAM writes it.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":iam::" + a.AccountID + ":role" + a.Path + a.Name
}

// MarshalText returns the ARN as IAM writes it.
func (a ARN) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText parses the full ARN of an IAM role.
func (a *ARN) UnmarshalText(text []byte) (err error) {
	*a, err = ParseRoleARN(string(text))
	return err
}

// Session returns the ARN of a session of the role. AWS drops the role's path in it.
func (a ARN) Session(name string) string {
	return "arn:" + a.Partition + ":sts::" + a.AccountID + ":assumed-role/" + a.Name + "/" + name
}

// RegionPartition returns the partition of a region such as eu-central-1. The name's form is checked, not whether AWS
// has such a region: new ones appear every year.
func RegionPartition(name string) (string, error) {
	if !region().MatchString(name) {
		return "", fmt.Errorf("%q is not the name of an AWS region (for example us-east-1)", name)
	}
	for _, p := range partitions {
		if strings.HasPrefix(name, p.regionPrefix) {
			return p.name, nil
		}
	}
	return "aws", nil
}
