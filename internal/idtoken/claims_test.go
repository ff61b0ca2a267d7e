package idtoken

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"
)

// token is a JWT with this payload; its signature is not verified here.
func token(payload string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

func TestParseClaims(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		payload  string
		subject  string
		issuer   string
		audience []string
		expires  time.Time
	}{
		{payload: `{"sub":"repo:o/r:ref:refs/heads/main","iss":"https://token.actions.githubusercontent.com","aud":"sts.amazonaws.com","exp":1750000300}`,
			subject: "repo:o/r:ref:refs/heads/main", issuer: "https://token.actions.githubusercontent.com", audience: []string{"sts.amazonaws.com"}, expires: time.Unix(1750000300, 0)},
		{payload: `{"aud":["a","b",3]}`, audience: []string{"a", "b"}},
		{payload: `{"aud":7,"sub":7,"iss":null,"exp":"soon"}`},
		{payload: `{"SUB":"x","Iss":"y","AUD":"z","Exp":1}`}, // names of claims are exact
		{payload: `{"exp":-1}`},
		{payload: `{"exp":1e300}`},
		{payload: `{}`},
	} {
		claims, err := ParseClaims(token(test.payload))
		if err != nil {
			t.Errorf("%s: %v", test.payload, err)
			continue
		}
		if claims.Subject != test.subject || claims.Issuer != test.issuer || !reflect.DeepEqual(claims.Audience, test.audience) || !claims.Expires.Equal(test.expires) {
			t.Errorf("%s: got %+v", test.payload, claims)
		}
	}
}

func TestParseClaimsRefuses(t *testing.T) {
	t.Parallel()
	const notJWT, notObject = "the token is not a JWT", "the token's payload is not a JSON object of claims"
	for in, want := range map[string]string{
		"":                                       notJWT,
		"a.b":                                    notJWT,
		"a.b.c.d":                                notJWT,
		"a..c":                                   notJWT,
		"a.b.c\n":                                notJWT,
		"a.b=.c":                                 notJWT,
		"a.b.c\n::set-output name=x":             notJWT,
		"a.AAAAA.c":                              "the token's payload is not base64url",
		token("secret"):                          notObject,
		token("null"):                            notObject,
		token(`["x"]`):                           notObject,
		token(`{"a":1}{"b":2}`):                  notObject,
		strings.Repeat("a", 20001):               "the token is larger than the 20000 bytes that AWS takes",
		"a." + strings.Repeat("A", 19998) + ".c": "the token is larger than the 20000 bytes that AWS takes",
	} {
		claims, err := ParseClaims(in)
		if err == nil || err.Error() != want || !reflect.DeepEqual(claims, Claims{}) {
			t.Errorf("%.40q: got %+v, %v, want %s", in, claims, err, want)
		}
	}
}

func TestRequestExpires(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Time{
		token(`{"exp":1750000300}`):   time.Unix(1750000300, 0),
		token(`{"exp":"1750000300"}`): {},
		token(`{}`):                   {},
		"v2.local.opaque":             {},
		"opaque":                      {},
		"":                            {},
	} {
		got, known := RequestExpires(in)
		if !got.Equal(want) || known == want.IsZero() {
			t.Errorf("%s: got %v, %t, want %v", in, got, known, want)
		}
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	claims, err := ParseClaims(token(`{"repository":"o/r","run_number":7,"Actor":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"repository": "o/r", "run_number": "", "actor": "", "": ""} {
		if got := claims.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := (Claims{}).Get("repository"); got != "" {
		t.Errorf("no claims hold %q", got)
	}
}

// The subjects are those of GitHub's page "OpenID Connect reference".
func TestSubjectForm(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]SubjectForm{
		"repo:octo-org/octo-repo:environment:Production%3AV1":                                Legacy,
		"repo:octo-org/octo-repo:pull_request":                                               Legacy,
		"repo:octo-org/octo-repo:ref:refs/tags/v1":                                           Legacy,
		"repo:octo-org@1234567/octo-repo@89012345:ref:refs/heads/main":                       Immutable,
		"repo:octo-org@1234567/octo-repo@89012345:environment:prod":                          Immutable,
		"repo:octo-org/octo-repo:environment:prod:job_workflow_ref:o/a/.github/w.yml@refs/x": Legacy,
		"repo:octo-org@1234567/octo-repo:ref:refs/heads/main":                                Customized, // one id alone is neither
		"repo:octo-org@x/octo-repo@y:ref:refs/heads/main":                                    Customized,
		"repo:octo-org-1234567/octo-repo-89012345:pull_request":                              Legacy, // withdrawn in June 2026; these are names
		"repository_owner:monalisa:repository_visibility:private":                            Customized,
		"job_workflow_ref:o/a/.github/workflows/x.yml@refs/heads/main":                       Customized,
		"repo:octo-org/octo-repo":                                                            Customized,
		"Repo:octo-org/octo-repo:pull_request":                                               Customized,
		"":                                                                                   Customized,
	} {
		if got := (Claims{Subject: subject}).SubjectForm(); got != want {
			t.Errorf("%s: got %s, want %s", subject, got, want)
		}
	}
}

func FuzzParseClaims(f *testing.F) {
	f.Add(token(`{"sub":"repo:o/r:pull_request","aud":["a"],"exp":1750000300}`))
	f.Add(token(`{"aud":{"a":1},"exp":1e400}`))
	f.Add(token("null"))
	f.Add("a.b.c")
	f.Add("a.b.c\n")
	f.Add(token(`{"sub":"\u0000\ud800"}`))
	f.Fuzz(func(t *testing.T, in string) {
		claims, err := ParseClaims(in)
		if err != nil {
			if text := err.Error(); strings.Contains(text, "\n") || len(text) > 80 {
				t.Errorf("error %q", text)
			}
			return
		}
		if strings.ContainsAny(in, "\r\n% ") || len(in) > 20000 {
			t.Errorf("%q would not be masked as one line", in)
		}
		if claims.Subject != claims.Get("sub") || claims.Issuer != claims.Get("iss") {
			t.Errorf("got %+v", claims)
		}
		if !claims.Expires.IsZero() {
			if _, err := time.Parse(time.RFC3339, claims.Expires.UTC().Format(time.RFC3339)); err != nil {
				t.Errorf("expires %v: %v", claims.Expires, err)
			}
		}
	})
}
