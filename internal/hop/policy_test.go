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
	long, path := strings.Repeat("$", 510), strings.Repeat("p", 449)+"/"
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
			append(inAccounts(37, "aws", "222222222200", "deploy-to-production"), roles("arn:aws:iam::999999999999:role/deploy-to-production", "arn:aws:iam::999999999999:role/deploy-to-productive")...),
			slices.Concat([]string{"arn:aws:iam::22222222220?:role/deploy-to-production"}, texts(inAccounts(37, "aws", "222222222200", "deploy-to-production")[10:]),
				[]string{"arn:aws:iam::999999999999:role/deploy-to-production", "arn:aws:iam::999999999999:role/deploy-to-productive"}),
		},
		{
			"roles of one account, of which one is cut by what is in excess",
			roles("arn:aws:iam::222222222222:role/a/"+path+"r", "arn:aws:iam::222222222222:role/b/"+path+"r", "arn:aws:iam::222222222222:role/c/"+path+"r",
				"arn:aws:iam::222222222222:role/d/"+path+"r"),
			[]string{"arn:aws:iam::222222222222:role/a/" + path[:411] + "*", "arn:aws:iam::222222222222:role/b/" + path + "r",
				"arn:aws:iam::222222222222:role/c/" + path + "r", "arn:aws:iam::222222222222:role/d/" + path + "r"},
		},
		{
			"roles of one account, of which the two most alike are joined",
			roles("arn:aws:iam::222222222222:role/a/"+path[20:]+"r", "arn:aws:iam::222222222222:role/b/"+path[20:]+"r",
				"arn:aws:iam::222222222222:role/c/"+path[20:]+"$*/r", "arn:aws:iam::222222222222:role/c/"+path[20:]+"$?/r", "arn:aws:iam::222222222222:role/d/"+path[20:]+"r"),
			[]string{"arn:aws:iam::222222222222:role/a/" + path[20:] + "r", "arn:aws:iam::222222222222:role/b/" + path[20:] + "r",
				"arn:aws:iam::222222222222:role/c/" + path[20:] + "${$}*", "arn:aws:iam::222222222222:role/d/" + path[20:] + "r"},
		},
		{
			"one role that is too long",
			roles("arn:aws:iam::222222222222:role/" + long + "/r"),
			[]string{"arn:aws:iam::222222222222:role/" + strings.Repeat("${$}", 468) + "*"},
		},
	} {
		got := HubPolicy(test.spokes, MaxPolicy)
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

// inAccounts are spokes of one role in n accounts, counted from the first.
func inAccounts(n int, partition, first, role string) []Spoke {
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

// hubPolicy gives the policy of the spokes after holding it to what HubPolicy promises for any of them: AWS
// takes it, every spoke is allowed and no more than the hop's actions, nothing is a wildcard that was not put
// there, no other partition is let in, and the order of the spokes changes nothing.
func hubPolicy(t *testing.T, r *rand.Rand, spokes []Spoke) *policy.Document {
	t.Helper()
	text := HubPolicy(spokes, MaxPolicy)
	d, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := d.Check(policy.Session, ""); err != nil {
		t.Fatalf("%d characters: %v\n%s", len(text), err, text)
	}
	for _, v := range d.Statements[0].Resources {
		fields := strings.SplitN(strings.NewReplacer("${*}", "", "${?}", "", "${$}", "").Replace(v.Text), ":", 6)
		role := strings.TrimSuffix(fields[5], "*")
		if strings.ContainsAny(role, "*?$") || !strings.HasPrefix(role, "role/") || strings.Contains(fields[4], "*") || len(fields[4]) != 12 {
			t.Errorf("a stray wildcard: %s", v.Text)
		}
	}
	for _, spoke := range spokes {
		if !allows(d, "sts:AssumeRole", spoke.Role) {
			t.Errorf("%s is refused by\n%s", spoke.Role, text)
		}
	}
	role := spokes[r.IntN(len(spokes))].Role
	for action, want := range map[string]bool{"sts:TagSession": true, "sts:SetSourceIdentity": true, "sts:AssumeRoot": false, "iam:GetRole": false} {
		if allows(d, action, role) != want {
			t.Errorf("%s is allowed: %t", action, !want)
		}
	}
	role.Partition = map[string]string{"aws": "aws-cn", "aws-cn": "aws"}[role.Partition]
	if allows(d, "sts:AssumeRole", role) {
		t.Errorf("%s is allowed by\n%s", role, text)
	}
	other := slices.Concat(spokes, spokes[:1+r.IntN(len(spokes))])
	r.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
	if again := HubPolicy(other, MaxPolicy); again != text {
		t.Errorf("in another order, some twice:\n%s\nand\n%s", text, again)
	}
	return d
}

func allows(d *policy.Document, action string, role ARN) bool {
	return d.Decide(policy.Session, policy.Request{Action: action, Resource: role.String()}).Effect == policy.Allow
}

func resources(d *policy.Document) []string {
	var all []string
	for _, v := range d.Statements[0].Resources {
		all = append(all, v.Text)
	}
	return all
}

func TestHubPolicyExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	spokes := inAccounts(40, "aws", "222222222222", "deploy")
	if got, want := resources(hubPolicy(t, r, spokes)), texts(spokes); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestHubPolicyRandom has any number of spokes: of one role, of several, of paths long and hostile.
func TestHubPolicyRandom(t *testing.T) {
	t.Parallel()
	for kind, role := range map[string]func(*rand.Rand) string{
		"one role":  func(*rand.Rand) string { return "ci/deploy" },
		"few roles": func(r *rand.Rand) string { return []string{"deploy", "ci/deploy", "read", "ci/read"}[r.IntN(4)] },
		"names":     func(r *rand.Rand) string { return word(r, r.IntN(64), "abcdefgABC019_+=,.@-") },
		"paths": func(r *rand.Rand) string {
			return word(r, 1+r.IntN(200), `ab/*?${}"\<&:`) + "/" + word(r, r.IntN(64), "ab_")
		},
		"long paths": func(r *rand.Rand) string { return strings.Repeat("p", 300) + word(r, 100, "ab$*?") + "/r" },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(2026, uint64(len(kind))))
			var spokes []Spoke
			for n := 1; n <= 300; n++ {
				account := r.Int64N(1e12)
				if n%2 == 0 {
					account = 222222220000 + r.Int64N(1e4) // some accounts are neighbours
				}
				spokes = append(spokes, roles(fmt.Sprintf("arn:aws:iam::%012d:role/%s", account, role(r)))...)
				if n > 60 && n%10 > 0 {
					continue // what is around the limit is tried one by one, what is far beyond it is not
				}
				if size := len(HubPolicy(spokes, MaxPolicy)); size > 2048 {
					t.Errorf("%d characters for %d spokes", size, n)
				}
				if n%150 == 0 || n < 50 && n%16 == 1 {
					hubPolicy(t, r, spokes)
				}
			}
		})
	}
}

// word is n of the characters and an x, without the slashes that no role's path begins with.
func word(r *rand.Rand, n int, characters string) string {
	var b strings.Builder
	for range n {
		b.WriteByte(characters[r.IntN(len(characters))])
	}
	return strings.TrimLeft(b.String(), "/") + "x"
}

func TestHubPolicyOneRole(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 3))
	for _, role := range []string{"deploy", "ci/deploy", "*/${a}/?/deploy"} {
		var spokes []Spoke
		for range 300 {
			spokes = append(spokes, roles(fmt.Sprintf("arn:aws:iam::%012d:role/%s", r.Int64N(1e12), role))...)
		}
		d := hubPolicy(t, r, spokes)
		for _, other := range []string{"deploy2", "deplo", "Deploy", "admin", "x/deploy", "ci/x/deploy", "*/x/?/deploy", "a/${a}/?/deploy", "*/${a}/b/deploy"} {
			for _, spoke := range spokes[:20] {
				arn := "arn:aws:iam::" + spoke.Role.AccountID + ":role/" + other
				if allows(d, "sts:AssumeRole", roles(arn)[0].Role) {
					t.Errorf("%s is allowed by %q", arn, resources(d))
				}
			}
		}
	}
}

// TestHubPolicyPartitions has more than a hop has. Even so none may be let in for another's sake.
func TestHubPolicyPartitions(t *testing.T) {
	t.Parallel()
	long := "/" + strings.Repeat("*", 500) + "/"
	spokes := []Spoke{
		{Role: ARN{"aws", "222222222222", long, "r"}},
		{Role: ARN{"aws-cn", "222222222222", long, "r"}},
		{Role: ARN{"aws-eusc", "222222222222", "/", "r"}},
	}
	d, err := policy.Parse([]byte(HubPolicy(spokes, MaxPolicy)))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(policy.Session, ""); err != nil {
		t.Error(err)
	}
	for _, spoke := range spokes {
		if !allows(d, "sts:AssumeRole", spoke.Role) {
			t.Errorf("%s is refused by %q", spoke.Role, resources(d))
		}
	}
	for _, role := range []ARN{{"aws-us-gov", "222222222222", long, "r"}, {"aws-eusc", "222222222222", long, "r"}, {"aws-eusc", "222222222223", "/", "r"}} {
		if allows(d, "sts:AssumeRole", role) {
			t.Errorf("%s is allowed by %q", role, resources(d))
		}
	}
}

// FuzzHubPolicy takes a role's path and name for each line, all of them in as many accounts as said.
func FuzzHubPolicy(f *testing.F) {
	f.Add("deploy", uint8(1), uint64(1))
	f.Add("deploy", uint8(255), uint64(2))
	f.Add("deploy\nci/deploy\nci/read", uint8(40), uint64(3))
	f.Add("*/a?b/${aws:username}/$/r\n*/a?b/${*}/r\n${$}/r\n$/r", uint8(20), uint64(4))
	f.Add("\"\\<>&/r\n:/:/r\n{}/r", uint8(30), uint64(5))
	f.Add(strings.Repeat("$", 500)+"/r\n"+strings.Repeat("$", 501)+"/r\n"+strings.Repeat("*", 500)+"/r", uint8(2), uint64(6))
	f.Add("a\nab\nabc\nabcd\nb\nbc\nbcd", uint8(9), uint64(7))
	f.Fuzz(func(t *testing.T, lines string, accounts uint8, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		var spokes []Spoke
		for role := range strings.SplitSeq(lines, "\n") {
			for range accounts {
				id := strings.Repeat("2", r.IntN(12))
				id += fmt.Sprintf("%012d", r.Int64N(1e12))[len(id):]
				role, err := ParseRoleARN("arn:aws:iam::" + id + ":role/" + role)
				if err != nil || len(spokes) == 300 {
					break
				}
				spokes = append(spokes, Spoke{Role: role})
			}
		}
		if len(spokes) > 0 {
			hubPolicy(t, r, spokes)
		}
	})
}

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
					HubPolicy(spokes, MaxPolicy)
				}
			})
		}
	}
}
