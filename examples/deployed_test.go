package examples_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/generate"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/policy"
	"github.com/org/hubspoke-chain/internal/transport"
)

// The accounts of all examples.
const (
	hubAccount        = "123456789012"
	stagingAccount    = "222222222222"
	productionAccount = "333333333333"
	sharedAccount     = "444444444444"

	hubRole        = "arn:aws:iam::" + hubAccount + ":role/github-actions-hub"
	stagingRole    = "arn:aws:iam::" + stagingAccount + ":role/deploy-staging"
	productionRole = "arn:aws:iam::" + productionAccount + ":role/deploy-production"
	sharedRole     = "arn:aws:iam::" + sharedAccount + ":role/shared-services"
)

// The policies that hubspoke-chain policy prints for the examples.
var (
	repositories = []generate.Repository{{Owner: "octo-org", Name: "octo-repo", OwnerID: "1234567", ID: "89012345"}}
	hubTrust     = generate.HubTrust{AccountID: hubAccount, Repositories: repositories, Form: generate.Both, Environments: []string{"staging", "production"}}
	hubPolicy    = generate.HubPermissions{Spokes: []string{stagingRole, productionRole, sharedRole}}
	staging      = generate.SpokeTrust{HubRole: hubRole}
	production   = generate.SpokeTrust{HubRole: hubRole, Subjects: []string{
		"repo:octo-org@1234567/octo-repo@89012345:environment:production", "repo:octo-org/octo-repo:environment:production",
	}}
	shared = generate.SpokeTrust{HubRole: hubRole, SkipTags: true, SkipSourceIdentity: true}
)

type document interface{ Document() ([]byte, error) }

// deployed are the policy documents that one way of deploying the examples produces, as JSON.
type deployed struct {
	hubTrust, hubPermissions    []byte
	staging, production, shared []byte // trust policies
}

// check holds the documents against what hubspoke-chain policy prints, and walks with them.
func (d deployed) check(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		name string
		got  []byte
		want document
		kind policy.Kind
		role string
	}{
		{"the hub's trust policy", d.hubTrust, hubTrust, policy.Trust, hubRole},
		{"the hub's permissions", d.hubPermissions, hubPolicy, policy.Identity, ""},
		{"staging's trust policy", d.staging, staging, policy.Trust, stagingRole},
		{"production's trust policy", d.production, production, policy.Trust, productionRole},
		{"the shared services' trust policy", d.shared, shared, policy.Trust, sharedRole},
	} {
		checkDocument(t, c.name, c.got, c.want, c.kind, c.role)
	}
	d.walk(t)
}

// checkDocument checks that IAM would take a document and that it means what the wanted one means.
func checkDocument(t *testing.T, name string, got []byte, want document, kind policy.Kind, role string) {
	t.Helper()
	parsed, err := policy.Parse(got)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, got)
	}
	if err := parsed.Check(kind, role); err != nil {
		t.Errorf("%s: %v\n%s", name, err, got)
	}
	text, err := want.Document()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(meaning(t, got), meaning(t, text)) {
		t.Errorf("%s is\n%s\nhubspoke-chain policy prints\n%s", name, got, text)
	}
}

// meaning is a document's JSON without what means nothing to IAM: the order of a list, and the brackets
// around a single value.
func meaning(t *testing.T, text []byte) any {
	t.Helper()
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var plain func(any) any
	plain = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				v[key] = plain(value)
			}
		case []any:
			for i := range v {
				v[i] = plain(v[i])
			}
			if len(v) == 1 {
				return v[0]
			}
			slices.SortFunc(v, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		return v
	}
	return plain(document)
}

// walk runs hops with the documents: each account's jobs can assume their own spokes, and no others.
func (d deployed) walk(t *testing.T) {
	t.Helper()
	l, endpoint := d.open(t)
	named := func(name string) lab.Job {
		job, err := l.Job(name)
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	with := func(name string, claims map[string]any) lab.Job {
		job := named(name)
		for claim, value := range claims {
			job.Claims[claim] = value
		}
		return job
	}
	const hubRefuses = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	for _, c := range []struct {
		name     string
		job      lab.Job
		spoke    string
		skipTags bool
		refusal  string // in the error; empty when the hop goes through
	}{
		{"staging to staging", named("staging"), stagingRole, false, ""},
		{"a legacy subject to staging", named("legacy"), stagingRole, false, ""},
		{"production to production", named("production"), productionRole, false, ""},
		{"staging to shared services without tags", named("staging"), sharedRole, true, ""},
		{"staging to shared services with tags", named("staging"), sharedRole, false, "sts:TagSession on resource: " + sharedRole},
		{"staging to production", named("staging"), productionRole, false, "sts:AssumeRole on resource: " + productionRole},
		{"a branch", named("feature"), stagingRole, false, hubRefuses},
		{"another environment", with("staging", map[string]any{"environment": "staging2"}), stagingRole, false, hubRefuses},
		{"another organization", with("staging", map[string]any{"repository": "octo-org-x/octo-repo"}), stagingRole, false, hubRefuses},
		{"the name taken over", with("staging", map[string]any{"repository_owner_id": "7654321"}), stagingRole, false, hubRefuses},
		{"another repository", with("legacy", map[string]any{"repository": "octo-org/octo-repo-fork"}), stagingRole, false, hubRefuses},
		{"another role of the account", named("staging"), "arn:aws:iam::" + stagingAccount + ":role/admin", false, "sts:AssumeRole"},
	} {
		session, err := walk(t, l, endpoint, c.job, c.spoke, c.skipTags)
		want := strings.NewReplacer(":iam:", ":sts:", ":role/", ":assumed-role/").Replace(c.spoke) + "/gh-1-1"
		switch {
		case c.refusal == "" && (err != nil || session != want):
			t.Errorf("%s: got session %q, want %q: %v", c.name, session, want, err)
		case c.refusal != "" && (err == nil || !strings.Contains(err.Error(), c.refusal)):
			t.Errorf("%s: got session %q and error %v, want an error with %q", c.name, session, err, c.refusal)
		}
	}
}

// open starts a lab of the examples' world in which the policies are these documents.
func (d deployed) open(t *testing.T) (*lab.Lab, *url.URL) {
	t.Helper()
	text, err := fs.ReadFile(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	var world map[string]any
	if err := json.Unmarshal(text, &world); err != nil {
		t.Fatal(err)
	}
	role := func(name string, policies ...string) []any {
		r := map[string]any{"name": name, "trust": name + ".json"}
		if policies != nil {
			r["policies"] = policies
		}
		return []any{r}
	}
	accounts, isList := world["accounts"].([]any)
	if !isList || len(accounts) != 4 {
		t.Fatalf("the world's accounts are %v", world["accounts"])
	}
	for i, roles := range [][]any{role("github-actions-hub", "hub-permissions.json"), role("deploy-staging"), role("deploy-production"), role("shared-services")} {
		account, isObject := accounts[i].(map[string]any)
		if !isObject {
			t.Fatalf("the world's account %d is %v", i, accounts[i])
		}
		account["roles"] = roles
	}
	if text, err = json.Marshal(world); err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for name, data := range map[string][]byte{
		"world.json": text, "github-actions-hub.json": d.hubTrust, "hub-permissions.json": d.hubPermissions,
		"deploy-staging.json": d.staging, "deploy-production.json": d.production, "shared-services.json": d.shared,
	} {
		files[name] = &fstest.MapFile{Data: bytes.Clone(data)}
	}
	w, err := lab.ReadWorld(files, "world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(w, lab.Options{})
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	})
	endpoint, err := transport.ParseEndpoint(servers.STSURL)
	if err != nil {
		t.Fatal(err)
	}
	return l, endpoint
}

// walk runs one hop as the action does and returns the ARN of the spoke's session.
func walk(t *testing.T, l *lab.Lab, endpoint *url.URL, job lab.Job, spoke string, skipTags bool) (string, error) {
	t.Helper()
	hub, err := hop.ParseRoleARN(hubRole)
	if err != nil {
		t.Fatal(err)
	}
	role, err := hop.ParseRoleARN(spoke)
	if err != nil {
		t.Fatal(err)
	}
	var arn string
	plan := hop.Plan{
		Region: "us-east-1", Hub: hub, Spokes: []hop.ARN{role}, SessionName: "gh-1-1", Audience: "sts.amazonaws.com",
		DurationSeconds: 3600, Endpoint: endpoint.String(), MaxAttempts: 1, TimeoutSeconds: 60,
	}
	if !skipTags {
		plan.Tags = []hop.Tag{{Key: "Repository", Value: "octo-org/octo-repo"}}
	}
	err = hop.Run(t.Context(), plan, transport.Network{}, hop.Hooks{
		Token:  func(_ context.Context, audience string) (string, error) { return l.Mint(job, audience) },
		Mask:   func(string) {},
		Export: func(spokes []hop.Session) error { arn = spokes[0].ARN; return nil },
	})
	return arn, err
}
