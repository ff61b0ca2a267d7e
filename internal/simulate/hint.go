package simulate

import (
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/pattern"
	"github.com/org/hubspoke-chain/internal/policy"
)

// subjectIDs are the IDs in an immutable subject.
var subjectIDs = pattern.Lazy(`@[0-9]+([/:])`)

// hint describes what is easily missed in a condition that is not met; usually empty.
func hint(m policy.Miss, r policy.Request) string {
	if !m.Present {
		return absent(m.Key, r)
	}
	any := func(same func(got, want string) bool) bool {
		return slices.ContainsFunc(m.Got, func(got string) bool {
			return slices.ContainsFunc(m.Want, func(want string) bool { return same(got, want) })
		})
	}
	wildcard := func(want string) bool { return strings.ContainsAny(want, "*?") }
	plain := func(s string) string { return subjectIDs().ReplaceAllString(s, "$1") }
	switch {
	case any(strings.EqualFold):
		return "they differ only in case"
	case strings.Contains(m.Operator, "StringEquals") && slices.ContainsFunc(m.Want, wildcard):
		return "StringEquals does not treat * and ? as wildcards"
	case any(func(got, want string) bool { return got == plain(got) && got == plain(want) }):
		return "the token's subject has the legacy form, without IDs; the policy expects the immutable form"
	case any(func(got, want string) bool { return want == plain(want) && plain(got) == want }):
		return "the token's subject has the immutable form, with IDs; the policy expects the legacy form"
	}
	return ""
}

// absent describes why a request does not have a key.
func absent(key string, r policy.Request) string {
	lower := strings.ToLower(key)
	i := strings.LastIndexByte(lower, ':')
	prefix, name := lower[:max(i, 0)], lower[i+1:]
	claim := prefix != "aws" && prefix != "sts" && prefix != "iam" && name != "sub" && name != "aud"
	switch {
	case lower == "sts:externalid" && r.Caller.Federated == "":
		return "the step sends none; to send one, use --role-external-id"
	case strings.HasPrefix(lower, "aws:requesttag/"), lower == "aws:tagkeys":
		return "the step sends no such tag"
	case lower == "aws:sourceaccount", lower == "aws:sourcearn", lower == "aws:sourceorgid":
		return "only AWS services send this key"
	case claim && r.Caller.Federated == "":
		return "of the token's claims, only sub, aud and amr are condition keys at the spoke"
	case claim && !chain.CarriesClaims(prefix):
		return "for this issuer, only sub, aud and amr are condition keys"
	case claim && !slices.Contains(chain.ClaimNames, name):
		return "this claim is not a condition key on AWS"
	case claim:
		return "the claim is not given; to set it, use --claim " + name + "=VALUE"
	case prefix == "aws" || prefix == "iam":
		return "if the request has this key on AWS, use --context " + key + "=VALUE"
	}
	return ""
}
