package lab_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
)

const (
	hubRole        = "arn:aws:iam::123456789012:role/github-actions-hub"
	stagingRole    = "arn:aws:iam::222222222222:role/deploy-staging"
	productionRole = "arn:aws:iam::333333333333:role/deploy-production"
	sharedRole     = "arn:aws:iam::444444444444:role/shared-services"
	hubSession     = "arn:aws:sts::123456789012:assumed-role/github-actions-hub/gh-1-1"
	audience       = "sts.amazonaws.com"
)

// stage is a lab with its servers.
type stage struct {
	*lab.Lab
	*lab.Servers
	t *testing.T
}

// packed is the packed size in the last answer, as CloudTrail has it; nil when the answer had none. The SDK's
// member of that name is deprecated.
func (s stage) packed() any {
	events := s.Events()
	return events[len(events)-1].ResponseElements["packedPolicySize"]
}

// open starts the lab of the examples, with files put over its own.
func open(t *testing.T, files map[string]string) stage {
	t.Helper()
	world, err := lab.ReadWorld(overlay(t, files), "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(world, lab.Options{Log: t.Logf})
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	})
	return stage{l, servers, t}
}

func overlay(t *testing.T, files map[string]string) fs.FS {
	t.Helper()
	fsys := fstest.MapFS{}
	entries, err := fs.Glob(examples.Lab, "lab/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range entries {
		data, err := fs.ReadFile(examples.Lab, name)
		if err != nil {
			t.Fatal(err)
		}
		fsys[name] = &fstest.MapFile{Data: data}
	}
	for name, text := range files {
		fsys["lab/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// replaced returns an example file with one string replaced, which the file must contain.
func replaced(t *testing.T, name, old, text string) string {
	t.Helper()
	data, err := fs.ReadFile(examples.Lab, "lab/"+name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	return strings.ReplaceAll(string(data), old, text)
}

func (s stage) job(name string) lab.Job {
	s.t.Helper()
	job, err := s.Job(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return job
}

func (s stage) mint(job lab.Job) string {
	s.t.Helper()
	signed, err := s.Mint(job, audience)
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

// client makes a client without retries; credentials nil for unsigned calls.
func (s stage) client(c *types.Credentials, options ...func(*sts.Options)) *sts.Client {
	o := sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.STSURL), Retryer: aws.NopRetryer{}}
	if c != nil {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}, nil
		})
	}
	return sts.New(o, options...)
}

func webInput(token string) *sts.AssumeRoleWithWebIdentityInput {
	return &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String(hubRole), RoleSessionName: aws.String("gh-1-1"), WebIdentityToken: &token}
}

func spokeInput(role string) *sts.AssumeRoleInput {
	return &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("gh-1-1")}
}

func tagsOf(pairs ...string) (tags []types.Tag) {
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return tags
}

// hub returns the hub's credentials for a job.
func (s stage) hub(job string) *types.Credentials {
	s.t.Helper()
	out, err := s.client(nil).AssumeRoleWithWebIdentity(s.t.Context(), webInput(s.mint(s.job(job))))
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Credentials
}

// refusal is "status code: message" of an error of AWS.
func refusal(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return "200"
	}
	var api smithy.APIError
	var response *awshttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		t.Fatalf("not an answer of AWS: %v", err)
	}
	if response.ServiceRequestID() == "" {
		t.Error("the answer has no request id")
	}
	return http.StatusText(response.HTTPStatusCode()) + " " + api.ErrorCode() + ": " + api.ErrorMessage()
}

func TestChain(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	env := s.RequestEnv(s.IssuerURL, s.job("staging"))
	signed := requestToken(t, env, audience)

	web, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(signed))
	if err != nil {
		t.Fatal(err)
	}
	if got := *web.Provider; got != "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" {
		t.Errorf("provider %s", got)
	}
	if got, want := *web.SubjectFromWebIdentityToken, "repo:octo-org@1234567/octo-repo@89012345:environment:staging"; got != want {
		t.Errorf("subject %s, want %s", got, want)
	}
	if got := *web.AssumedRoleUser.Arn; got != hubSession {
		t.Errorf("hub session %s", got)
	}
	if s.packed() != nil || web.SourceIdentity != nil {
		t.Error("the answer has members of what was not passed")
	}
	checkCredentials(t, web.Credentials, time.Hour)

	in := spokeInput(stagingRole)
	in.DurationSeconds = aws.Int32(900)
	in.Tags = tagsOf("Repository", "octo-org/octo-repo", "GitHub", "Actions", "Branch", "refs/heads/main")
	in.TransitiveTagKeys = []string{"Repository"}
	in.SourceIdentity = aws.String("octocat")
	spoke, err := s.client(web.Credentials).AssumeRole(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if size, ok := s.packed().(int); !ok || size < 1 || size > 100 {
		t.Errorf("packed size %v", s.packed())
	}
	if aws.ToString(spoke.SourceIdentity) != "octocat" {
		t.Errorf("source identity %v", spoke.SourceIdentity)
	}
	checkCredentials(t, spoke.Credentials, 15*time.Minute)

	who, err := s.client(spoke.Credentials).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if *who.Arn != "arn:aws:sts::222222222222:assumed-role/deploy-staging/gh-1-1" || *who.Account != "222222222222" || *who.UserId != *spoke.AssumedRoleUser.AssumedRoleId {
		t.Errorf("identity %s %s %s", *who.Arn, *who.Account, *who.UserId)
	}
	if counts := s.Counts(); counts["sts"].Requests != 3 || counts["issuer"].Requests != 1 || counts["issuer"].Connections != 1 {
		t.Errorf("counts %+v", counts)
	}
	for _, secret := range []string{signed, env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], *web.Credentials.SecretAccessKey, *spoke.Credentials.SessionToken} {
		if !slices.Contains(s.Secrets(), secret) {
			t.Errorf("a secret is not among Secrets")
		}
	}
}

func TestHolder(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	hub, other := s.hub("staging"), s.hub("staging")
	arn, expires := s.Holder(*hub.AccessKeyId, *hub.SecretAccessKey, *hub.SessionToken)
	if arn != hubSession || !expires.Equal(*hub.Expiration) {
		t.Errorf("got %s until %s, want %s until %s", arn, expires, hubSession, hub.Expiration)
	}
	for _, c := range [][3]string{
		{*other.AccessKeyId, *hub.SecretAccessKey, *hub.SessionToken},
		{*hub.AccessKeyId, *other.SecretAccessKey, *hub.SessionToken},
		{*hub.AccessKeyId, *hub.SecretAccessKey, *other.SessionToken},
		{"", "", ""},
	} {
		if arn, expires := s.Holder(c[0], c[1], c[2]); arn != "" || !expires.IsZero() {
			t.Errorf("credentials of two sessions, or of none, are those of %s until %s", arn, expires)
		}
	}
}

func checkCredentials(t *testing.T, c *types.Credentials, life time.Duration) {
	t.Helper()
	if len(*c.AccessKeyId) != 20 || !strings.HasPrefix(*c.AccessKeyId, "ASIA") || strings.Trim((*c.AccessKeyId)[4:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		t.Errorf("access key id %q", *c.AccessKeyId)
	}
	if len(*c.SecretAccessKey) != 40 || len(*c.SessionToken) < 400 {
		t.Errorf("a secret of %d and a token of %d characters", len(*c.SecretAccessKey), len(*c.SessionToken))
	}
	if left := time.Until(*c.Expiration); left > life || left < life-time.Minute {
		t.Errorf("good for %s, want %s", left, life)
	}
}

// requestToken asks for a token as a runner's job does.
func requestToken(t *testing.T, env map[string]string, audience string) string {
	t.Helper()
	response, body := ask(t, env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&audience="+url.QueryEscape(audience), "bearer "+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	var answer struct {
		Count int
		Value string
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || response.StatusCode != http.StatusOK || answer.Value == "" {
		t.Fatalf("%d %s", response.StatusCode, body)
	}
	return answer.Value
}

func ask(t *testing.T, url, authorization string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}
