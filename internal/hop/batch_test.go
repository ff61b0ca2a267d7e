package hop

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/policy"
)

const hubActions = `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`

func TestHubPolicy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		spokes []ARN
		want   []string
	}{
		{"one spoke", roles("arn:aws:iam::222222222222:role/deploy"), []string{"arn:aws:iam::222222222222:role/deploy"}},
		{
			"another partition",
			roles("arn:aws-cn:iam::222222222222:role/deploy"),
			[]string{"arn:aws-cn:iam::222222222222:role/deploy"},
		},
		{
			"in the order of the spokes",
			roles("arn:aws:iam::333333333333:role/b", "arn:aws:iam::333333333333:role/a", "arn:aws:iam::222222222222:role/b"),
			[]string{"arn:aws:iam::333333333333:role/b", "arn:aws:iam::333333333333:role/a", "arn:aws:iam::222222222222:role/b"},
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
	} {
		got := HubPolicy(test.spokes)
		want := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":` + hubActions + `,"Resource":"*"},` +
			`{"Effect":"Deny","NotAction":` + hubActions + `,"Resource":"*"},` +
			`{"Effect":"Deny","Action":` + hubActions + `,"NotResource":["` + strings.Join(test.want, `","`) + `"]}]}`
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", test.name, got, want)
		}
	}
}

// roles parses ARNs.
func roles(arns ...string) []ARN {
	var all []ARN
	for _, arn := range arns {
		role, err := ParseRoleARN(arn)
		if err != nil {
			panic(err)
		}
		all = append(all, role)
	}
	return all
}

// inAccounts are spokes of one role in n accounts, counted from the first.
func inAccounts(n int, partition, first, role string) []ARN {
	var spokes []ARN
	var account int64
	fmt.Sscan(first, &account)
	for i := range n {
		spokes = append(spokes, roles(fmt.Sprintf("arn:%s:iam::%012d:role/%s", partition, account+int64(i), role))...)
	}
	return spokes
}

// TestBatchSize has as many roles as README.md names for one batch, and one more.
func TestBatchSize(t *testing.T) {
	t.Parallel()
	for name, want := range map[int]int{10: 38, 32: 25, 64: 17} {
		one := inAccounts(want, "aws", "222222222200", strings.Repeat("r", name))
		two := inAccounts(want+1, "aws", "222222222200", strings.Repeat("r", name))
		if got := sizes(t, one); !slices.Equal(got, []int{want}) {
			t.Errorf("names of %d characters: batches of %d, want %d", name, got, want)
		}
		if got := sizes(t, two); !slices.Equal(got, []int{want, 1}) {
			t.Errorf("names of %d characters: batches of %d, want %d and 1", name, got, want)
		}
	}
}

func sizes(t *testing.T, spokes []ARN) []int {
	t.Helper()
	var sizes []int
	for _, roles := range checkedBatches(t, spokes) {
		sizes = append(sizes, len(roles))
	}
	return sizes
}

// checkedBatches returns the batches of the spokes after checking what every one must meet: together they are the
// roles, each once and in order; AWS accepts the policy of each; none could be longer; and each policy allows its
// roles and explicitly denies everything else.
func checkedBatches(t *testing.T, spokes []ARN) [][]ARN {
	t.Helper()
	all := batches(spokes)
	var want []ARN
	for _, spoke := range spokes {
		if !slices.Contains(want, spoke) {
			want = append(want, spoke)
		}
	}
	if got := slices.Concat(all...); !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for i, batch := range all {
		text := HubPolicy(batch)
		if len(text) > MaxPolicy {
			t.Errorf("%d characters: %s", len(text), text)
		}
		if i+1 < len(all) {
			if longer := HubPolicy(append(slices.Clone(batch), all[i+1][0])); len(longer) <= MaxPolicy {
				t.Errorf("a batch of %d roles has room for another", len(batch))
			}
		}
		d, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if err := d.Check(policy.Session, ""); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got := resources(t, d); !slices.Equal(got, batch) {
			t.Errorf("the policy names %v\nwant %v", got, batch)
		}
		for _, role := range want {
			effect := policy.Deny
			if slices.Contains(batch, role) {
				effect = policy.Allow
			}
			for _, action := range []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"} {
				if got := decide(d, action, role.String()); got != effect {
					t.Errorf("%s on %s: %s, want %s, by\n%s", action, role, got, effect, text)
				}
			}
		}
		for _, action := range []string{"sts:AssumeRoot", "sts:AssumeRoleWithSAML", "sts:GetFederationToken", "iam:GetRole", "s3:GetObject"} {
			if got := decide(d, action, batch[0].String()); got != policy.Deny {
				t.Errorf("%s: %s, want an explicit deny", action, got)
			}
		}
		other := batch[0]
		other.Name = "x" + other.Name[:len(other.Name)-1] // of the same length
		other.Partition = map[string]string{"aws": "aws-cn", "aws-cn": "aws"}[other.Partition]
		if got := decide(d, "sts:AssumeRole", other.String()); got != policy.Deny {
			t.Errorf("%s: %s, want an explicit deny by\n%s", other, got, text)
		}
	}
	return all
}

func decide(d *policy.Document, action, role string) policy.Effect {
	return d.Decide(policy.Session, policy.Request{Action: action, Resource: role}).Effect
}

// resources returns the roles that a policy names. It fails on everything that could stand for more than one.
func resources(t *testing.T, d *policy.Document) []ARN {
	t.Helper()
	var named []ARN
	for _, v := range d.Statements[len(d.Statements)-1].NotResources {
		if strings.ContainsAny(strings.NewReplacer("${*}", "", "${?}", "", "${$}", "").Replace(v.Text), "*?$") {
			t.Errorf("a wildcard or variable: %s", v.Text)
		}
		role, err := ParseRoleARN(strings.NewReplacer("${*}", "*", "${?}", "?", "${$}", "$").Replace(v.Text))
		if err != nil {
			t.Error(err)
		}
		named = append(named, role)
	}
	return named
}

// TestBatches has spokes of one role, of several, and of paths long and hostile.
func TestBatches(t *testing.T) {
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
			var spokes []ARN
			for n := 1; n <= 200; n++ {
				account := r.Int64N(1e12)
				if n%2 == 0 {
					account = 222222222220 + r.Int64N(10) // some spokes have one account, and some one role
				}
				spokes = append(spokes, roles(fmt.Sprintf("arn:aws:iam::%012d:role/%s", account, role(r)))...)
				if n == 1 || n == 30 || n == 60 || n == 200 {
					checkedBatches(t, spokes)
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

// TestBatchesUnlikeRoles has roles that a wildcard would stand for.
func TestBatchesUnlikeRoles(t *testing.T) {
	t.Parallel()
	spokes := roles("arn:aws:iam::222222222222:role/*/a?b/$/deploy", "arn:aws-cn:iam::222222222222:role/*/a?b/$/deploy")
	d, err := policy.Parse([]byte(HubPolicy(spokes)))
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{
		"arn:aws:iam::222222222222:role/x/a?b/$/deploy", "arn:aws:iam::222222222222:role/*/acb/$/deploy", "arn:aws:iam::222222222222:role/*/a?b/x/deploy",
		"arn:aws:iam::222222222222:role//a?b/$/deploy", "arn:aws:iam::222222222223:role/*/a?b/$/deploy", "arn:aws:iam::222222222222:role/*/a?b/$/deploy2",
		"arn:aws:iam::222222222222:role/*/a?b/$/Deploy", "arn:aws:iam::222222222222:role/deploy", "arn:aws-us-gov:iam::222222222222:role/*/a?b/$/deploy",
	} {
		if got := decide(d, "sts:AssumeRole", other); got != policy.Deny {
			t.Errorf("%s: %s, want an explicit deny", other, got)
		}
	}
	checkedBatches(t, spokes)
}

// TestLongestPath has the longest paths that IAM allows.
func TestLongestPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		strings.Repeat("p", 510): "",
		strings.Repeat("*", 400): "",
		strings.Repeat("*", 510): `the session policy that names it has 2425 characters, and AWS allows 2048; use a role with a shorter path`,
	} {
		h, _ := newHop(t)
		h.Spokes = roles("arn:aws:iam::222222222222:role/"+path+"/r", spokeRole)
		problems := h.Validate()
		if want == "" {
			if len(problems) > 0 {
				t.Error(problems)
			}
			checkedBatches(t, h.Spokes)
			continue
		}
		want = `"` + h.Spokes[0].String() + `" is too long: ` + want
		if !slices.Equal(problems, []Problem{{Field: "spokes", Text: want}}) {
			t.Errorf("got  %v\nwant %s", problems, want)
		}
	}
}

// FuzzHubPolicy takes one role's path and name per line, and in how many accounts each one is.
func FuzzHubPolicy(f *testing.F) {
	f.Add("deploy", uint8(1), uint64(1))
	f.Add("deploy", uint8(255), uint64(2))
	f.Add("deploy\nci/deploy\nci/read", uint8(40), uint64(3))
	f.Add("*/a?b/${aws:username}/$/r\n*/a?b/${*}/r\n${$}/r\n$/r", uint8(20), uint64(4))
	f.Add("\"\\<>&/r\n:/:/r\n{}/r", uint8(30), uint64(5))
	f.Add(strings.Repeat("$", 400)+"/r\n"+strings.Repeat("$", 501)+"/r\n"+strings.Repeat("*", 401)+"/r", uint8(2), uint64(6))
	f.Add("a\nab\nabc\nabcd\nb\nbc\nbcd", uint8(9), uint64(7))
	f.Fuzz(func(t *testing.T, lines string, accounts uint8, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		var spokes []ARN
		for role := range strings.SplitSeq(lines, "\n") {
			for range accounts {
				id := strings.Repeat("2", r.IntN(12))
				id += fmt.Sprintf("%012d", r.Int64N(1e12))[len(id):]
				role, err := ParseRoleARN("arn:aws:iam::" + id + ":role/" + role)
				if err != nil || len(HubPolicy([]ARN{role})) > MaxPolicy || len(spokes) == 100 {
					break
				}
				spokes = append(spokes, role)
			}
		}
		checkedBatches(t, spokes)
	})
}

func BenchmarkHubPolicy(b *testing.B) {
	for _, n := range []int{100, 500} {
		for _, kind := range []string{"one role", "many roles", "long roles"} {
			b.Run(fmt.Sprintf("%d spokes/%s", n, kind), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				var spokes []ARN
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
					batches(spokes)
				}
			})
		}
	}
}
