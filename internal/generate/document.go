// Package generate writes the IAM policies of a hub and its spokes: the hub's trust and permissions, and the trust
// of a spoke. It checks them with package policy before it returns them.
package generate

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// The shape of a document, in the order in which its elements are written.
type (
	document struct {
		Version   string
		Statement []statement
	}
	statement struct {
		SID       string `json:"Sid"`
		Effect    policy.Effect
		Principal map[string]string `json:",omitempty"`
		Action    any
		Resource  any        `json:",omitempty"`
		Condition *condition `json:",omitempty"`
	}
	condition struct {
		StringEquals map[string]any // written in the order of the keys
	}
)

// oneOrMore returns a list as people write it in a policy: a single value without brackets.
func oneOrMore(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	return values
}

// grouped collects the values of each name.
func grouped[T any](list []T, pair func(T) (name, value string)) map[string][]string {
	groups := map[string][]string{}
	for _, one := range list {
		name, value := pair(one)
		groups[name] = append(groups[name], value)
	}
	return groups
}

func tagPair(t chain.Tag) (key, value string) { return t.Key, t.Value }

// actions returns the actions of an AssumeRole call that sends tags and a source identity.
func actions(skipTags, skipSourceIdentity bool) []string {
	all := []string{"sts:AssumeRole"}
	if !skipTags {
		all = append(all, "sts:TagSession")
	}
	if !skipSourceIdentity {
		all = append(all, "sts:SetSourceIdentity")
	}
	return all
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// write encodes a document and checks it against IAM's rules. build returns the document with the first n of total
// things; an error for one that is too long reports how many would fit.
func write(kind policy.Kind, roleARN, things string, total int, build func(n int) document) ([]byte, error) {
	text, d, err := encode(build(total))
	if err != nil {
		return nil, err
	}
	limit := policy.MaxSize(kind)
	if size := d.Size(kind); size > limit {
		fit := total
		for fit > 0 {
			fit--
			if _, shorter, err := encode(build(fit)); err == nil && shorter.Size(kind) <= limit {
				break
			}
		}
		message := fmt.Sprintf("the %s has %d characters without white space, and IAM's limit is %d", kind, size, limit)
		if total > 0 {
			message += fmt.Sprintf(": %d of the %d %s fit", fit, total, things)
		}
		return nil, Problems{{Message: message}}
	}
	if err := d.Check(kind, roleARN); err != nil {
		return nil, err
	}
	return text, nil
}

// encode leaves <, > and & as they are, as other tools do.
func encode(d document) ([]byte, *policy.Document, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, nil, err
	}
	parsed, err := policy.Parse(b.Bytes())
	return b.Bytes(), parsed, err
}
