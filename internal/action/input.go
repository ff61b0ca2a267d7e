package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/pattern"
	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/transport"
)

// Defaults of the inputs that are numbers, and limits of this package; those of a plan are hop's.
const (
	defaultDuration = 3600
	defaultAttempts = 5
	defaultTimeout  = 60
	maxCustomTags   = 64 << 10 // bytes
)

// inputs are the action's inputs, validated: the plan of the hop, and what becomes of its credentials.
type inputs struct {
	plan         hop.Plan // its tags are custom-tags, its proxy is that of http-proxy
	network      transport.Network
	destinations []destination // one for each spoke of the plan
	several      bool          // the spokes come from the input spokes

	askedDuration    int // seconds, before the cap
	skipTagging      bool
	skippedTags      bool     // custom-tags or transitive-tag-keys are set, and not sent
	accountIDs       []string // that the inputs name
	maskAccountID    bool
	exportEnv        bool
	exportOutputs    bool
	overwriteProfile bool
	autoRefresh      bool
	unsetCurrent     bool
	proxyPasswords   []string // the proxy's password, in each form in which it may be printed
	caBundle         string   // PEM text of the extra certificate authorities
}

// inputOf is the input that a field of the plan is read from. The input of the spokes is inputs.rolesInput.
var inputOf = map[string]string{
	"region": "aws-region", "hub": "hub-role-to-assume", "sessionName": "role-session-name", "audience": "audience",
	"durationSeconds": "role-duration-seconds", "tags": "custom-tags", "transitiveTagKeys": "transitive-tag-keys",
	"sourceIdentity": "source-identity", "externalId": "role-external-id", "policy": "inline-session-policy",
	"policyArns": "managed-session-policies", "endpoint": "sts-endpoint", "proxy": "http-proxy", "noProxy": "no-proxy",
	"maxAttempts": "retry-max-attempts", "timeoutSeconds": "action-timeout-s",
}

var (
	accountID = pattern.New(`^[0-9]+$`, 12, 12, "an account id of 12 digits")
	digits    = pattern.New(`^[0-9]+$`, 1, 20, "digits")
)

// reader collects every problem before any is reported, so that one run shows all of them.
type reader struct {
	get      func(name string) string // an input, trimmed
	getenv   func(string) string
	problems []string
	refused  map[string]bool // inputs that have a problem
}

func (r *reader) problem(name, format string, args ...any) {
	r.problems = append(r.problems, name+": "+fmt.Sprintf(format, args...))
	r.refused[name] = true
}

// parsed reports an error of parsing the value, which quotes it unless it is too long.
func (r *reader) parsed(name, value string, err error) {
	if err != nil {
		r.problem(name, "%s", showable(value, err))
	}
}

// showable returns the error, unless the value that it quotes is too long to show.
func showable(value string, err error) error {
	if len(value) > plain.MaxQuoted {
		return fmt.Errorf("%s is not valid", plain.Quote(value))
	}
	return err
}

// readInputs reads and validates every input. With problems, one line each, the inputs must not be used.
func readInputs(get, getenv func(string) string) (inputs, []string) {
	r := &reader{get: get, getenv: getenv, refused: map[string]bool{}}
	var in inputs
	p := &in.plan

	p.Region = r.get("aws-region")
	p.Hub = r.role("hub-role-to-assume")
	in.autoRefresh = r.boolean("auto-refresh", false)
	r.roles(&in)

	p.SessionName = r.sessionName()
	p.Audience = r.audience(p.Hub.Partition)
	in.askedDuration = r.number("role-duration-seconds", defaultDuration, "a number of seconds from 900 to 3600 (more is capped at 3600)")
	p.DurationSeconds = min(in.askedDuration, int(hop.MaxDuration.Seconds()))
	p.Tags = r.customTags()
	p.TransitiveTagKeys = r.transitiveTagKeys(p.Tags)
	p.SourceIdentity = r.get("source-identity")
	p.ExternalID = r.get("role-external-id")
	p.Policy = compact(r.get("inline-session-policy"))
	p.PolicyARNs = r.lines("managed-session-policies")
	p.MaxAttempts = r.number("retry-max-attempts", defaultAttempts, "a number from 1 to 20")
	p.TimeoutSeconds = r.number("action-timeout-s", defaultTimeout, "a number of seconds from 1 to 3600")
	r.reach(&in)
	r.validate(in)

	in.accountIDs = r.accountIDs(in)
	in.skipTagging = r.boolean("role-skip-session-tagging", false)
	if in.skipTagging {
		in.skippedTags = len(p.Tags)+len(p.TransitiveTagKeys) > 0
		p.Tags, p.TransitiveTagKeys = nil, nil
	}
	in.maskAccountID = r.boolean("mask-aws-account-id", false)
	r.delivery(&in)
	in.unsetCurrent = r.boolean("unset-current-credentials", false)
	return in, r.problems
}

// validate reports the problems of the plan under the names of the inputs. A field that is missing because its input
// was refused is reported once.
func (r *reader) validate(in inputs) {
	for _, problem := range in.plan.Validate() {
		name := inputOf[problem.Field]
		if problem.Field == "spokes" {
			name = in.rolesInput()
		}
		switch text := problem.Text; {
		case problem.Missing && r.refused[name]:
		case problem.Missing && name == "role-to-assume":
			r.problem(name, "%s", strings.Replace(text, "is required", "is required, unless spokes is set", 1))
		case problem.Missing && name == "role-session-name":
			r.problem(name, "has no default because GITHUB_RUN_ID is %s and GITHUB_RUN_ATTEMPT is %s; set it to %s",
				plain.Quote(r.getenv("GITHUB_RUN_ID")), plain.Quote(r.getenv("GITHUB_RUN_ATTEMPT")), hop.SessionName.Words)
		default:
			r.problem(name, "%s", text)
		}
	}
}

// or returns the value, or else that of one of the environment variables.
func (r *reader) or(value string, names ...string) string {
	if value == "" {
		_, value = transport.FromEnv(r.getenv, names...)
	}
	return value
}

func (r *reader) role(name string) hop.ARN {
	value := r.get(name)
	if value == "" {
		return hop.ARN{}
	}
	arn, err := hop.ParseRoleARN(value)
	r.parsed(name, value, err)
	return arn
}

func (r *reader) audience(partition string) string {
	switch value := r.get("audience"); {
	case value != "":
		return value
	case partition == "aws-cn":
		return "sts.amazonaws.com.cn"
	}
	return "sts.amazonaws.com"
}

func (r *reader) sessionName() string {
	if value := r.get("role-session-name"); value != "" {
		return value
	}
	run, attempt := r.getenv("GITHUB_RUN_ID"), r.getenv("GITHUB_RUN_ATTEMPT")
	if !digits.Matches(run) || !digits.Matches(attempt) {
		return ""
	}
	return "gh-" + run + "-" + attempt
}

// number reads a whole number without sign, fraction and leading zero. Its range is validated with the plan.
func (r *reader) number(name string, standard int, allowed string) int {
	value := r.get(name)
	if value == "" {
		return standard
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > math.MaxInt32 || strconv.Itoa(n) != value {
		r.problem(name, "%s is not %s", plain.Quote(value), allowed)
		return standard
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
	r.problem(name, "%s is neither true nor false", plain.Quote(value))
	return standard
}

// lines returns the lines of an input, trimmed: a tag key may hold spaces, and a policy's name a comma.
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
		r.problem("custom-tags", "%s: %s", plain.Quote(value), err)
	}
	return tags
}

// parseCustomTags parses a JSON object of strings in its order. Keys and values are validated with the plan.
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
		key := token.(string) // the decoder returns nothing else here
		token, err = decoder.Token()
		value, ok := token.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("the value of %s is not a string", plain.Quote(key))
		}
		if reserved(key) {
			return nil, fmt.Errorf("%s is set by this action and cannot be overridden", plain.Quote(key))
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
		return nil, fmt.Errorf("has %d tags; AWS allows %d in all, and this action sends up to %d", len(tags), hop.MaxTags, len(ownTags))
	}
	return tags, nil
}

func (r *reader) transitiveTagKeys(custom []hop.Tag) []string {
	keys := r.lines("transitive-tag-keys")
	for _, key := range keys {
		sent := func(t hop.Tag) bool { return strings.EqualFold(t.Key, key) }
		if !reserved(key) && !slices.ContainsFunc(custom, sent) {
			r.problem("transitive-tag-keys", "%s is neither among custom-tags nor a tag of this action", plain.Quote(key))
		}
	}
	return keys
}

// compact returns JSON without white space, which AWS counts, and anything else as it is.
func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}

// accountIDs returns the accounts that the inputs name. It checks the spokes' against those allowed before any request;
// the hop compares them again with the account in AWS's response.
func (r *reader) accountIDs(in inputs) []string {
	named := []string{in.plan.Hub.AccountID}
	for _, spoke := range in.plan.Spokes {
		named = append(named, spoke.AccountID)
	}
	allowed := strings.FieldsFunc(r.get("allowed-account-ids"), func(c rune) bool { return c == ',' || unicode.IsSpace(c) })
	var ids []string
	for _, id := range append(named, allowed...) {
		if accountID.Matches(id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range allowed {
		if !accountID.Matches(id) {
			r.problem("allowed-account-ids", "%s is not an account id of 12 digits", plain.Quote(id))
		}
	}
	for _, spoke := range in.plan.Spokes {
		if len(allowed) > 0 && spoke.AccountID != "" && !slices.Contains(allowed, spoke.AccountID) {
			r.problem(in.rolesInput(), "%q is in account %s, which is not among allowed-account-ids (%s)", spoke.String(), spoke.AccountID, shorten(strings.Join(allowed, ", ")))
		}
	}
	return ids
}
