package lab_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/org/hubspoke-chain/internal/lab"
)

const (
	notValidated = "Bad Request InvalidIdentityToken: The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements."
	notJWT       = "Bad Request InvalidIdentityToken: The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	noKey        = "Bad Request InvalidIdentityToken: Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	webDenied    = "Forbidden AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"
)

// TestWebIdentityClaims issues tokens signed with the lab's own key, each with one wrong claim.
func TestWebIdentityClaims(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	tests := map[string]struct {
		claims map[string]any
		want   string
	}{
		"as issued":               {nil, "200"},
		"another environment":     {map[string]any{"environment": "dev"}, webDenied},
		"another repository":      {map[string]any{"repository": "octo-org/evil"}, webDenied},
		"another owner's id":      {map[string]any{"repository_owner_id": "7654321"}, webDenied},
		"subject in capitals":     {map[string]any{"sub": "REPO:octo-org@1234567/octo-repo@89012345:environment:staging"}, webDenied},
		"subject with a newline":  {map[string]any{"sub": "repo:octo-org@1234567/octo-repo@89012345:environment:staging\n"}, webDenied},
		"no subject":              {map[string]any{"sub": nil}, "Bad Request InvalidIdentityToken: Missing a required claim: sub."},
		"no iat":                  {map[string]any{"iat": nil}, "Bad Request InvalidIdentityToken: Missing a required claim: iat."},
		"no exp":                  {map[string]any{"exp": nil}, "Bad Request InvalidIdentityToken: Missing a required claim: exp."},
		"exp as a string":         {map[string]any{"exp": "9999999999"}, "Bad Request InvalidIdentityToken: Missing a required claim: exp."},
		"audience unknown":        {map[string]any{"aud": "https://github.com/octo-org"}, notValidated},
		"no audience":             {map[string]any{"aud": nil}, notValidated},
		"one audience in a list":  {map[string]any{"aud": []string{audience}}, "200"},
		"two audiences":           {map[string]any{"aud": []string{audience, "b"}}, "Bad Request InvalidIdentityToken: Token audience contains more than one audience while authorized party is not present"},
		"two audiences and azp":   {map[string]any{"aud": []string{audience, "b"}, "azp": audience}, "200"},
		"azp wins":                {map[string]any{"azp": "b"}, notValidated},
		"issuer of an enterprise": {map[string]any{"iss": lab.GitHubIssuer + "/acme"}, notValidated},
		"issuer with a slash":     {map[string]any{"iss": lab.GitHubIssuer + "/"}, notValidated},
		"issuer without a scheme": {map[string]any{"iss": "token.actions.githubusercontent.com"}, notValidated},
		"issuer over http":        {map[string]any{"iss": "http://token.actions.githubusercontent.com"}, notValidated},
		"no issuer":               {map[string]any{"iss": nil}, notValidated},
		"not yet valid, in grace": {map[string]any{"nbf": now + 200}, "200"},
		"not yet valid":           {map[string]any{"nbf": now + 400}, notValidated},
		"issued in the future":    {map[string]any{"iat": now + 400}, notValidated},
		"expired, in grace":       {map[string]any{"exp": now - 200}, "200"},
	}
	s := open(t, nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := s.job("staging")
			maps.Copy(job.Claims, test.claims)
			_, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(job)))
			if got := refusal(t, err); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestWebIdentityTimes has texts that count seconds.
func TestWebIdentityTimes(t *testing.T) {
	t.Parallel()
	start := time.Unix(1790000000, 0)
	world, err := lab.ReadWorld(overlay(t, nil), "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(world, lab.Options{Now: func() time.Time { return start }})
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer servers.Close()
	s := stage{l, servers, t}
	signed := s.mint(s.job("staging"))
	s.Advance(600*time.Second - time.Nanosecond)
	if _, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(signed)); err != nil {
		t.Errorf("within five minutes of exp: %v", err)
	}
	s.Advance(time.Nanosecond)
	_, err = s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(signed))
	if got, want := refusal(t, err), "Bad Request ExpiredTokenException: Token expired: current date/time 1790000600 must be before the expiration date/time 1790000300"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	old := s.job("staging")
	old.Claims["iat"] = start.Add(-50 * time.Hour).Unix()
	_, err = s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(old)))
	if got, want := refusal(t, err), "Bad Request ExpiredTokenException: Token too old: 180600"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestWebIdentityForgery takes a good token apart and puts it together wrong.
func TestWebIdentityForgery(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	good := s.mint(s.job("staging"))
	parts := strings.Split(good, ".")
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	kid := headerOf(t, good)["kid"]
	rs256 := func(header map[string]any) string {
		text := encode(t, header) + "." + parts[1]
		sum := sha256.Sum256([]byte(text))
		signature, err := rsa.SignPKCS1v15(nil, foreign, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	hs256 := encode(t, map[string]any{"alg": "HS256", "kid": kid}) + "." + parts[1]
	mac := hmac.New(sha256.New, []byte("key"))
	mac.Write([]byte(hs256))
	tests := map[string]struct{ token, want string }{
		"not a JWT":                {"not.a.jwt", notJWT},
		"two parts":                {parts[0] + "." + parts[1], notJWT},
		"padded":                   {good + "=", notJWT},
		"payload not an object":    {parts[0] + ".W10." + parts[2], notJWT},
		"crit":                     {encode(t, map[string]any{"alg": "RS256", "kid": kid, "crit": []string{"exp"}}) + "." + parts[1] + "." + parts[2], notJWT},
		"alg none":                 {encode(t, map[string]any{"alg": "none", "kid": kid}) + "." + parts[1] + ".", notValidated},
		"alg HS256":                {hs256 + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), notValidated},
		"another key, its own kid": {rs256(map[string]any{"alg": "RS256", "kid": "another"}), noKey},
		"another key, GitHub's":    {rs256(map[string]any{"alg": "RS256", "kid": kid}), notValidated},
		"no kid":                   {rs256(map[string]any{"alg": "RS256"}), noKey},
		"payload exchanged":        {parts[0] + "." + strings.Split(s.mint(s.job("production")), ".")[1] + "." + parts[2], notValidated},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(test.token))
			if got := refusal(t, err); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func headerOf(t *testing.T, token string) map[string]any {
	return decode(t, strings.Split(token, ".")[0])
}
func claimsOf(t *testing.T, token string) map[string]any {
	return decode(t, strings.Split(token, ".")[1])
}

func decode(t *testing.T, part string) (m map[string]any) {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestWebIdentityRole asks for roles that the token does not open.
func TestWebIdentityRole(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for name, test := range map[string]struct{ role, want string }{
		"does not exist":      {"arn:aws:iam::123456789012:role/nobody", webDenied},
		"account unknown":     {"arn:aws:iam::999999999999:role/github-actions-hub", webDenied},
		"without a provider":  {stagingRole, notValidated},
		"not an ARN":          {"nothing-valid-in-here", "Bad Request ValidationError: nothing-valid-in-here is invalid"},
		"another kind of ARN": {"arn:aws:iam::123456789012:user/x", "Bad Request ValidationError: arn:aws:iam::123456789012:user/x is invalid"},
	} {
		in := webInput(s.mint(s.job("staging")))
		in.RoleArn = &test.role
		_, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), in)
		if got := refusal(t, err); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, test.want)
		}
	}
	in := webInput(s.mint(s.job("staging")))
	in.DurationSeconds = aws.Int32(3601)
	_, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), in)
	if got, want := refusal(t, err), "Bad Request ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, job := range []string{"production", "legacy"} {
		s.hub(job)
	}
	_, err = s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(s.job("feature"))))
	if got := refusal(t, err); got != webDenied {
		t.Errorf("a branch without environment: %s", got)
	}
}

// TestClaimsAsConditionKeys holds a trust policy against the claims that AWS offers, and one it does not.
func TestClaimsAsConditionKeys(t *testing.T) {
	t.Parallel()
	sub := `"token.actions.githubusercontent.com:aud": "sts.amazonaws.com",`
	for name, test := range map[string]struct{ condition, want string }{
		"repository_owner_id":      {`"token.actions.githubusercontent.com:repository_owner_id": "1234567",`, "200"},
		"workflow":                 {`"token.actions.githubusercontent.com:workflow": "deploy",`, "200"},
		"key in capitals":          {`"TOKEN.actions.githubusercontent.com:REF": "refs/heads/main",`, "200"},
		"another value":            {`"token.actions.githubusercontent.com:ref": "refs/heads/dev",`, webDenied},
		"event_name is not a key":  {`"token.actions.githubusercontent.com:event_name": "push",`, webDenied},
		"runner_environment is no": {`"token.actions.githubusercontent.com:runner_environment": "github-hosted",`, webDenied},
		"under another prefix":     {`"token.actions.githubusercontent.com/acme:ref": "refs/heads/main",`, webDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, map[string]string{"hub-trust.json": replaced(t, "hub-trust.json", sub, sub+test.condition)})
			_, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(s.job("staging"))))
			if got := refusal(t, err); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestEnterpriseIssuer has the enterprise's path in the provider and in the prefix of its keys.
func TestEnterpriseIssuer(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]string{
		"world.json":     replaced(t, "world.json", lab.GitHubIssuer, lab.GitHubIssuer+"/acme"),
		"hub-trust.json": replaced(t, "hub-trust.json", "token.actions.githubusercontent.com", "token.actions.githubusercontent.com/acme"),
	})
	job := s.job("staging")
	_, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(job)))
	if got := refusal(t, err); got != notValidated {
		t.Errorf("the plain issuer: %s", got)
	}
	job.Claims["iss"] = lab.GitHubIssuer + "/acme"
	out, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(job)))
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.Provider; got != "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com/acme" {
		t.Errorf("provider %s", got)
	}
}

// TestTokenTags are session tags of a web identity: GitHub sends none, another issuer may.
func TestTokenTags(t *testing.T) {
	t.Parallel()
	job := func(s stage) lab.Job {
		j := s.job("staging")
		j.Claims["https://aws.amazon.com/tags"] = map[string]any{"principal_tags": map[string]any{"Team": []string{"red"}}, "transitive_tag_keys": []string{"Team"}}
		return j
	}
	s := open(t, nil)
	_, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(job(s))))
	if got := refusal(t, err); got != webDenied {
		t.Errorf("without sts:TagSession in the hub's trust policy: %s", got)
	}
	s = open(t, map[string]string{"hub-trust.json": replaced(t, "hub-trust.json", `"sts:AssumeRoleWithWebIdentity"`, `["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]`)})
	out, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), webInput(s.mint(job(s))))
	if err != nil || s.packed() == nil {
		t.Fatalf("%v, packed size %v", err, s.packed())
	}
	// The tag is transitive: the next hop needs sts:TagSession though it sends no tag of its own.
	_, err = s.client(out.Credentials).AssumeRole(t.Context(), spokeInput(sharedRole))
	if got, want := refusal(t, err), "Forbidden AccessDenied: User: "+hubSession+" is not authorized to perform: sts:TagSession on resource: "+sharedRole; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
