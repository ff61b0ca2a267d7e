package hop

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/policy"
)

func TestHubPolicy(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("$", 510)
	for _, test := range []struct {
		name   string
		spokes []Spoke
		want   []string
	}{
		{"one spoke", roles("arn:aws:iam::222222222222:role/deploy"), []string{"arn:aws:iam::222222222222:role/deploy"}},
		{
			"another partition",
			roles("arn:aws-cn:iam::222222222222:role/deploy"),
			[]string{"arn:aws-cn:iam::222222222222:role/deploy"},
		},
		{
			"sorted, each once",
			roles("arn:aws:iam::333333333333:role/b", "arn:aws:iam::333333333333:role/a", "arn:aws:iam::222222222222:role/b", "arn:aws:iam::333333333333:role/a"),
			[]string{"arn:aws:iam::222222222222:role/b", "arn:aws:iam::333333333333:role/a", "arn:aws:iam::333333333333:role/b"},
		},
		{
			"what IAM would read as a wildcard or a variable",
			roles("arn:aws:iam::222222222222:role/*/a?b/${aws:username}/$/r"),
			[]string{"arn:aws:iam::222222222222:role/${*}/a${?}b/${$}{aws:username}/${$}/r"},
		},
		{
			"what JSON escapes, or may escape",
			roles(`arn:aws:iam::222222222222:role/"\<&>/r`),
			[]string{`arn:aws:iam::222222222222:role/\"\\<&>/r`},
		},
		{
			"accounts before roles, and the nearest accounts",
			append(accounts(37, "aws", "222222222200", "deploy-to-production"), roles("arn:aws:iam::999999999999:role/deploy-to-production", "arn:aws:iam::999999999999:role/deploy-to-productive")...),
			slices.Concat([]string{"arn:aws:iam::22222222220?:role/deploy-to-production"}, texts(accounts(37, "aws", "222222222200", "deploy-to-production")[10:]),
				[]string{"arn:aws:iam::999999999999:role/deploy-to-production", "arn:aws:iam::999999999999:role/deploy-to-productive"}),
		},
		{
			"one role that is too long",
			roles("arn:aws:iam::222222222222:role/" + long + "/r"),
			[]string{"arn:aws:iam::222222222222:role/" + strings.Repeat("${$}", 465) + "*"},
		},
	} {
		got := HubPolicy(test.spokes)
		want := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],` +
			`"Resource":["` + strings.Join(test.want, `","`) + `"]}]}`
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", test.name, got, want)
		}
	}
}

// roles are spokes by their ARNs.
func roles(arns ...string) []Spoke {
	var spokes []Spoke
	for _, arn := range arns {
		role, err := ParseRoleARN(arn)
		if err != nil {
			panic(err)
		}
		spokes = append(spokes, Spoke{Role: role})
	}
	return spokes
}

// accounts are spokes of one role in n accounts, counted from the first.
func accounts(n int, partition, first, role string) []Spoke {
	var spokes []Spoke
	var account int64
	fmt.Sscan(first, &account)
	for i := range n {
		spokes = append(spokes, roles(fmt.Sprintf("arn:%s:iam::%012d:role/%s", partition, account+int64(i), role))...)
	}
	return spokes
}

func texts(spokes []Spoke) []string {
	var arns []string
	for _, spoke := range spokes {
		arns = append(arns, spoke.Role.String())
	}
	return arns
}

var _ = rand.IntN
var _ policy.Kind

func BenchmarkHubPolicy(b *testing.B) {
	for _, n := range []int{100, 500} {
		for _, kind := range []string{"one role", "many roles", "long roles"} {
			b.Run(fmt.Sprintf("%d spokes/%s", n, kind), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				var spokes []Spoke
				for range n {
					role := "deploy"
					if kind == "many roles" {
						role = fmt.Sprintf("deploy-%d", r.IntN(50))
					}
					if kind == "long roles" {
						role = strings.Repeat("p", 500) + fmt.Sprintf("/deploy-%d", r.IntN(n))
					}
					spokes = append(spokes, roles(fmt.Sprintf("arn:aws:iam::%012d:role/%s", r.Int64N(1e12), role))...)
				}
				for b.Loop() {
					HubPolicy(spokes)
				}
			})
		}
	}
}
