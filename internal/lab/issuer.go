package lab

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Lifetimes. The ID token's are those of the sample in GitHub Docs, "OpenID Connect reference"; the request
// token's were taken from real tokens in Azure/azure-cli#28778.
const (
	idTokenLife      = 300 * time.Second
	idTokenBackdated = 600 * time.Second
	requestLife      = 6*time.Hour + 20*time.Minute
	requestBackdated = 10 * time.Minute
)

// jobRequest is the job, of one run, that a request token identifies.
type jobRequest struct {
	job     Job
	path    string // of the job's token endpoint
	expires time.Time
}

// tokenPath is the path of the runner-facing endpoint; the double slash is GitHub's own.
var tokenPath = regexp.MustCompile(`^/[0-9]+//idtoken/[0-9a-f-]{36}/[0-9a-f-]{36}$`)

// RequestEnv returns the environment that the runner sets for a step of the job: the URL and the token to request
// an ID token, and the GITHUB_* variables that match the job's claims. Each call is a separate job, whose request
// token is valid for 6 hours and 20 minutes of the lab's clock.
func (l *Lab) RequestEnv(issuerURL string, job Job) map[string]string {
	now := l.now()
	r := &jobRequest{job: job, path: "/57//idtoken/" + uuid() + "/" + uuid(), expires: now.Add(requestLife)}
	// The names are those of the request tokens that actions/runner gets; a client needs only exp.
	requestToken, err := l.key.sign(map[string]any{
		"iss": "https://vstoken.actions.githubusercontent.com", "scp": "Actions.GenericRead", "orchid": uuid(),
		"aud": "https://vstoken.actions.githubusercontent.com",
		"nbf": now.Add(-requestBackdated).Unix(), "exp": r.expires.Unix(),
	})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	l.keep(requestToken)
	l.mu.Lock()
	l.requests[requestToken] = r
	l.mu.Unlock()
	owner, _, _ := strings.Cut(job.claim("repository"), "/")
	env := map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL":   strings.TrimSuffix(issuerURL, "/") + r.path + "?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": requestToken,
		"CI":                             "true", "GITHUB_ACTIONS": "true",
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_API_URL": "https://api.github.com",
		"GITHUB_REPOSITORY_OWNER": owner, "GITHUB_JOB": job.Name, "GITHUB_ACTION": "__org_hubspoke-chain",
		"GITHUB_TRIGGERING_ACTOR": job.claim("actor"), "GITHUB_REF_NAME": refName(job.claim("ref")),
	}
	for _, name := range []string{
		"repository", "repository_id", "repository_owner_id", "workflow", "workflow_ref", "workflow_sha",
		"ref", "ref_type", "ref_protected", "base_ref", "head_ref", "sha", "actor", "actor_id",
		"run_id", "run_number", "run_attempt", "event_name",
	} {
		env["GITHUB_"+strings.ToUpper(name)] = job.claim(name)
	}
	return env
}

func refName(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/pull/"} {
		if name, found := strings.CutPrefix(ref, prefix); found {
			return name
		}
	}
	return ref
}

// Issuer returns GitHub's side: the discovery document and the key set, under / and under the path of any
// enterprise, and the endpoint where a runner's job requests its token.
func (l *Lab) Issuer() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		action, serve := "unknown", l.notFound
		switch {
		case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
			action, serve = "discovery", l.discovery
		case strings.HasSuffix(r.URL.Path, "/.well-known/jwks"):
			action, serve = "jwks", l.jwks
		case tokenPath.MatchString(r.URL.Path):
			action, serve = "token", l.idToken
		}
		l.serve(w, r, issuerService, action, func(*Fault) *answer {
			if r.Method != http.MethodGet {
				return issuerError(http.StatusMethodNotAllowed,
					"The requested resource does not support http method '"+r.Method+"'.")
			}
			return serve(r)
		})
	})
}

func (l *Lab) notFound(*http.Request) *answer {
	return issuerError(http.StatusNotFound, "The resource cannot be found.")
}

// discovery returns the members that GitHub's document has. jwks_uri is the lab's address, so that another relying
// party can follow it.
func (l *Lab) discovery(r *http.Request) *answer {
	slug := strings.TrimSuffix(r.URL.Path, "/.well-known/openid-configuration")
	claims := []string{"sub", "aud", "exp", "iat", "iss", "jti", "nbf"}
	for _, name := range l.world.Jobs() {
		claims = slices.AppendSeq(claims, maps.Keys(l.world.jobs[name].Claims))
	}
	slices.Sort(claims)
	keys := url.URL{Scheme: "http", Host: r.Host, Path: slug + "/.well-known/jwks"}
	return issuerAnswer(map[string]any{
		"issuer":                                GitHubIssuer + slug,
		"jwks_uri":                              keys.String(),
		"subject_types_supported":               []string{"public", "pairwise"},
		"response_types_supported":              []string{"id_token"},
		"claims_supported":                      slices.Compact(claims),
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid"},
	})
}

func (l *Lab) jwks(*http.Request) *answer {
	return issuerAnswer(map[string]any{"keys": []any{l.key.jwk()}})
}

// idToken issues the token of the job that the request token identifies.
func (l *Lab) idToken(r *http.Request) *answer {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	l.mu.Lock()
	request := l.requests[bearer]
	l.mu.Unlock()
	known := strings.EqualFold(scheme, "Bearer") && request != nil && request.path == r.URL.Path
	if !known || !l.now().Before(request.expires) {
		return issuerUnauthorized()
	}
	query := r.URL.Query()
	// The version is in the URL that the runner gets; a client that builds its own query loses it.
	if query.Get("api-version") != "2.0" && !strings.Contains(r.Header.Get("Accept"), "api-version=2.0") {
		return issuerError(http.StatusBadRequest, `No api-version was supplied for the "GET" request.`)
	}
	if len(query["audience"]) > 1 {
		return issuerError(http.StatusBadRequest, "A token has one audience.")
	}
	audience := query.Get("audience")
	if audience == "" {
		owner, _, _ := strings.Cut(request.job.claim("repository"), "/")
		audience = "https://github.com/" + owner // GitHub Docs, "OpenID Connect reference", the aud claim
	}
	signed, err := l.Mint(request.job, audience)
	if err != nil {
		return issuerError(http.StatusInternalServerError, "The job's claims cannot be put into a token.")
	}
	return issuerAnswer(map[string]any{"count": len(signed), "value": signed})
}

// Mint issues a job's ID token as the token endpoint does, valid for five minutes of the lab's clock. A claim of
// the job overrides one of the token's own, exp or aud for example, so that a test can create a token that must be
// rejected.
func (l *Lab) Mint(job Job, audience string) (string, error) {
	now := l.now()
	claims := map[string]any{
		"sub": job.Subject(), "aud": audience, "jti": uuid(),
		"iat": now.Unix(), "nbf": now.Add(-idTokenBackdated).Unix(), "exp": now.Add(idTokenLife).Unix(),
	}
	maps.Copy(claims, job.Claims)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	signed, err := l.key.sign(claims)
	if err != nil {
		return "", err
	}
	l.keep(signed)
	return signed, nil
}

func issuerAnswer(v any) *answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // the lab's own claims always marshal
	}
	return &answer{status: http.StatusOK, contentType: "application/json; charset=utf-8", body: body}
}

func issuerUnauthorized() *answer {
	return issuerError(http.StatusUnauthorized,
		"Access denied. System:ServiceIdentity does not have permission to perform this action.")
}

// issuerError has the form of the service's errors that toolkit's clients parse: a message.
func issuerError(status int, message string) *answer {
	a := issuerAnswer(map[string]any{"message": message})
	a.status, a.outcome = status, message
	return a
}
