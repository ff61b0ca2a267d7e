package hop

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/pattern"
	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/transport"
)

// Plan is everything that decides which requests a hop sends. It holds no secret, so it may be written to a file: the
// token is requested anew for each hop.
type Plan struct {
	Region          string `json:"region"`          // of the STS endpoint and of the signature
	Hub             ARN    `json:"hub"`             // the role that trusts GitHub's OIDC provider
	Spokes          []ARN  `json:"spokes"`          // the roles to assume from the hub, 1 to 500, in the partition of Hub and Region
	SessionName     string `json:"sessionName"`     // of every session, 2 to 64 of [\w+=,.@-]
	Audience        string `json:"audience"`        // of the ID token, 1 to 255 printable ASCII characters
	DurationSeconds int    `json:"durationSeconds"` // of the spokes' sessions, 900 to 3600

	Tags              []Tag    `json:"tags,omitempty"`              // session tags of the spokes, up to 50
	TransitiveTagKeys []string `json:"transitiveTagKeys,omitempty"` // of the tags, those that later role chaining passes on
	SourceIdentity    string   `json:"sourceIdentity,omitempty"`    // 2 to 64 of [\w+=,.@-]; empty for none
	ExternalID        string   `json:"externalId,omitempty"`        // 2 to 1224 of [\w+=,.@:/-]; empty for none
	Policy            string   `json:"policy,omitempty"`            // inline session policy, a JSON object of up to 2048 characters; empty for none
	PolicyARNs        []string `json:"policyArns,omitempty"`        // managed session policies, up to 10

	Endpoint string `json:"endpoint,omitempty"` // https://HOST[:PORT], or http on loopback, instead of the region's STS endpoint
	// Proxy is http[s]://[USER@]HOST[:PORT] without a password; empty for HTTPS_PROXY of the environment.
	Proxy   string `json:"proxy,omitempty"`
	NoProxy string `json:"noProxy,omitempty"` // hosts that are reached directly, as in NO_PROXY; empty for NO_PROXY of the environment
	// CABundle is the name of a PEM file, of up to 1 MiB, in the folder of the plan's file: extra certificate authorities
	// to trust. Empty for none.
	CABundle string `json:"caBundle,omitempty"`

	MaxAttempts    int `json:"maxAttempts"`    // of one call of GitHub or AWS, 1 to 20
	TimeoutSeconds int `json:"timeoutSeconds"` // of the whole hop, 1 to 3600
}

// Tag is a session tag. A droppable one is left out when AWS returns that the tags are too large.
type Tag struct {
	Key       string `json:"key"`                 // 1 to 128 characters
	Value     string `json:"value"`               // up to 256 characters
	Droppable bool   `json:"droppable,omitempty"` // false for one that must be sent
}

// Duration returns the lifetime of the spokes' sessions.
func (p Plan) Duration() time.Duration { return time.Duration(p.DurationSeconds) * time.Second }

// Timeout returns the time for the whole hop.
func (p Plan) Timeout() time.Duration { return time.Duration(p.TimeoutSeconds) * time.Second }

// Problem is an invalid field of a Plan.
type Problem struct {
	Field   string // the name of the field in JSON
	Text    string // the value and what is allowed
	Missing bool   // the field is required and empty
}

// Error returns the field, the value and what is allowed.
func (p Problem) Error() string { return p.Field + ": " + p.Text }

// Validate returns every invalid field; nothing for a plan that can be run.
func (p Plan) Validate() []Problem {
	var v validator
	v.roles(p)
	v.text("sessionName", p.SessionName, SessionName, true)
	v.text("audience", p.Audience, Audience, true)
	v.number("durationSeconds", p.DurationSeconds, int(MinDuration.Seconds()), int(MaxDuration.Seconds()))
	v.tags(p)
	v.text("sourceIdentity", p.SourceIdentity, SessionName, false)
	v.text("externalId", p.ExternalID, ExternalID, false)
	v.policies(p)
	v.network(p)
	v.number("maxAttempts", p.MaxAttempts, 1, MaxAttempts)
	v.number("timeoutSeconds", p.TimeoutSeconds, 1, int(MaxTimeout.Seconds()))
	return v.problems
}

type validator struct{ problems []Problem }

func (v *validator) problem(field, format string, args ...any) {
	v.problems = append(v.problems, Problem{Field: field, Text: fmt.Sprintf(format, args...)})
}

func (v *validator) missing(field, allowed string) {
	v.problems = append(v.problems, Problem{Field: field, Text: "is required: " + allowed, Missing: true})
}

// parsed reports an error of parsing the value, which quotes it unless it is too long.
func (v *validator) parsed(field, value string, err error) {
	switch {
	case err == nil:
	case len(value) > plain.MaxQuoted:
		v.problem(field, "%s is not valid", plain.Quote(value))
	default:
		v.problem(field, "%s", err)
	}
}

func (v *validator) text(field, value string, p pattern.Pattern, required bool) {
	switch {
	case value == "" && required:
		v.missing(field, p.Words)
	case value != "" && !p.Matches(value):
		v.problem(field, "%s is not %s", plain.Quote(value), p.Words)
	}
}

func (v *validator) number(field string, n, low, high int) {
	if n < low || n > high {
		v.problem(field, "%d is not from %d to %d", n, low, high)
	}
}

// roles checks that hub, spokes and region are in one partition: credentials do not cross partitions.
func (v *validator) roles(p Plan) {
	partition, err := RegionPartition(p.Region)
	if p.Region == "" {
		v.missing("region", "the name of an AWS region, for example us-east-1")
	} else {
		v.parsed("region", p.Region, err)
	}
	role := func(field string, role ARN) {
		switch {
		case role == ARN{}:
			v.missing(field, "the full ARN of an IAM role, arn:aws:iam::123456789012:role/NAME")
		case partition != "" && role.Partition != partition:
			v.problem(field, "%q is in partition %s, but region %s is in %s; hub, spoke and region must be in one partition", role, role.Partition, p.Region, partition)
		}
	}
	role("hub", p.Hub)
	for _, spoke := range p.Spokes[:min(len(p.Spokes), MaxSpokes)] {
		role("spokes", spoke)
		if n := len(HubPolicy([]ARN{spoke})); n > MaxPolicy { // a path may have 512 characters, of which some take four in a policy
			v.problem("spokes", "%q is too long: the session policy that names it has %d characters, and AWS allows %d; use a role with a shorter path", spoke, n, MaxPolicy)
		}
	}
	if n := len(p.Spokes); n == 0 {
		v.missing("spokes", "the full ARN of an IAM role, arn:aws:iam::123456789012:role/NAME")
	} else if n > MaxSpokes {
		v.problem("spokes", "%d are more than the %d that are allowed", n, MaxSpokes)
	}
}

func (v *validator) tags(p Plan) {
	if len(p.Tags) > MaxTags {
		v.problem("tags", "%d are more than the %d that AWS allows", len(p.Tags), MaxTags)
	}
	for i, tag := range p.Tags {
		if err := CheckTag(tag.Key, tag.Value); err != nil {
			v.problem("tags", "%s", err)
		} else if slices.ContainsFunc(p.Tags[:i], func(t Tag) bool { return strings.EqualFold(t.Key, tag.Key) }) {
			v.problem("tags", "duplicate key %s (AWS compares tag keys without case)", plain.Quote(tag.Key))
		}
	}
	if len(p.TransitiveTagKeys) > MaxTags {
		v.problem("transitiveTagKeys", "%d are more than the %d that AWS allows", len(p.TransitiveTagKeys), MaxTags)
	}
	// One that is not among the tags is no error: a tag without a value in this run is not sent.
	for i, key := range p.TransitiveTagKeys {
		if err := CheckTag(key, ""); err != nil {
			v.problem("transitiveTagKeys", "%s", err)
		} else if slices.ContainsFunc(p.TransitiveTagKeys[:i], func(k string) bool { return strings.EqualFold(k, key) }) {
			v.problem("transitiveTagKeys", "duplicate key %s (AWS compares tag keys without case)", plain.Quote(key))
		}
	}
}

// CheckTag returns what is wrong with a session tag, nil for a valid one.
func CheckTag(key, value string) error {
	const allowed = "letters, digits, spaces and _ . : / = + - @"
	switch n := utf8.RuneCountInString(key); {
	case n < 1 || n > MaxTagKey || strings.ContainsFunc(key, NotTagRune):
		return fmt.Errorf("the key %s is not 1 to %d %s", plain.Quote(key), MaxTagKey, allowed)
	case utf8.RuneCountInString(value) > MaxTagValue || strings.ContainsFunc(value, NotTagRune):
		return fmt.Errorf("the value %s of %s is not up to %d %s", plain.Quote(value), plain.Quote(key), MaxTagValue, allowed)
	case HasAWSPrefix(key) || HasAWSPrefix(value):
		return fmt.Errorf("%s begins with aws:, which AWS reserves", plain.Quote(key))
	}
	return nil
}

// HasAWSPrefix reports whether a tag's key or value begins with the prefix that AWS reserves, in any case.
func HasAWSPrefix(s string) bool { return len(s) >= 4 && strings.EqualFold(s[:4], "aws:") }

// NotTagRune reports whether AWS refuses the character in tags: all but [\p{L}\p{Z}\p{N}_.:/=+\-@] of the API model.
func NotTagRune(c rune) bool {
	return !unicode.In(c, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", c) || c == utf8.RuneError
}

func (v *validator) policies(p Plan) {
	var object map[string]json.RawMessage
	switch n := utf8.RuneCountInString(p.Policy); {
	case p.Policy == "":
	case json.Unmarshal([]byte(p.Policy), &object) != nil || object == nil:
		v.problem("policy", "%s is not a JSON object", plain.Quote(p.Policy))
	case n > MaxPolicy:
		v.problem("policy", "%s has %d characters without white space; AWS allows %d", plain.Quote(p.Policy), n, MaxPolicy)
	case !policyText.Matches(p.Policy):
		v.problem("policy", "%s has a character that AWS refuses (allowed: U+0020 to U+00FF)", plain.Quote(p.Policy))
	}
	if len(p.PolicyARNs) > MaxPolicyARNs {
		v.problem("policyArns", "%d are more than the %d that AWS allows", len(p.PolicyARNs), MaxPolicyARNs)
	}
	for _, arn := range p.PolicyARNs {
		if !PolicyARN.Matches(arn) {
			v.problem("policyArns", "%s is not %s", plain.Quote(arn), PolicyARN.Words)
			continue
		}
		fields := strings.Split(arn, ":")
		partition, account := fields[1], fields[4]
		foreign := func(role ARN) bool {
			return partition != role.Partition || account != "aws" && account != role.AccountID
		}
		if i := slices.IndexFunc(p.Spokes, foreign); i >= 0 && p.Spokes[i] != (ARN{}) {
			v.problem("policyArns", "%s is neither an AWS managed policy nor in the spoke's account %s", plain.Quote(arn), p.Spokes[i].AccountID)
		}
	}
}

// network checks how STS and GitHub are reached.
func (v *validator) network(p Plan) {
	if p.Endpoint != "" {
		endpoint, err := transport.ParseEndpoint(p.Endpoint)
		v.parsed("endpoint", p.Endpoint, err)
		if err == nil {
			v.endpointRegion(endpoint, p.Region)
		}
	}
	if p.Proxy != "" {
		proxy, err := transport.ParseProxy(p.Proxy)
		if err != nil {
			v.problem("proxy", "%s", err)
		} else if _, has := proxy.User.Password(); has {
			v.problem("proxy", "a plan must not hold a password; leave it empty for HTTPS_PROXY of the environment")
		}
	}
	if len(p.NoProxy) > maxNoProxy || strings.ContainsFunc(p.NoProxy, unicode.IsControl) {
		v.problem("noProxy", "%s is not a list of hosts of up to %d bytes", plain.Quote(p.NoProxy), maxNoProxy)
	}
	if p.CABundle != "" && (!filepath.IsLocal(p.CABundle) || filepath.Base(p.CABundle) != p.CABundle || p.CABundle == ".") {
		v.problem("caBundle", "%s is not the name of a file in the plan's folder", plain.Quote(p.CABundle))
	}
}

// endpointRegion checks an endpoint of AWS against the region of the signature: AWS reports another region as a wrong
// signature, and only at the second call.
func (v *validator) endpointRegion(endpoint *url.URL, region string) {
	labels := strings.Split(endpoint.Hostname(), ".")
	if region == "" || len(labels) < 3 || labels[0] != "sts" && labels[0] != "sts-fips" || labels[1] == region {
		return
	}
	if _, err := RegionPartition(labels[1]); err == nil {
		v.problem("endpoint", "%s is the endpoint of %s, but the region is %s", plain.Quote(endpoint.String()), labels[1], plain.Quote(region))
	}
}
