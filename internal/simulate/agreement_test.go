package simulate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
)

const (
	agreeHub   = "arn:aws:iam::123456789012:role/hub"
	agreeSpoke = "arn:aws:iam::222222222222:role/spoke"
	agreeWorld = `{
  "accounts": [
    {"id": "123456789012", "scps": ["scp.json"],
      "oidcProviders": [{"url": "https://token.actions.githubusercontent.com", "clientIds": ["sts.amazonaws.com", "other"]}],
      "roles": [{"name": "hub", "trust": "hub.json", "policies": ["permissions.json", "more.json"], "boundary": "boundary.json"}, {"name": "another", "trust": "spoke.json"}]},
    {"id": "222222222222", "roles": [{"name": "spoke", "trust": "spoke.json"}]}
  ],
  "jobs": {"job": {"claims": {}}}
}`
)

// TestAgreement generates worlds of random policies. The simulation and the lab's STS, over HTTP, decide random
// requests in each: the verdicts, and the action that a refusal names, must be the same.
func TestAgreement(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	outcomes := map[string]int{}
	for range 80 {
		files := g.files()
		world, err := lab.ReadWorld(files, "world.json")
		if err != nil {
			t.Fatalf("%v\n%s", err, shown(files))
		}
		l := lab.New(world, lab.Options{})
		server := httptest.NewServer(l.STS())
		for range 8 {
			outcome, difference := agree(t, l, server.URL, g, files)
			if difference != "" {
				t.Errorf("%s\n%s", difference, shown(files))
			}
			outcomes[outcome]++
		}
		server.Close()
	}
	t.Log(outcomes)
	for _, outcome := range []string{
		"allowed", "hub: sts:AssumeRoleWithWebIdentity", "spoke: sts:AssumeRole", "spoke: sts:TagSession", "spoke: sts:SetSourceIdentity",
	} {
		if outcomes[outcome] == 0 {
			t.Errorf("the outcome %q never came", outcome)
		}
	}
}

// agree decides one request in both ways.
func agree(t *testing.T, l *lab.Lab, url string, g generator, files fstest.MapFS) (outcome, difference string) {
	t.Helper()
	job, err := l.Job("job")
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(job.Claims, g.claims())
	token, err := l.Mint(job, g.one("sts.amazonaws.com", "sts.amazonaws.com", "sts.amazonaws.com", "other"))
	if err != nil {
		t.Fatal(err)
	}
	in := g.input()
	reader := &Files{data: map[string][]byte{}}
	for name, file := range files {
		reader.data[name] = file.Data
	}
	if reader.data["claims.json"], err = payload(token); err != nil {
		t.Fatal(err)
	}
	simulated, err := Run(in, reader)
	if err != nil {
		t.Fatalf("%v\n%s", err, shown(files))
	}
	s, err := in.read(reader)
	if err != nil {
		t.Fatal(err)
	}
	got := walk(t, url, token, in, s)
	want := "allowed"
	for _, c := range simulated.Calls {
		for _, a := range c.Actions {
			if want == "allowed" && !a.Allowed {
				want = c.Name + ": " + a.Action
			}
		}
	}
	if got != want || simulated.Allowed != (want == "allowed") {
		return got, fmt.Sprintf("simulate says %s, and STS %s; claims %s, input %+v\n%s", want, got, reader.data["claims.json"], in, simulated.Text())
	}
	return got, ""
}

// walk makes the calls of the hop at STS, as the action does. It returns "allowed" or the refused action.
func walk(t *testing.T, url, token string, in Input, s *scenario) string {
	t.Helper()
	spoke, err := hop.ParseRoleARN(agreeSpoke)
	if err != nil {
		t.Fatal(err)
	}
	narrow := hop.HubPolicy([]hop.ARN{spoke})
	options := sts.Options{Region: "us-east-1", BaseEndpoint: &url, Retryer: aws.NopRetryer{}}
	hub, err := sts.New(options).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(agreeHub), RoleSessionName: &s.sessionName, WebIdentityToken: &token, Policy: &narrow,
	})
	if err != nil {
		return "hub: " + refusedAction(t, err)
	}
	options.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		c := hub.Credentials
		return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}, nil
	})
	call := &sts.AssumeRoleInput{RoleArn: aws.String(agreeSpoke), RoleSessionName: &s.sessionName, TransitiveTagKeys: in.TransitiveTagKeys}
	for _, tag := range s.tags {
		call.Tags = append(call.Tags, types.Tag{Key: aws.String(tag.Key), Value: aws.String(tag.Value)})
	}
	if in.ExternalID != "" {
		call.ExternalId = &in.ExternalID
	}
	if in.SourceIdentity != "" {
		call.SourceIdentity = &in.SourceIdentity
	}
	if _, err := sts.New(options).AssumeRole(t.Context(), call); err != nil {
		return "spoke: " + refusedAction(t, err)
	}
	return "allowed"
}

func refusedAction(t *testing.T, err error) string {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "AccessDenied" {
		t.Fatalf("STS refused for another reason: %v", err)
	}
	_, after, _ := strings.Cut(api.ErrorMessage(), "perform")
	return strings.Fields(strings.TrimPrefix(after, ":"))[0]
}

func shown(files fstest.MapFS) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != "world.json" {
			fmt.Fprintf(&b, "%s: %s\n", name, files[name].Data)
		}
	}
	return b.String()
}

// payload is the claims of a token.
func payload(token string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
}

// generator makes policies and requests from small pools, so that they meet often.
type generator struct{ *rand.Rand }

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }
func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

// some gives at least one of the strings.
func (g generator) some(percent int, of ...string) []string {
	var chosen []string
	for _, s := range of {
		if g.chance(percent) {
			chosen = append(chosen, s)
		}
	}
	if chosen == nil {
		return []string{g.one(of...)}
	}
	return chosen
}

func (g generator) claims() map[string]any {
	claims := map[string]any{"actor": g.one("octocat", "hubot"), "ref": g.one("refs/heads/main", "refs/heads/dev")}
	if g.chance(70) {
		claims["environment"] = g.one("staging", "production")
	}
	if g.chance(20) {
		claims["event_name"] = "pull_request"
	}
	return claims
}

func (g generator) input() Input {
	in := Input{
		HubTrust: "hub.json", SpokeTrust: "spoke.json", Boundary: "boundary.json", SCPs: []string{"scp.json"},
		HubPermissions: []string{"permissions.json", "more.json"},
		HubRole:        agreeHub, SpokeRole: agreeSpoke, ClaimsFile: "claims.json", SkipTagging: g.chance(30),
		SessionName: g.one("one", "two"), ExternalID: g.one("", "right", "wrong"), SourceIdentity: g.one("", "octocat"),
	}
	if !in.SkipTagging {
		if g.chance(50) {
			in.Tags = []string{"Team=" + g.one("red", "blue")}
		}
		if g.chance(30) {
			in.TransitiveTagKeys = []string{g.one("Repository", "Actor")}
		}
	}
	return in
}

// files are the world and its policies.
func (g generator) files() fstest.MapFS {
	const issuer = "token.actions.githubusercontent.com"
	files := fstest.MapFS{"world.json": {Data: []byte(agreeWorld)}}
	put := func(name string, statements ...map[string]any) {
		data, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		if err != nil {
			panic(err) // maps of strings always marshal
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	claims := []string{
		issuer + ":sub=repo:octo-org@1234567/octo-repo@89012345:*", issuer + ":sub=*:environment:staging", issuer + ":aud=sts.amazonaws.com",
		issuer + ":environment=staging", issuer + ":ref=refs/heads/main", issuer + ":event_name=push", issuer + ":Actor=octocat", "sts:RoleSessionName=one",
		"aws:PrincipalArn=" + agreeHub, "sts:ExternalId=right",
	}
	federated := map[string]any{"Federated": "arn:aws:iam::123456789012:oidc-provider/" + issuer}
	hub := g.statement("Allow", federated, g.some(90, "sts:AssumeRoleWithWebIdentity"), nil)
	hub["Condition"] = map[string]any{"StringLike": map[string]any{issuer + ":sub": "repo:*"}}
	if g.chance(40) {
		hub["Condition"].(map[string]any)["ForAnyValue:StringLike"] = pair(g.one(claims...))
	}
	trust := []map[string]any{hub}
	if g.chance(25) {
		trust = append(trust, g.statement("Deny", map[string]any{"AWS": "*"}, []string{"sts:*"}, []string{g.one(claims...)}))
	}
	put("hub.json", trust...)

	hop := []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}
	requests := []string{
		"sts:ExternalId=right", "aws:RequestTag/Team=red", "aws:TagKeys=Team", "sts:TransitiveTagKeys=Repository", issuer + ":sub=*:environment:staging",
		issuer + ":aud=sts.amazonaws.com", issuer + ":environment=staging", "sts:RoleSessionName=one", "sts:SourceIdentity=octocat",
		"aws:PrincipalArn=" + agreeHub, "aws:PrincipalAccount=123456789012", "aws:ResourceAccount=222222222222", "aws:PrincipalTag/Team=red",
		"aws:FederatedProvider=*" + issuer, "aws:RequestTag/repository=octo-org/octo-repo", "aws:SourceAccount=123456789012", "aws:SecureTransport=true",
	}
	principal := map[string]any{"AWS": g.one(agreeHub, agreeHub, agreeHub, "123456789012", "*", "arn:aws:sts::123456789012:assumed-role/hub/one",
		"arn:aws:iam::123456789012:role/another")}
	spoke := []map[string]any{g.statement("Allow", principal, append(g.some(75, hop[1:]...), hop[0]), g.conditions(40, requests))}
	if g.chance(40) {
		spoke = append(spoke, g.statement(g.one("Allow", "Deny"), map[string]any{"AWS": agreeHub}, g.some(40, hop...), g.conditions(80, requests)))
	}
	put("spoke.json", spoke...)

	resource := func(effect string, actions []string, conditions []string) map[string]any {
		s := g.statement(effect, nil, actions, conditions)
		s["Resource"] = g.one("*", agreeSpoke, agreeSpoke, agreeSpoke, "arn:aws:iam::222222222222:role/*", "arn:aws:iam::222222222222:role/other")
		return s
	}
	put("permissions.json", resource("Allow", append(g.some(80, hop[1:]...), hop[0]), g.conditions(20, requests)))
	put("more.json", resource(g.one("Allow", "Allow", "Deny"), g.some(40, append(hop, "s3:*")...), g.conditions(70, requests)))
	wide := func(name string) {
		s := resource("Allow", g.some(95, hop...), nil)
		s["Resource"] = "*"
		put(name, s)
	}
	wide("boundary.json")
	wide("scp.json")
	return files
}

func (g generator) statement(effect string, principal map[string]any, actions, conditions []string) map[string]any {
	s := map[string]any{"Effect": effect, "Action": actions}
	if principal != nil {
		s["Principal"] = principal
	}
	operators := map[string]any{}
	for _, c := range conditions {
		operators[g.one("StringLike", "StringLike", "StringEquals", "StringNotLike", "StringLikeIfExists", "ForAllValues:StringLike", "ForAnyValue:StringLike")] = pair(c)
	}
	if len(operators) > 0 {
		s["Condition"] = operators
	}
	return s
}

func (g generator) conditions(percent int, of []string) []string {
	if !g.chance(percent) {
		return nil
	}
	return []string{g.one(of...), g.one(of...)}[:1+g.IntN(2)]
}

func pair(assignment string) map[string]any {
	key, value, _ := strings.Cut(assignment, "=")
	return map[string]any{key: value}
}
