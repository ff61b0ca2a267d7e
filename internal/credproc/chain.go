package credproc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/plain"
)

// version of a chain's file.
const version = 1

// Chain says which hop to walk, and how. It holds no secret: the token is minted anew for each hop, with
// what the runner gives to the step that asks.
type Chain struct {
	Version int    `json:"version"` // 1
	Region  string `json:"region"`  // of the STS endpoint and of the signature
	Hub     string `json:"hub"`     // ARN of the role that trusts GitHub's OIDC provider
	Spoke   string `json:"spoke"`   // ARN of the role whose credentials are handed out; in one partition with Hub and Region

	SessionName     string `json:"sessionName"`     // of both sessions, 2 to 64 of [\w+=,.@-]
	Audience        string `json:"audience"`        // of the ID token, 1 to 255 printable ASCII characters
	DurationSeconds int    `json:"durationSeconds"` // of the spoke's session, 900 to 3600

	Tags              []hop.Tag `json:"tags,omitempty"`              // session tags, up to 50
	TransitiveTagKeys []string  `json:"transitiveTagKeys,omitempty"` // of the tags, those that later role chaining carries on
	SourceIdentity    string    `json:"sourceIdentity,omitempty"`    // 2 to 64 of [\w+=,.@-]; empty for none
	ExternalID        string    `json:"externalId,omitempty"`        // 2 to 1224 of [\w+=,.@:/-]; empty for none
	Policy            string    `json:"policy,omitempty"`            // inline session policy, a JSON object of up to 2048 characters; empty for none
	PolicyARNs        []string  `json:"policyArns,omitempty"`        // managed session policies, up to 10

	Endpoint string `json:"endpoint,omitempty"` // https://HOST[:PORT] in place of the region's STS endpoint, http on loopback; empty for the region's
	// Proxy is http[s]://[USER@]HOST[:PORT] without a password; empty for HTTPS_PROXY of the environment.
	Proxy   string `json:"proxy,omitempty"`
	NoProxy string `json:"noProxy,omitempty"` // hosts that are reached directly, as in NO_PROXY; empty for NO_PROXY of the environment
	// CABundle is the name of a PEM file in the chain's folder, of up to 1 MiB: authorities that are believed beside the
	// system's. Empty for none.
	CABundle string `json:"caBundle,omitempty"`

	MaxAttempts    int `json:"maxAttempts"`    // of one call of GitHub or AWS, 1 to 20
	TimeoutSeconds int `json:"timeoutSeconds"` // of the whole, 1 to 3600; what is over 55 counts as 55
}

// Limits of a chain; those of STS and IAM are hop's.
const (
	maxNoProxy  = 4096 // bytes
	maxAttempts = 20
	maxTimeout  = 3600    // the action's own limit
	maxShown    = 300     // bytes of a value in an error
	maxCABundle = 1 << 20 // bytes; all that a system believes has some 200 KiB
)

// maxCall bounds a call: the SDKs for Go end a process after a minute, without a word of why.
// Source: aws-sdk-go-v2/credentials v1.20.16, processcreds.DefaultTimeout.
const maxCall = 55 * time.Second

// readChain reads the chain's file, a regular one of at most 128 KiB that holds one JSON object and no field but
// those of Chain, and gives the SHA-256 of its bytes too, in hexadecimal. Its error names the field, its value and
// what is allowed.
func readChain(path string) (Chain, string, error) {
	data, err := readFile(path)
	if err != nil {
		return Chain{}, "", fmt.Errorf("reading the chain: %w", err)
	}
	var c Chain
	if err := decode(data, &c); err != nil {
		return Chain{}, "", fmt.Errorf("reading the chain %q: %w", path, err)
	}
	if c.Version != version {
		return Chain{}, "", fmt.Errorf("reading the chain %q: version: %d is not %d, the one that this program reads", path, c.Version, version)
	}
	if err := c.Check(); err != nil {
		return Chain{}, "", fmt.Errorf("reading the chain %q: %w", path, err)
	}
	digest := sha256.Sum256(data)
	return c, hex.EncodeToString(digest[:]), nil
}

// decode reads one JSON value that has no field but those of what it is decoded into.
func decode(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("there is more than one JSON value in it")
	}
	return nil
}

// Write checks every field, sets Version, and writes the chain to a file that is not there yet,
// with mode 0600. When root writes it, it belongs to the owner of its directory.
func (c Chain) Write(path string) error {
	c.Version = version
	if err := c.Check(); err != nil {
		return fmt.Errorf("writing the chain: %w", err)
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the chain: %w", err)
	}
	data = append(data, '\n')
	if len(data) > maxFile {
		return fmt.Errorf("writing the chain: it is larger than %d bytes", maxFile)
	}
	if err := createFile(path, data); err != nil {
		return fmt.Errorf("writing the chain: %w", err)
	}
	return nil
}

// Check gives the first field that is not as it must be: its name, its value and what is allowed.
func (c Chain) Check() error {
	for _, check := range []func() error{c.checkRoles, c.checkTexts, c.checkNumbers, c.checkTags, c.checkPolicies, c.checkWays} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c Chain) checkRoles() error {
	partition, err := hop.RegionPartition(c.Region)
	if err != nil {
		return refused("region", c.Region, err)
	}
	for _, role := range []struct{ field, value string }{{"hub", c.Hub}, {"spoke", c.Spoke}} {
		arn, err := hop.ParseRoleARN(role.value)
		if err != nil {
			return refused(role.field, role.value, err)
		}
		if arn.Partition != partition {
			return fmt.Errorf("%s: %s is in partition %s, but region %s is in %s; hub, spoke and region must be in one partition", role.field, quote(role.value), arn.Partition, c.Region, partition)
		}
		if err := hop.CheckSpoke(arn); role.field == "spoke" && err != nil {
			return fmt.Errorf("spoke: %w", err)
		}
	}
	return nil
}

func (c Chain) checkTexts() error {
	for _, text := range []struct {
		field, value string
		form         hop.Form
		required     bool
	}{
		{"sessionName", c.SessionName, hop.SessionName, true},
		{"audience", c.Audience, hop.Audience, true},
		{"sourceIdentity", c.SourceIdentity, hop.SessionName, false},
		{"externalId", c.ExternalID, hop.ExternalID, false},
	} {
		if text.value == "" && !text.required {
			continue
		}
		if err := holds(text.form, text.field, text.value); err != nil {
			return err
		}
	}
	return nil
}

func holds(form hop.Form, field, value string) error {
	if !form.Holds(value) {
		return fmt.Errorf("%s: %s is not %s", field, quote(value), form.Words)
	}
	return nil
}

func (c Chain) checkNumbers() error {
	for _, number := range []struct {
		field            string
		value, low, high int
	}{
		{"durationSeconds", c.DurationSeconds, int(hop.MinDuration.Seconds()), int(hop.MaxDuration.Seconds())},
		{"maxAttempts", c.MaxAttempts, 1, maxAttempts},
		{"timeoutSeconds", c.TimeoutSeconds, 1, maxTimeout},
	} {
		if number.value < number.low || number.value > number.high {
			return fmt.Errorf("%s: %d is not from %d to %d", number.field, number.value, number.low, number.high)
		}
	}
	return nil
}

func (c Chain) checkTags() error {
	if len(c.Tags) > hop.MaxTags {
		return fmt.Errorf("tags: %d are more than the %d that AWS takes", len(c.Tags), hop.MaxTags)
	}
	for i, tag := range c.Tags {
		if err := hop.CheckTag(tag.Key, tag.Value); err != nil {
			return fmt.Errorf("tags: %w", err)
		}
		if slices.ContainsFunc(c.Tags[:i], func(t hop.Tag) bool { return strings.EqualFold(t.Key, tag.Key) }) {
			return fmt.Errorf("tags: %s stands in it twice (AWS compares tag keys without case)", quote(tag.Key))
		}
	}
	if len(c.TransitiveTagKeys) > hop.MaxTags {
		return fmt.Errorf("transitiveTagKeys: %d are more than the %d that AWS takes", len(c.TransitiveTagKeys), hop.MaxTags)
	}
	// One that is not among the tags is no error: a tag whose value is empty in this run is not sent.
	for _, key := range c.TransitiveTagKeys {
		if err := hop.CheckTag(key, ""); err != nil {
			return fmt.Errorf("transitiveTagKeys: %w", err)
		}
	}
	return nil
}

func (c Chain) checkPolicies() error {
	if c.Policy != "" {
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(c.Policy), &object) != nil || object == nil || utf8.RuneCountInString(c.Policy) > hop.MaxPolicy {
			return fmt.Errorf("policy: %s is not a JSON object of up to %d characters", quote(c.Policy), hop.MaxPolicy)
		}
	}
	if len(c.PolicyARNs) > hop.MaxPolicyARNs {
		return fmt.Errorf("policyArns: %d are more than the %d that AWS takes", len(c.PolicyARNs), hop.MaxPolicyARNs)
	}
	for _, arn := range c.PolicyARNs {
		if err := holds(hop.PolicyARN, "policyArns", arn); err != nil {
			return err
		}
	}
	return nil
}

// checkWays looks at how STS and GitHub are reached.
func (c Chain) checkWays() error {
	if c.Endpoint != "" {
		if _, err := hop.ParseEndpoint(c.Endpoint); err != nil {
			return refused("endpoint", c.Endpoint, err)
		}
	}
	if c.Proxy != "" {
		proxy, err := hop.ParseProxy(c.Proxy)
		if err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
		if _, has := proxy.User.Password(); has {
			return errors.New("proxy: it holds a password, which a file that stays must not; leave it empty for HTTPS_PROXY of the environment")
		}
	}
	if len(c.NoProxy) > maxNoProxy || strings.ContainsFunc(c.NoProxy, unicode.IsControl) {
		return fmt.Errorf("noProxy: %s is not a list of hosts of up to %d bytes", quote(c.NoProxy), maxNoProxy)
	}
	if c.CABundle != "" && (filepath.Base(c.CABundle) != c.CABundle || c.CABundle == "." || c.CABundle == "..") {
		return fmt.Errorf("caBundle: %s is not the name of a file in the chain's folder", quote(c.CABundle))
	}
	return nil
}

// refused is an error about a value that err quotes.
func refused(field, value string, err error) error {
	if len(value) > maxShown {
		return fmt.Errorf("%s: %s is not of the form that it must have", field, quote(value))
	}
	return fmt.Errorf("%s: %w", field, err)
}

// quote gives a value in quotes, at most maxShown bytes of it.
func quote(value string) string { return fmt.Sprintf("%q", plain.Shorten(value, maxShown)) }
