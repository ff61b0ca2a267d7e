package lab

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// tag is a session's or a role's tag. Keys keep their case and are compared without it (IAM User
// Guide, "Rules for tagging in IAM and AWS STS").
type tag struct{ Key, Value string }

type tags []tag

var (
	tagKey   = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$`) // STS API reference, Tag
	tagValue = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

func (t tags) find(key string) (tag, bool) {
	i := slices.IndexFunc(t, func(x tag) bool { return strings.EqualFold(x.Key, key) })
	if i < 0 {
		return tag{}, false
	}
	return t[i], true
}

// with gives t overridden by more.
func (t tags) with(more tags) tags {
	var out tags
	for _, x := range t {
		if _, overridden := more.find(x.Key); !overridden {
			out = append(out, x)
		}
	}
	return append(out, more...)
}

func (t tags) keys() []string {
	var keys []string
	for _, x := range t {
		keys = append(keys, x.Key)
	}
	return keys
}

// problem says what IAM would not take of a role's tags; empty when it would take all.
func (t tags) problem() string {
	for i, x := range t {
		_, twice := t[:i].find(x.Key)
		switch {
		case twice:
			return fmt.Sprintf("%q is there twice", x.Key)
		case !tagKey.MatchString(x.Key) || utf8.RuneCountInString(x.Key) > 128 || hasAWSPrefix(x.Key):
			return fmt.Sprintf("%q is not a tag's key", x.Key)
		case !tagValue.MatchString(x.Value) || utf8.RuneCountInString(x.Value) > 256:
			return fmt.Sprintf("%q is not a tag's value", x.Value)
		}
	}
	return ""
}

func hasAWSPrefix(s string) bool { return len(s) >= 4 && strings.EqualFold(s[:4], "aws:") }
