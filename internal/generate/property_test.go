package generate_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/org/hubspoke-chain/internal/generate"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/policy"
)

// A policy is generated from the seed and its number alone, so that a failure, which prints the number, can
// be run again. Every subject that it is made for is a case.
const (
	seed     = 20261124
	policies = 3200
	cases    = 10000 // at least
	shards   = 4     // that run at the same time

	// Every mutation is tried with one policy of so many, and as many as this with each of the others.
	thorough  = 100
	mutations = 4
)

// hubCase is one policy: what it is constructed from, with the tokens that it is made for. The subjects
// are computed by the lab's issuer, which does not use package generate.
type hubCase struct {
	hub      generate.HubTrust
	text     []byte
	document *policy.Document
	jobs     []lab.Job
	subjects []string // of the jobs
}

func (c hubCase) issuer() string { return c.hub.Issuer.String() }
func (c hubCase) provider() string {
	return "arn:" + c.hub.Partition + ":iam::" + c.hub.AccountID + ":oidc-provider/" + c.issuer()
}

func newHubCase(t *testing.T, number uint64) hubCase {
	t.Helper()
	for try := uint64(0); ; try++ {
		r := rand.New(rand.NewPCG(seed, number<<8|try))
		c := hubCase{hub: randomHub(r)}
		var err error
		if c.text, err = c.hub.Document(); err != nil {
			var problems generate.Problems
			if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(problems[0].Message, " fit") || try > 50 {
				t.Fatalf("policy %d: %+v: %v", number, c.hub, err)
			}
			continue // too long for IAM: another one
		}
		if c.document, err = policy.Parse(c.text); err != nil {
			t.Fatalf("policy %d: %v in\n%s", number, err, c.text)
		}
		if err := c.document.Check(policy.Trust, "arn:"+c.hub.Partition+":iam::"+c.hub.AccountID+":role/hub"); err != nil {
			t.Fatalf("policy %d: %v in\n%s", number, err, c.text)
		}
		for _, job := range c.allJobs() {
			if subject := job.Subject(); !slices.Contains(c.subjects, subject) {
				c.jobs, c.subjects = append(c.jobs, job), append(c.subjects, subject)
			}
		}
		return c
	}
}

func (c hubCase) allJobs() (jobs []lab.Job) {
	forms := []string{string(c.hub.Form)}
	switch c.hub.Form {
	case generate.Both:
		forms = []string{"immutable", "legacy"}
	case "":
		forms = []string{"immutable"}
		if c.hub.Issuer.GHES != "" {
			forms = []string{"legacy"}
		}
	}
	for _, form := range forms {
		for _, repository := range c.hub.Repositories {
			add := func(context map[string]any) {
				claims := map[string]any{
					"iss": "https://" + c.issuer(), "repository": repository.Owner + "/" + repository.Name,
					"repository_owner_id": repository.OwnerID, "repository_id": repository.ID,
					"event_name": "push", "ref": "refs/heads/x", "actor": "octocat", "workflow": "deploy",
				}
				maps.Copy(claims, context)
				for _, claim := range c.hub.Claims {
					claims[claim.Name] = claim.Value
				}
				job := lab.Job{Form: form, Claims: claims}
				claims["sub"] = lab.Job{Form: form, Claims: maps.Clone(without(claims, context))}.Subject()
				jobs = append(jobs, job)
			}
			for _, name := range c.hub.Environments {
				add(map[string]any{"environment": name})
			}
			for _, ref := range c.hub.Refs {
				add(map[string]any{"ref": ref})
			}
			if c.hub.PullRequest {
				add(map[string]any{"event_name": "pull_request"})
			}
		}
	}
	return jobs
}

// without are the claims that make the subject: those of the case's conditions are put back to the job's.
func without(claims, context map[string]any) map[string]any {
	c := maps.Clone(claims)
	delete(c, "environment")
	c["ref"] = "refs/heads/x"
	maps.Copy(c, context)
	return c
}

func randomHub(r *rand.Rand) generate.HubTrust {
	h := generate.HubTrust{
		Partition: generate.Partitions[r.IntN(len(generate.Partitions))], AccountID: fmt.Sprintf("%012d", r.Int64N(1e12)),
		Form: []generate.SubjectForm{"", generate.Legacy, generate.Immutable, generate.Both}[r.IntN(4)],
	}
	switch r.IntN(8) {
	case 0:
		h.Issuer.Enterprise = "octo-inc"
	case 1:
		h.Issuer.GHECom = "octo"
	case 2:
		h.Issuer.GHES, h.Form = "github.example.com", []generate.SubjectForm{"", generate.Legacy}[r.IntN(2)]
	}
	if r.IntN(3) == 0 {
		h.Audience = pick(r, "https://github.com/octo-org", "octo", "sts.amazonaws.com")
	}
	owner, ownerID := word(r, 20), id(r)
	for i := range 1 + r.IntN(2) {
		h.Repositories = append(h.Repositories, generate.Repository{
			Owner: owner, Name: word(r, 20) + pick(r, "", ".js", "_", "-1") + strings.Repeat("z", i), OwnerID: ownerID, ID: id(r),
		})
	}
	for range r.IntN(3) {
		// One is the beginning of another, or differs in case only, more often than chance has it.
		name := word(r, 10) + pick(r, "", ":v1", "%3A", " 2", "/eu", "@1", "é", `"<&>'\`, "-", ".")
		h.Environments = append(h.Environments, name)
		if r.IntN(4) == 0 {
			h.Environments = append(h.Environments, name+"x")
		}
	}
	for range r.IntN(3) {
		h.Refs = append(h.Refs, pick(r, "refs/heads/", "refs/tags/")+word(r, 10)+pick(r, "", "/x", "-1.2", "%", "@"))
	}
	h.PullRequest = r.IntN(4) == 0 || len(h.Environments)+len(h.Refs) == 0
	h.Environments, h.Refs = unique(h.Environments), unique(h.Refs)
	if h.Issuer.GHES == "" && r.IntN(3) == 0 {
		h.Claims = append(h.Claims, pick(r,
			generate.Claim{Name: "actor", Value: "octocat"},
			generate.Claim{Name: "job_workflow_ref", Value: "octo-org/w/.github/workflows/d.yml@refs/heads/main"},
			generate.Claim{Name: "environment", Value: "production"},
			generate.Claim{Name: "workflow", Value: "deploy"},
			generate.Claim{Name: "enterprise_id", Value: "77"},
		))
	}
	return h
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }
func id(r *rand.Rand) string                { return fmt.Sprint(1 + r.IntN(1e7)) }

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func word(r *rand.Rand, most int) string {
	b := []byte{"abcdxyzABC"[r.IntN(10)]}
	for range r.IntN(most - 1) {
		b = append(b, "abcdefghijklmnopqrstuvwxyzABC0123456789-"[r.IntN(40)])
	}
	return string(b) + "q"
}

// web is the request for the hub by the bearer of a token.
func (c hubCase) web(subject string) policy.Request {
	ctx := policy.Context{}
	ctx.Set(c.issuer()+":sub", subject)
	ctx.Set(c.issuer()+":aud", c.audience())
	for _, claim := range c.hub.Claims {
		ctx.Set(c.issuer()+":"+claim.Name, claim.Value)
	}
	return policy.Request{
		Action: "sts:AssumeRoleWithWebIdentity", Resource: "arn:" + c.hub.Partition + ":iam::" + c.hub.AccountID + ":role/hub",
		Caller: policy.Caller{Federated: c.provider()}, Context: ctx,
	}
}

func (c hubCase) audience() string {
	if c.hub.Audience != "" {
		return c.hub.Audience
	}
	if c.hub.Partition == "aws-cn" {
		return "sts.amazonaws.com.cn"
	}
	return "sts.amazonaws.com"
}

func (c hubCase) admits(r policy.Request) bool {
	return c.document.Decide(policy.Trust, r).Effect == policy.Allow
}

// TestConstructedHub checks that a generated trust policy allows the jobs it was generated for and no others.
func TestConstructedHub(t *testing.T) {
	t.Parallel()
	for shard := range uint64(shards) {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			tried := 0
			for number := shard; number < policies; number += shards {
				c := newHubCase(t, number)
				r := rand.New(rand.NewPCG(seed, number))
				for _, subject := range c.subjects {
					c.try(t, number, r, subject)
				}
				tried += len(c.subjects)
			}
			if tried < cases/shards {
				t.Errorf("%d cases are too few", tried)
			}
		})
	}
}

// try evaluates a subject that must be allowed, and mutations of it that must not.
func (c hubCase) try(t *testing.T, number uint64, r *rand.Rand, subject string) {
	t.Helper()
	if !c.admits(c.web(subject)) {
		t.Fatalf("policy %d: refuses %q by\n%s", number, subject, c.text)
	}
	for _, m := range some(r, number, mutateSubject(t, r, subject)) {
		if want := slices.Contains(c.subjects, m.text); c.admits(c.web(m.text)) != want {
			t.Fatalf("policy %d: %s: admits %q: %t, want %t by\n%s", number, m.how, m.text, !want, want, c.text)
		}
	}
	for _, o := range some(r, number, c.others(subject)) {
		if c.admits(o.request) {
			t.Fatalf("policy %d: %s: admits %+v by\n%s", number, o.how, o.request, c.text)
		}
	}
}

// some gives all of a list or a sample of it, by the policy's number.
func some[T any](r *rand.Rand, number uint64, list []T) []T {
	if number/shards%thorough == 0 {
		return list
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(mutations, len(list))]
}

// other is a request that is not the one that a policy is made for.
type other struct {
	how     string
	request policy.Request
}

// others are requests that have the right subject and must be refused all the same.
func (c hubCase) others(subject string) []other {
	var all []other
	add := func(how string, change func(*policy.Request)) {
		r := c.web(subject)
		change(&r)
		all = append(all, other{how, r})
	}
	set := func(how, key string, values ...string) {
		add(how, func(r *policy.Request) { r.Context.Set(c.issuer()+":"+key, values...) })
	}
	set("no subject", "sub")
	set("no audience", "aud")
	set("another audience", "aud", "https://github.com/stranger")
	set("audience in capitals", "aud", strings.ToUpper(c.audience()))
	set("longer audience", "aud", c.audience()+".evil.example")
	set("audience of wildcards", "aud", "*")
	for _, claim := range c.hub.Claims {
		set("no claim", claim.Name)
		set("claim in capitals", claim.Name, strings.ToUpper(claim.Value)+"0")
		set("longer claim", claim.Name, claim.Value+"x")
		set("claim of wildcards", claim.Name, "*")
	}
	for _, provider := range []string{
		"", "accounts.google.com", c.provider() + "/stranger", c.provider()[:len(c.provider())-1], strings.Replace(c.provider(), c.hub.AccountID, "999999999999", 1),
		"arn:" + c.hub.Partition + ":iam::" + c.hub.AccountID + ":oidc-provider/gitlab.com",
	} {
		add("provider "+provider, func(r *policy.Request) { r.Caller.Federated = provider })
	}
	add("issuer of another path", func(r *policy.Request) {
		// A provider's keys have its own prefix.
		moved := policy.Context{}
		for key, values := range r.Context {
			moved.Set(strings.Replace(key, c.issuer(), c.issuer()+"/stranger", 1), values...)
		}
		r.Context = moved
	})
	for _, action := range []string{"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"} {
		add(action, func(r *policy.Request) { r.Action = action })
	}
	add("a role's session", func(r *policy.Request) {
		r.Caller = policy.Caller{Account: c.hub.AccountID, RoleARN: "arn:" + c.hub.Partition + ":iam::" + c.hub.AccountID + ":role/admin"}
	})
	return all
}

// TestConstructedHubInLab has the lab's STS decide on real tokens, for a sample of the same policies.
func TestConstructedHubInLab(t *testing.T) {
	t.Parallel()
	for number := uint64(0); number < cases; number += policies / 200 {
		c := newHubCase(t, number)
		world := fmt.Sprintf(`{"accounts": [{"id": %q, "partition": %q, "oidcProviders": [{"url": %q, "clientIds": [%q, "another"]}],
			"roles": [{"name": "hub", "trust": "trust.json"}]}]}`, c.hub.AccountID, c.hub.Partition, "https://"+c.issuer(), c.audience())
		read, err := lab.ReadWorld(fstest.MapFS{"world.json": {Data: []byte(world)}, "trust.json": {Data: c.text}}, "world.json")
		if err != nil {
			t.Fatalf("policy %d: %v in\n%s", number, err, c.text)
		}
		l := lab.New(read, lab.Options{})
		r := rand.New(rand.NewPCG(seed, number))
		job := pick(r, c.jobs...)
		if got := c.assume(t, l, job, c.audience()); got != http.StatusOK {
			t.Fatalf("policy %d: %d for %q by\n%s", number, got, job.Subject(), c.text)
		}
		if got := c.assume(t, l, job, "another"); got != http.StatusForbidden {
			t.Fatalf("policy %d: %d for another audience by\n%s", number, got, c.text)
		}
		all := mutateSubject(t, r, job.Subject())
		for range 3 {
			m := pick(r, all...)
			if m.text == "" || slices.Contains(c.subjects, m.text) {
				continue
			}
			stranger := lab.Job{Claims: maps.Clone(job.Claims)}
			stranger.Claims["sub"] = m.text
			if got := c.assume(t, l, stranger, c.audience()); got != http.StatusForbidden {
				t.Fatalf("policy %d: %s: %d for %q by\n%s", number, m.how, got, m.text, c.text)
			}
		}
	}
}

// assume assumes the hub at the lab's STS with a token of the job. It returns the status of the response.
func (c hubCase) assume(t *testing.T, l *lab.Lab, job lab.Job, audience string) int {
	t.Helper()
	signed, err := l.Mint(job, audience)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleSessionName": {"gh-1-1"}, "WebIdentityToken": {signed},
		"RoleArn": {"arn:" + c.hub.Partition + ":iam::" + c.hub.AccountID + ":role/hub"},
	}
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	l.STS().ServeHTTP(w, request)
	return w.Code
}
