package action

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/hop"
)

// Limits of the inputs; those of STS and IAM are hop's.
const (
	maxAttempts     = 20
	maxTimeout      = time.Hour // a step that takes longer than the session it is to give has failed
	maxCustomTags   = 64 << 10
	defaultDuration = "3600"
	defaultAttempts = "5"
	defaultTimeout  = "60"
)

// inputs are the action's inputs, checked.
type inputs struct {
	region            string
	hub               hop.ARN
	spokes            []spoke // one at least
	several           bool    // they come from spokes
	sessionName       string
	duration          time.Duration
	askedDuration     time.Duration // before the cap
	skipTagging       bool
	customTags        []hop.Tag
	transitiveTagKeys []string
	sourceIdentity    string
	externalID        string
	sessionPolicy     string
	policyARNs        []string
	audience          string
	accountIDs        []string // that the inputs name
	maskAccountID     bool
	exportEnv         bool
	exportOutputs     bool
	overwriteProfile  bool
	autoRefresh       bool
	unsetCurrent      bool
	attempts          int
	timeout           time.Duration
	proxy             *url.URL
	proxyPasswords    []string // the password, in each form in which it may be printed
	noProxy           string
	givenProxy        string // http-proxy as given; empty when the proxy is the environment's
	givenNoProxy      string // no-proxy as given
	endpoint          *url.URL
	roots             *x509.CertPool // nil for the system's authorities
	caBundle          string         // PEM text of what roots has beside them
}

var (
	accountID   = hop.NewForm(`^[0-9]+$`, 12, 12, "an account id of 12 digits")
	digits      = hop.NewForm(`^[0-9]+$`, 1, 20, "digits")
	policyRunes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\t\n\r\x{20}-\x{FF}]+$`) })
)

// reader collects every problem before any is reported, so that one run shows all of them.
type reader struct {
	get      func(name string) string // an input, trimmed
	getenv   func(string) string
	problems []string
}

func (r *reader) problem(name, format string, args ...any) {
	r.problems = append(r.problems, name+": "+fmt.Sprintf(format, args...))
}

// refused is a problem with a value that its error quotes.
func (r *reader) refused(name, value string, err error) { r.problem(name, "%s", showable(value, err)) }

// showable is the error, unless the value that it quotes is too long to show.
func showable(value string, err error) error {
	if len(value) > maxShown {
		return fmt.Errorf("%s is not of the form that it must have", quote(value))
	}
	return err
}

// readInputs reads and checks every input. On problems, one line each, the inputs are of no use.
func readInputs(get, getenv func(string) string) (inputs, []string) {
	r := &reader{get: get, getenv: getenv}
	var in inputs

	in.region = r.get("aws-region")
	if in.region == "" {
		r.problem("aws-region", "is required: the name of an AWS region, for example us-east-1")
	}
	in.hub = r.role("hub-role-to-assume", "")
	in.autoRefresh = r.boolean("auto-refresh", false)
	r.roles(&in)
	r.onePartition(in)

	in.sessionName = r.sessionName()
	in.askedDuration = time.Duration(r.number("role-duration-seconds", defaultDuration, int(hop.MinDuration.Seconds()), math.MaxInt32,
		"of seconds from 900 to 3600 (more is capped at 3600)")) * time.Second
	in.duration = min(in.askedDuration, hop.MaxDuration)

	in.skipTagging = r.boolean("role-skip-session-tagging", false)
	in.customTags = r.customTags()
	in.transitiveTagKeys = r.transitiveTagKeys(in.customTags)
	in.sourceIdentity = r.matching("source-identity", hop.SessionName)
	in.externalID = r.matching("role-external-id", hop.ExternalID)
	in.sessionPolicy = r.sessionPolicy()
	in.policyARNs = r.policyARNs(in.spokes)

	in.audience = r.matching("audience", hop.Audience)
	if in.audience == "" {
		in.audience = defaultAudience(in.hub.Partition)
	}
	in.accountIDs = r.accountIDs(in)

	in.maskAccountID = r.boolean("mask-aws-account-id", false)
	r.delivery(&in)
	in.unsetCurrent = r.boolean("unset-current-credentials", false)

	in.attempts = r.number("retry-max-attempts", defaultAttempts, 1, maxAttempts, "from 1 to 20")
	in.timeout = time.Duration(r.number("action-timeout-s", defaultTimeout, 1, int(maxTimeout.Seconds()), "of seconds from 1 to 3600")) * time.Second
	r.network(&in)
	return in, r.problems
}

func defaultAudience(partition string) string {
	if partition == "aws-cn" {
		return "sts.amazonaws.com.cn"
	}
	return "sts.amazonaws.com"
}

// or gives the first that is set: the value, or one of the environment variables.
func (r *reader) or(value string, names ...string) string {
	for _, name := range names {
		if value == "" {
			value = strings.TrimSpace(r.getenv(name))
		}
	}
	return value
}

func (r *reader) role(name, unless string) hop.ARN {
	value := r.get(name)
	if value == "" {
		r.problem(name, "is required%s: the full ARN of an IAM role, arn:aws:iam::123456789012:role/NAME", unless)
		return hop.ARN{}
	}
	arn, err := hop.ParseRoleARN(value)
	if err != nil {
		r.refused(name, value, err)
	}
	return arn
}

// onePartition holds hub, spoke and region to one partition: credentials do not cross partitions.
func (r *reader) onePartition(in inputs) {
	if in.region == "" {
		return
	}
	partition, err := hop.RegionPartition(in.region)
	if err != nil {
		r.refused("aws-region", in.region, err)
		return
	}
	check := func(input string, role hop.ARN) {
		if role.Partition != "" && role.Partition != partition {
			r.problem(input, "%q is in partition %s, but aws-region %s is in %s; hub, spoke and region must be in one partition", role.String(), role.Partition, in.region, partition)
		}
	}
	check("hub-role-to-assume", in.hub)
	for _, spoke := range in.spokes {
		check(in.rolesInput(), spoke.role)
		if other, err := hop.RegionPartition(spoke.region); err == nil && other != partition {
			r.problem(in.rolesInput(), "region %s of %s is in partition %s, but aws-region %s is in %s; hub, spoke and region must be in one partition", spoke.region, spoke.profile, other, in.region, partition)
		}
	}
}

// rolesInput is the input that names the spokes.
func (in inputs) rolesInput() string {
	if in.several {
		return "spokes"
	}
	return "role-to-assume"
}

func (r *reader) sessionName() string {
	if value := r.matching("role-session-name", hop.SessionName); value != "" {
		return value
	}
	run, attempt := r.getenv("GITHUB_RUN_ID"), r.getenv("GITHUB_RUN_ATTEMPT")
	if r.get("role-session-name") == "" && (!digits.Holds(run) || !digits.Holds(attempt)) {
		r.problem("role-session-name", "has no default because GITHUB_RUN_ID is %s and GITHUB_RUN_ATTEMPT is %s; set it to %s", quote(run), quote(attempt), hop.SessionName.Words)
	}
	return "gh-" + run + "-" + attempt
}

func (r *reader) matching(name string, form hop.Form) string {
	value := r.get(name)
	if value != "" && !form.Holds(value) {
		r.problem(name, "%s is not %s", quote(value), form.Words)
		return ""
	}
	return value
}

func (r *reader) number(name, standard string, low, high int, allowed string) int {
	value := r.get(name)
	if value == "" {
		value = standard
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high || strconv.Itoa(n) != value {
		r.problem(name, "%s is not a whole number %s", quote(value), allowed)
	}
	return n
}

// boolean takes the words of YAML's core schema, as actions/toolkit's getBooleanInput does.
func (r *reader) boolean(name string, standard bool) bool {
	value := r.get(name)
	switch value {
	case "":
		return standard
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	r.problem(name, "%s is neither true nor false", quote(value))
	return standard
}

// lines gives the lines of an input, trimmed: a tag key may hold spaces, and a policy's name a comma.
func (r *reader) lines(name string) []string {
	var lines []string
	for line := range strings.Lines(r.get(name)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func (r *reader) customTags() []hop.Tag {
	value := r.get("custom-tags")
	if value == "" {
		return nil
	}
	tags, err := parseCustomTags(value)
	if err != nil {
		r.problem("custom-tags", "%s: %s", quote(value), err)
	}
	return tags
}

// parseCustomTags reads a JSON object of strings in its order. A key may stand in it once, in any
// case, since AWS compares keys without case.
func parseCustomTags(value string) ([]hop.Tag, error) {
	if len(value) > maxCustomTags {
		return nil, errors.New("is larger than 64 KiB")
	}
	if !utf8.ValidString(value) {
		return nil, errors.New("is not UTF-8")
	}
	var tags []hop.Tag
	notObject := errors.New(`is not a JSON object of strings, {"Team": "payments"} for example`)
	decoder := json.NewDecoder(strings.NewReader(value))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, notObject
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, notObject
		}
		key := token.(string) // the decoder gives nothing else at this place
		token, err = decoder.Token()
		value, ok := token.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("the value of %s is not a string", quote(key))
		}
		if err := hop.CheckTag(key, value); err != nil {
			return nil, err
		}
		if reserved(key) {
			return nil, fmt.Errorf("%s is set by this action and may not be overridden", quote(key))
		}
		if hasTag(tags, key) {
			return nil, fmt.Errorf("%s stands in it twice (AWS compares tag keys without case)", quote(key))
		}
		tags = append(tags, hop.Tag{Key: key, Value: value})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, notObject
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, notObject
	}
	if limit := hop.MaxTags - len(ownTags); len(tags) > limit {
		return nil, fmt.Errorf("has %d tags; AWS takes %d in all and this action sends up to %d", len(tags), hop.MaxTags, len(ownTags))
	}
	return tags, nil
}

func hasTag(tags []hop.Tag, key string) bool {
	return slices.ContainsFunc(tags, func(t hop.Tag) bool { return strings.EqualFold(t.Key, key) })
}

func (r *reader) transitiveTagKeys(custom []hop.Tag) []string {
	keys := r.lines("transitive-tag-keys")
	for i, key := range keys {
		if !reserved(key) && !hasTag(custom, key) {
			r.problem("transitive-tag-keys", "%s is neither among custom-tags nor a tag of this action", quote(key))
		}
		if slices.ContainsFunc(keys[:i], func(k string) bool { return strings.EqualFold(k, key) }) {
			r.problem("transitive-tag-keys", "%s stands in it twice", quote(key))
		}
	}
	return keys
}

func (r *reader) sessionPolicy() string {
	value := r.get("inline-session-policy")
	if value == "" {
		return ""
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(value)); err != nil || compact.Bytes()[0] != '{' {
		r.problem("inline-session-policy", "%s is not a JSON object", quote(value))
		return ""
	}
	if n := utf8.RuneCount(compact.Bytes()); n > hop.MaxPolicy {
		r.problem("inline-session-policy", "%s has %d characters without white space; AWS takes %d", quote(value), n, hop.MaxPolicy)
	}
	if !policyRunes().Match(compact.Bytes()) {
		r.problem("inline-session-policy", "%s has a character that AWS does not take (allowed: U+0020 to U+00FF)", quote(value))
	}
	return compact.String()
}

func (r *reader) policyARNs(spokes []spoke) []string {
	arns := r.lines("managed-session-policies")
	for _, arn := range arns {
		if !hop.PolicyARN.Holds(arn) {
			r.problem("managed-session-policies", "%s is not %s", quote(arn), hop.PolicyARN.Words)
			continue
		}
		fields := strings.Split(arn, ":")
		partition, account := fields[1], fields[4]
		for _, s := range spokes {
			if role := s.role; role.Partition != "" && (partition != role.Partition || account != "aws" && account != role.AccountID) {
				r.problem("managed-session-policies", "%s is neither one of AWS's policies nor in the spoke's account %s", quote(arn), role.AccountID)
				break
			}
		}
	}
	if len(arns) > hop.MaxPolicyARNs {
		r.problem("managed-session-policies", "names %d policies; AWS takes %d", len(arns), hop.MaxPolicyARNs)
	}
	return arns
}

// accountIDs gives the accounts that the inputs name. It compares the spokes' with those allowed
// before anything is asked; the hop compares them again with the account in AWS's answer.
func (r *reader) accountIDs(in inputs) []string {
	named := []string{in.hub.AccountID}
	for _, spoke := range in.spokes {
		named = append(named, spoke.role.AccountID)
	}
	allowed := strings.FieldsFunc(r.get("allowed-account-ids"), func(c rune) bool { return c == ',' || unicode.IsSpace(c) })
	var ids []string
	for _, id := range append(named, allowed...) {
		if accountID.Holds(id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range allowed {
		if !accountID.Holds(id) {
			r.problem("allowed-account-ids", "%s is not an account id of 12 digits", quote(id))
		}
	}
	for _, spoke := range in.spokes {
		if role := spoke.role; len(allowed) > 0 && role.AccountID != "" && !slices.Contains(allowed, role.AccountID) {
			r.problem(in.rolesInput(), "%q is in account %s, which is not among allowed-account-ids (%s)", role.String(), role.AccountID, clip(strings.Join(allowed, ", ")))
		}
	}
	return ids
}
