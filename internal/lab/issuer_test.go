package lab_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/lab"
)

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	env, other := s.RequestEnv(s.IssuerURL, s.job("staging")), s.RequestEnv(s.IssuerURL, s.job("feature"))
	url, bearer := env["ACTIONS_ID_TOKEN_REQUEST_URL"], "Bearer "+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
	for name, test := range map[string]struct {
		url, authorization string
		status             int
		want               string
	}{
		"no token":           {url, "", 401, `"message"`},
		"another token":      {url, "Bearer x", 401, `"message"`},
		"another job's":      {url, "Bearer " + other["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], 401, `"message"`},
		"another scheme":     {url, "Basic " + env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], 401, `"message"`},
		"no api version":     {strings.TrimSuffix(url, "?api-version=2.0"), bearer, 400, "No api-version was supplied"},
		"two audiences":      {url + "&audience=a&audience=b", bearer, 400, "A token has one audience."},
		"nothing there":      {s.IssuerURL + "/idtoken", bearer, 404, `"message"`},
		"good, as GitHub is": {url, "bearer" + strings.TrimPrefix(bearer, "Bearer"), 200, `"value":"eyJ`},
	} {
		response, body := ask(t, test.url, test.authorization)
		if response.StatusCode != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s, want %d %s", name, response.StatusCode, body, test.status, test.want)
		}
	}
	s.Advance(6*time.Hour + 20*time.Minute)
	if response, _ := ask(t, url, bearer); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the job's time: %d", response.StatusCode)
	}
}

func TestTokenClaims(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	env := s.RequestEnv(s.IssuerURL, s.job("staging"))
	first, second := claimsOf(t, requestToken(t, env, audience)), claimsOf(t, requestToken(t, env, ""))
	if first["jti"] == second["jti"] {
		t.Error("two tokens have one jti")
	}
	if second["aud"] != "https://github.com/octo-org" {
		t.Errorf("default audience %v", second["aud"])
	}
	iat, _ := first["iat"].(float64)
	if first["exp"] != iat+300 || first["nbf"] != iat-600 {
		t.Errorf("iat %v nbf %v exp %v", iat, first["nbf"], first["exp"])
	}
	want := map[string]any{
		"iss": lab.GitHubIssuer, "aud": audience, "environment": "staging", "repository": "octo-org/octo-repo", "repository_owner": "octo-org",
		"ref": "refs/heads/main", "ref_type": "branch", "base_ref": "", "job_workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main",
		"run_attempt": "1", "repository_id": "89012345",
	}
	for claim, value := range want {
		if first[claim] != value {
			t.Errorf("%s is %v, want %v", claim, first[claim], value)
		}
	}
	for claim, value := range first {
		if _, text := value.(string); !text && claim != "iat" && claim != "nbf" && claim != "exp" {
			t.Errorf("%s is no string", claim)
		}
	}
	for name, claim := range map[string]string{
		"GITHUB_REPOSITORY": "repository", "GITHUB_WORKFLOW": "workflow", "GITHUB_REF": "ref", "GITHUB_SHA": "sha", "GITHUB_ACTOR": "actor",
		"GITHUB_RUN_ID": "run_id", "GITHUB_RUN_ATTEMPT": "run_attempt", "GITHUB_EVENT_NAME": "event_name", "GITHUB_HEAD_REF": "head_ref",
	} {
		if got, ok := env[name]; !ok || got != first[claim] {
			t.Errorf("%s is %q, the claim %v", name, got, first[claim])
		}
	}
	life := claimsOf(t, env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	if exp, _ := life["exp"].(float64); time.Until(time.Unix(int64(exp), 0)) < 6*time.Hour {
		t.Errorf("the request token's exp is %v", life["exp"])
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	for want, job := range map[string]lab.Job{
		"repo:o/r:environment:prod":                   {Form: "legacy", Claims: map[string]any{"environment": "prod", "event_name": "pull_request"}},
		"repo:o@1/r@2:environment:Production%3AV1":    {Form: "immutable", Claims: map[string]any{"environment": "Production:V1"}},
		"repo:o/r:pull_request":                       {Form: "legacy", Claims: map[string]any{"event_name": "pull_request", "ref": "refs/pull/1/merge"}},
		"repo:o/r:ref:refs/heads/main":                {Form: "legacy", Claims: map[string]any{"event_name": "pull_request_target", "ref": "refs/heads/main"}},
		"repo:o@1/r@2:ref:refs/tags/v1":               {Form: "immutable", Claims: map[string]any{"ref": "refs/tags/v1"}},
		"repository_owner:o:repository_visibility:":   {Form: "legacy", IncludeClaimKeys: []string{"repository_owner", "repository_visibility"}, Claims: map[string]any{"repository_owner": "o"}},
		"repo:o@1/r@2:environment:prod:actor:octocat": {Form: "immutable", IncludeClaimKeys: []string{"repo", "context", "actor"}, Claims: map[string]any{"environment": "prod", "actor": "octocat"}},
		"anything\n:at all":                           {Form: "legacy", Claims: map[string]any{"sub": "anything\n:at all"}},
	} {
		job.Claims["repository"], job.Claims["repository_owner_id"], job.Claims["repository_id"] = "o/r", "1", "2"
		if got := job.Subject(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for _, slug := range []string{"", "/acme"} {
		_, body := ask(t, s.IssuerURL+slug+"/.well-known/openid-configuration", "")
		var document struct {
			Issuer  string   `json:"issuer"`
			JWKSURI string   `json:"jwks_uri"`
			Algs    []string `json:"id_token_signing_alg_values_supported"`
		}
		if err := json.Unmarshal([]byte(body), &document); err != nil {
			t.Fatal(err)
		}
		if document.Issuer != lab.GitHubIssuer+slug || len(document.Algs) != 1 || document.Algs[0] != "RS256" {
			t.Errorf("discovery %s", body)
		}
		var set struct{ Keys []map[string]any }
		_, body = ask(t, document.JWKSURI, "")
		if err := json.Unmarshal([]byte(body), &set); err != nil || len(set.Keys) != 1 {
			t.Fatalf("%v: %s", err, body)
		}
		key, head := set.Keys[0], headerOf(t, s.mint(s.job("staging")))
		if key["kid"] != head["kid"] || key["x5t"] != head["x5t"] || key["kty"] != "RSA" || key["use"] != "sig" || key["e"] != "AQAB" {
			t.Errorf("key %v, header %v", key, head)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.IssuerURL+"/.well-known/jwks", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, _ := do(t, request); response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", response.StatusCode)
	}
}
