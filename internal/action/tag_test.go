package action

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"encoding/base64"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
)

func parse(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// claims reads the claims of a token with this payload.
func claims(t *testing.T, payload string) idtoken.Claims {
	t.Helper()
	c, err := idtoken.ParseClaims("eyJ." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSessionTags(t *testing.T) {
	t.Parallel()
	c := claims(t, `{"repository":"o/r","workflow":"Deploy (prod)","actor":"dependabot[bot]","sha":"abc","ref":"refs/heads/main","event_name":"push","base_ref":"","head_ref":"f",
		"run_id":"17","environment":"production"}`)
	env := given{"GITHUB_REPOSITORY": "forged/repo", "GITHUB_ACTION": "__run", "GITHUB_JOB": "deploy", "GITHUB_TRIGGERING_ACTOR": "octocat", "GITHUB_BASE_REF": "", "GITHUB_ENVIRONMENT": "x"}
	got := SessionTags(c.Get, env.get, []hop.Tag{{Key: "Team", Value: "pay"}}, []string{"headref", "Team"})
	want := []hop.Tag{
		{Key: "GitHub", Value: "Actions"}, {Key: "Repository", Value: "o/r"}, {Key: "Workflow", Value: "Deploy _prod_"}, {Key: "Action", Value: "__run"},
		{Key: "Actor", Value: "dependabot_bot_"}, {Key: "Commit", Value: "abc"}, {Key: "Branch", Value: "refs/heads/main"},
		{Key: "EventName", Value: "push", Droppable: true}, {Key: "HeadRef", Value: "f"}, {Key: "RunId", Value: "17", Droppable: true},
		{Key: "Job", Value: "deploy", Droppable: true}, {Key: "TriggeringActor", Value: "octocat", Droppable: true}, {Key: "GitHubEnvironment", Value: "production", Droppable: true},
		{Key: "Team", Value: "pay"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := SessionTags(idtoken.Claims{}.Get, given{"GITHUB_REF": "refs/heads/x"}.get, nil, nil); !slices.Equal(got, []hop.Tag{{Key: "GitHub", Value: "Actions"}, {Key: "Branch", Value: "refs/heads/x"}}) {
		t.Errorf("without claims: got %v", got)
	}
}

func TestTagValue(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                       "",
		"a_.:/=+-@ é٣":           "a_.:/=+-@ é٣",
		"a*b?c\n\t;\x00":         "a_b_c____",
		"\xff":                   "_",
		"aws:x":                  "_ws:x",
		"AWS:x":                  "_WS:x",
		"aws":                    "aws",
		strings.Repeat("é", 300): strings.Repeat("é", 256),
	} {
		if got := tagValue(in); got != want {
			t.Errorf("tagValue(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzTagValue(f *testing.F) {
	for _, s := range []string{"refs/heads/main", "aws:x", "aWs:", "\xff\xfe", "a\u2028b", strings.Repeat("é", 300), "\u212baws:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := tagValue(s)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 256 || strings.ContainsFunc(got, hop.NotTagRune) || strings.HasPrefix(strings.ToLower(got), "aws:") || (got == "") != (s == "") {
			t.Errorf("tagValue(%q) = %q", s, got)
		}
		if tagValue(got) != got {
			t.Errorf("%q changes a second time", got)
		}
	})
}

func FuzzCustomTags(f *testing.F) {
	for _, s := range []string{`{}`, `{"Team":"payments","a":""}`, `{"a":"b","A":"c"}`, `{"a":{"b":"c"}}`, `{"a":"b"}{`, `["a"]`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"Repository":"x"}`, `{"aws:a":"b"}`, `{"ſ":"x","s":"y"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in, problems := readInputs(required.with(given{"custom-tags": s}).get, ofRun.get)
		for _, problem := range problems {
			if len(problem) > 1700 {
				t.Errorf("%q: %s", s, problem)
			}
		}
		if len(problems) > 0 {
			return
		}
		tags := in.plan.Tags
		if len(tags)+len(ownTags) > hop.MaxTags {
			t.Errorf("%d tags", len(tags))
		}
		for i, tag := range tags {
			if hop.CheckTag(tag.Key, tag.Value) != nil || reserved(tag.Key) || slices.ContainsFunc(tags[:i], func(t hop.Tag) bool { return strings.EqualFold(t.Key, tag.Key) }) || tag.Droppable {
				t.Errorf("%q: accepted %+v", s, tag)
			}
		}
	})
}
