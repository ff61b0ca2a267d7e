package hop

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of what STS and IAM take.
// Source: the API's model of AssumeRole, but for MaxDuration: IAM User Guide, "Methods to assume a role", role chaining.
const (
	MinDuration   = 900 * time.Second
	MaxDuration   = 3600 * time.Second // of a chained session, whatever the role's MaxSessionDuration says
	MaxPolicy     = 2048               // characters of an inline session policy
	MaxPolicyARNs = 10
	MaxTags       = 50
	MaxTagKey     = 128 // characters
	MaxTagValue   = 256 // characters
)

// Form is what a text may consist of and how long it may be, in bytes. The length is not part of the expression,
// where a counted repeat of hundreds would cost milliseconds.
type Form struct {
	chars    func() *regexp.Regexp
	min, max int
	Words    string // the same in words, behind "is not"
}

// NewForm gives the form of texts of min to max bytes that match the expression.
func NewForm(expression string, min, max int, words string) Form {
	return Form{lazily(expression), min, max, words}
}

// lazily compiles an expression when it is first used: a program that hands out kept credentials starts often, and
// needs few of them.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// Holds tells whether s has the form.
func (f Form) Holds(s string) bool {
	return len(s) >= f.min && len(s) <= f.max && f.chars().MatchString(s)
}

// The forms of what a hop sends. Source: the API's model of AssumeRole, and for an audience IAM's limit of a client id.
var (
	SessionName = NewForm(`^[A-Za-z0-9_+=,.@-]+$`, 2, 64, "2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -") // and a source identity
	ExternalID  = NewForm(`^[A-Za-z0-9_+=,.@:/-]+$`, 2, 1224, "2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -")
	Audience    = NewForm(`^[\x21-\x7e]+$`, 1, 255, "1 to 255 printable ASCII characters without a space")
	PolicyARN   = NewForm(`^arn:[a-z-]+:iam::(aws|[0-9]{12}):policy/[\x21-\x7e]+$`, 20, 2048,
		"the ARN of a managed policy (arn:aws:iam::aws:policy/NAME or arn:aws:iam::ACCOUNT:policy/NAME)")
)

// The forms of what AWS answers. What has another form would end up in files that the runner and SDKs parse, and
// one that is too short would hide half of the log once it is masked.
var (
	AccessKeyID = NewForm(`^[A-Za-z0-9_]+$`, 16, 128, "an access key id")  // the API model's accessKeyIdType
	KeyMaterial = NewForm(`^[\x21-\x7e]+$`, 16, maxAnswer, "key material") // opaque, but printable and on one line
)

// CheckTag says what is wrong with a session tag, and nil of a good one.
func CheckTag(key, value string) error {
	const allowed = "letters, digits, spaces and _ . : / = + - @"
	switch n := utf8.RuneCountInString(key); {
	case n < 1 || n > MaxTagKey || strings.ContainsFunc(key, NotTagRune):
		return fmt.Errorf("the key %s is not 1 to %d %s", quote(key), MaxTagKey, allowed)
	case utf8.RuneCountInString(value) > MaxTagValue || strings.ContainsFunc(value, NotTagRune):
		return fmt.Errorf("the value %s of %s is not up to %d %s", quote(value), quote(key), MaxTagValue, allowed)
	case HasAWSPrefix(key) || HasAWSPrefix(value):
		return fmt.Errorf("%s begins with aws:, which AWS keeps for itself", quote(key))
	}
	return nil
}

// HasAWSPrefix tells whether a tag's key or value begins with what AWS keeps for itself, in any case.
func HasAWSPrefix(s string) bool { return len(s) >= 4 && strings.EqualFold(s[:4], "aws:") }

// NotTagRune tells which characters AWS refuses in tags: [\p{L}\p{Z}\p{N}_.:/=+\-@] in the API's model.
func NotTagRune(c rune) bool {
	return !unicode.In(c, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", c) || c == utf8.RuneError
}

// maxQuoted is the longest value that is shown, in bytes. A longer one is not shown at all: it may be a secret in
// the wrong place, and the runner's mask does not know a part of it.
const maxQuoted = 300

func quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("a value of %d bytes", len(s))
	}
	return `"` + s + `"`
}
