package lab

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// params are the members of a request, checked for their form.
type params struct {
	roleARN, sessionName string
	token                string // a web identity's
	duration             time.Duration
	policy               string // inline session policy; empty: none
	policyARNs           []string
	tags                 tags
	transitive           []string
	externalID           string
	sourceIdentity       string
}

// The patterns of the API's model, and how its messages spell them. anyText is every character that XML allows.
var (
	anyText       = regexp.MustCompile(`^[\t\n\r\x{20}-\x{7E}\x{85}\x{A0}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]+$`)
	latinText     = regexp.MustCompile(`^[\t\n\r\x{20}-\x{FF}]+$`)
	wordText      = regexp.MustCompile(`^[\w+=,.@-]*$`)
	externalText  = regexp.MustCompile(`^[\w+=,.@:\/-]*$`)
	serialText    = regexp.MustCompile(`^[\w+=/:,.@-]*$`)
	digits        = regexp.MustCompile(`^[\d]*$`)
	patternOfText = map[*regexp.Regexp]string{
		anyText:      `[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`,
		latinText:    `[\u0009\u000A\u000D\u0020-\u00FF]+`,
		wordText:     `[\w+=,.@-]*`,
		externalText: `[\w+=,.@:\/-]*`,
		serialText:   `[\w+=/:,.@-]*`,
		digits:       `[\d]*`,
		tagKey:       `[\p{L}\p{Z}\p{N}_.:/=+\-@]+`,
		tagValue:     `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`,
	}
)

// member is one member's constraints in the API's model (STS API reference).
type member struct {
	name     string // as in the request; messages begin it with a small letter
	required bool
	min, max int // characters; 0: no such bound
	pattern  *regexp.Regexp
	secret   bool // its value is not repeated
}

// checker collects the problems in the form of a request: AWS reports all of them at once.
type checker struct {
	form     url.Values
	problems []string
}

func (c *checker) fail(value, field, constraint string) {
	problem := fmt.Sprintf("Value%s at '%s' failed to satisfy constraint: Member must %s", value, field, constraint)
	c.problems = append(c.problems, problem)
}

func (c *checker) text(m member) string {
	return c.check(m, m.name, strings.ToLower(m.name[:1])+m.name[1:])
}

func (c *checker) check(m member, name, field string) string {
	if !c.form.Has(name) {
		if m.required {
			c.fail("", field, "not be null")
		}
		return ""
	}
	value := c.form.Get(name)
	shown := " '" + value + "'"
	if m.secret {
		shown = ""
	}
	length := utf8.RuneCountInString(value)
	if m.max > 0 && length > m.max {
		c.fail(shown, field, fmt.Sprintf("have length less than or equal to %d", m.max))
	}
	if length < m.min {
		c.fail(shown, field, fmt.Sprintf("have length greater than or equal to %d", m.min))
	}
	if m.pattern != nil && !m.pattern.MatchString(value) {
		c.fail(shown, field, "satisfy regular expression pattern: "+patternOfText[m.pattern])
	}
	return value
}

// count returns the number of members of a list; they are numbered from 1.
func (c *checker) count(list string, limit int) int {
	numbers := map[int]bool{}
	prefix := list + ".member."
	for name := range c.form {
		if rest, found := strings.CutPrefix(name, prefix); found {
			number, _, _ := strings.Cut(rest, ".")
			if n, err := strconv.Atoi(number); err == nil && n > 0 {
				numbers[n] = true
			}
		}
	}
	n := 0
	for numbers[n+1] {
		n++
	}
	if n < len(numbers) {
		c.fail("", strings.ToLower(list[:1])+list[1:], "be numbered without a gap") // the lab's own text
	}
	if n > limit {
		c.fail("", strings.ToLower(list[:1])+list[1:], fmt.Sprintf("have length less than or equal to %d", limit))
	}
	return n
}

func (c *checker) duration() time.Duration {
	if !c.form.Has("DurationSeconds") {
		return time.Hour // the default whatever the role's maximum is
	}
	text := c.form.Get("DurationSeconds")
	seconds, err := strconv.Atoi(text)
	switch {
	case err != nil:
		c.fail(" '"+text+"'", "durationSeconds", "be a number") // the lab's own text
	case seconds < 900:
		c.fail(" '"+text+"'", "durationSeconds", "have value greater than or equal to 900")
	case seconds > 43200:
		c.fail(" '"+text+"'", "durationSeconds", "have value less than or equal to 43200")
	}
	return time.Duration(seconds) * time.Second
}

func (c *checker) tags() (t tags) {
	for i := range c.count("Tags", 50) {
		name, field := fmt.Sprintf("Tags.member.%d", i+1), fmt.Sprintf("tags.%d.member", i+1)
		t = append(t, tag{
			Key:   c.check(member{required: true, min: 1, max: 128, pattern: tagKey}, name+".Key", field+".key"),
			Value: c.check(member{required: true, max: 256, pattern: tagValue}, name+".Value", field+".value"),
		})
	}
	return t
}

func (c *checker) list(name string, limit int, suffix string, m member) (values []string) {
	for i := range c.count(name, limit) {
		key := fmt.Sprintf("%s.member.%d%s", name, i+1, suffix)
		field := fmt.Sprintf("%s.%d.member%s", strings.ToLower(name[:1])+name[1:], i+1, suffix)
		values = append(values, c.check(m, key, field))
	}
	return values
}

// parameters checks the form of all members. A member that the operation does not have is ignored, as on AWS.
func (c *call) parameters() *apiError {
	check := checker{form: c.form}
	p := &c.params
	p.roleARN = check.text(member{name: "RoleArn", required: true, min: 20, max: 2048, pattern: anyText})
	p.sessionName = check.text(member{name: "RoleSessionName", required: true, min: 2, max: 64, pattern: wordText})
	if c.action == "AssumeRoleWithWebIdentity" {
		p.token = check.text(member{name: "WebIdentityToken", required: true, min: 4, max: 20000, secret: true})
		check.text(member{name: "ProviderId", min: 4, max: 2048})
	}
	p.policyARNs = check.list("PolicyArns", 10, ".arn", member{min: 20, max: 2048, pattern: anyText})
	p.policy = check.text(member{name: "Policy", min: 1, max: 2048, pattern: latinText})
	p.duration = check.duration()
	if c.action == "AssumeRole" {
		p.tags = check.tags()
		p.transitive = check.list("TransitiveTagKeys", 50, "", member{min: 1, max: 128, pattern: tagKey})
		p.externalID = check.text(member{name: "ExternalId", min: 2, max: 1224, pattern: externalText})
		check.text(member{name: "SerialNumber", min: 9, max: 256, pattern: serialText})
		check.text(member{name: "TokenCode", min: 6, max: 6, pattern: digits})
		p.sourceIdentity = check.text(member{name: "SourceIdentity", min: 2, max: 64, pattern: wordText})
		check.count("ProvidedContexts", 5)
	}
	if n := len(check.problems); n > 0 {
		plural := "s"
		if n == 1 {
			plural = ""
		}
		return badRequest("ValidationError", "%d validation error%s detected: %s",
			n, plural, strings.Join(check.problems, "; "))
	}
	return c.meaning()
}

var roleARN = regexp.MustCompile(`^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([\x21-\x7e]+/)?[\w+=,.@-]{1,64}$`)

// meaning checks the meaning of the members where no role is needed. Members that the lab does not support, MFA
// devices, OAuth 2.0 access tokens and provided contexts, are rejected, not ignored.
func (c *call) meaning() *apiError {
	if !roleARN.MatchString(c.params.roleARN) {
		return badRequest("ValidationError", "%s is invalid", c.params.roleARN)
	}
	switch {
	case c.form.Has("ProviderId") && c.action == "AssumeRoleWithWebIdentity":
		return badRequest("InvalidParameterValue", "ProviderId is only for OAuth 2.0 access tokens.")
	case c.action != "AssumeRole":
		return nil
	case c.form.Has("ProvidedContexts.member.1.ProviderArn"), c.form.Has("ProvidedContexts.member.1.ContextAssertion"):
		return badRequest("InvalidParameterValue", "ProvidedContexts are not known to the lab.")
	case c.form.Has("SerialNumber"), c.form.Has("TokenCode"):
		return forbidden("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
	}
	return nil
}

// tagRules rejects tags that one call may not send.
func tagRules(t tags, transitive []string, inherited tags) *apiError {
	if text := t.Refusal(transitive, inherited); text != "" {
		return badRequest("InvalidParameterValue", "%s", text)
	}
	return nil
}
