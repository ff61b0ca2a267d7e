package action

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/hop"
)

type ownTag struct {
	key, claim, env string
	droppable       bool
}

// ownTags are the session tags of this action: where the value comes from, the token's claim first, and whether the tag
// is dropped when AWS finds the tags too large. The first seven are those of
// aws-actions/configure-aws-credentials, so that policies written for it keep working.
var ownTags = []ownTag{
	{"GitHub", "", "", false}, // the constant Actions
	{"Repository", "repository", "GITHUB_REPOSITORY", false},
	{"Workflow", "workflow", "GITHUB_WORKFLOW", false},
	{"Action", "", "GITHUB_ACTION", false},
	{"Actor", "actor", "GITHUB_ACTOR", false},
	{"Commit", "sha", "GITHUB_SHA", false},
	{"Branch", "ref", "GITHUB_REF", false},
	{"EventName", "event_name", "GITHUB_EVENT_NAME", true},
	{"BaseRef", "base_ref", "GITHUB_BASE_REF", true},
	{"HeadRef", "head_ref", "GITHUB_HEAD_REF", true},
	{"RunId", "run_id", "GITHUB_RUN_ID", true},
	{"Job", "", "GITHUB_JOB", true},
	{"TriggeringActor", "", "GITHUB_TRIGGERING_ACTOR", true},
	{"GitHubEnvironment", "environment", "", true}, // not Environment, a name that people use in custom-tags
}

func reserved(key string) bool {
	return slices.ContainsFunc(ownTags, func(t ownTag) bool { return strings.EqualFold(t.key, key) })
}

// SessionTags returns the session tags that a step sends with the spoke call, for a token with these claims: the
// action's and the custom ones. A transitive tag is not droppable: a role further down the chain may depend on it.
func SessionTags(claim, getenv func(string) string, custom []hop.Tag, transitive []string) []hop.Tag {
	var tags []hop.Tag
	for _, t := range ownTags {
		value := ""
		if t.claim != "" {
			value = claim(t.claim)
		}
		if value == "" && t.env != "" {
			value = getenv(t.env)
		}
		if t.key == "GitHub" {
			value = "Actions"
		}
		if value = tagValue(value); value == "" {
			continue
		}
		named := slices.ContainsFunc(transitive, func(k string) bool { return strings.EqualFold(k, t.key) })
		tags = append(tags, hop.Tag{Key: t.key, Value: value, Droppable: t.droppable && !named})
	}
	return append(tags, custom...)
}

// tagValue returns a value that AWS accepts: characters that it refuses become _, at most 256 are kept, and the value
// does not begin with aws:.
func tagValue(s string) string {
	s = strings.Map(func(c rune) rune {
		if hop.NotTagRune(c) {
			return '_'
		}
		return c
	}, s)
	if utf8.RuneCountInString(s) > hop.MaxTagValue {
		s = string([]rune(s)[:hop.MaxTagValue])
	}
	if hop.HasAWSPrefix(s) {
		s = "_" + s[1:]
	}
	return s
}
