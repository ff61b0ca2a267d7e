package lab

import (
	"regexp"

	"github.com/org/hubspoke-chain/internal/chain"
)

// Tags are those of package chain, because conditions use them.
type (
	tag  = chain.Tag
	tags = chain.Tags
)

var (
	tagKey   = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$`) // STS API reference, Tag
	tagValue = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// object returns the tags as CloudTrail writes those that are not sent as a list.
func object(t tags) map[string]string {
	m := map[string]string{}
	for _, x := range t {
		m[x.Key] = x.Value
	}
	return m
}
