package chain

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tag is one tag of a role or a session.
type Tag struct {
	Key   string // 1 to 128 letters, digits, spaces and _.:/=+-@
	Value string // 0 to 256 of the same
}

// Tags are the tags of one role or session. Keys keep their case and are compared without it ("Rules for tagging
// in IAM and AWS STS", IAM User Guide).
type Tags []Tag

// Find returns the tag with the key.
func (t Tags) Find(key string) (Tag, bool) {
	i := slices.IndexFunc(t, func(x Tag) bool { return strings.EqualFold(x.Key, key) })
	if i < 0 {
		return Tag{}, false
	}
	return t[i], true
}

// With returns the tags overridden by more.
func (t Tags) With(more Tags) Tags {
	var out Tags
	for _, x := range t {
		if _, overridden := more.Find(x.Key); !overridden {
			out = append(out, x)
		}
	}
	return append(out, more...)
}

// Keys returns the keys in their order.
func (t Tags) Keys() []string {
	var keys []string
	for _, x := range t {
		keys = append(keys, x.Key)
	}
	return keys
}

// Problem describes the first tag that IAM rejects, for its form or as a duplicate. It is empty if IAM accepts all.
func (t Tags) Problem() string {
	for i, x := range t {
		_, twice := t[:i].Find(x.Key)
		switch {
		case twice:
			return fmt.Sprintf("duplicate key %q", x.Key)
		case x.Key == "" || utf8.RuneCountInString(x.Key) > 128 || strings.ContainsFunc(x.Key, notTagRune) || ofAWS(x.Key):
			return fmt.Sprintf("%q is not a tag key", x.Key)
		case utf8.RuneCountInString(x.Value) > 256 || strings.ContainsFunc(x.Value, notTagRune):
			return fmt.Sprintf("%q is not a tag value", x.Value)
		}
	}
	return ""
}

// notTagRune reports whether AWS rejects the character: all but [\p{L}\p{Z}\p{N}_.:/=+\-@] in the API's model of Tag.
func notTagRune(c rune) bool {
	return !unicode.In(c, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", c)
}

func ofAWS(s string) bool { return len(s) >= 4 && strings.EqualFold(s[:4], "aws:") }

// Refusal returns AWS's message, with the code InvalidParameterValue, for tags that one call may not send; empty if it
// may ("Rules for tagging" and "Chaining roles with session tags", IAM User Guide). A key that the calling session
// has made transitive cannot be sent again, whatever its value.
func (t Tags) Refusal(transitive []string, inherited Tags) string {
	for i, x := range t {
		if _, twice := t[:i].Find(x.Key); twice {
			return "Duplicate tag keys found. Please note that Tag keys are case insensitive."
		}
		if ofAWS(x.Key) || ofAWS(x.Value) {
			// Documented as refused; AWS's text is not public, so this one is our own.
			return "Tag keys and values must not begin with aws:."
		}
	}
	for _, key := range transitive {
		if _, found := t.Find(key); !found {
			return "The specified transitive tag key must be included in the requested tags."
		}
	}
	if slices.ContainsFunc(t, func(x Tag) bool { _, found := inherited.Find(x.Key); return found }) {
		return "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key " +
			"from the calling session."
	}
	return ""
}
