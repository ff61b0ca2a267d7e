package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// hint says what a person might not see at once in a condition that is not met; usually empty.
func hint(m policy.Miss, r policy.Request) string {
	if !m.Present {
		return absent(m.Key, r)
	}
	any := func(same func(got, want string) bool) bool {
		return slices.ContainsFunc(m.Got, func(got string) bool {
			return slices.ContainsFunc(m.Want, func(want string) bool { return same(got, want) })
		})
	}
	ids := regexp.MustCompile(`@[0-9]+([/:])`) // those of an immutable subject
	wildcard := func(want string) bool { return strings.ContainsAny(want, "*?") }
	plain := func(s string) string { return ids.ReplaceAllString(s, "$1") }
	switch {
	case any(strings.EqualFold):
		return "they differ in upper and lower case only"
	case strings.Contains(m.Operator, "StringEquals") && slices.ContainsFunc(m.Want, wildcard):
		return "* and ? are ordinary characters for StringEquals"
	case any(func(got, want string) bool { return got == plain(got) && got == plain(want) }):
		return "the token's subject is of the legacy form, without the ids, and the policy wants the immutable one"
	case any(func(got, want string) bool { return want == plain(want) && plain(got) == want }):
		return "the token's subject is of the immutable form, with the ids, and the policy wants the legacy one"
	}
	return ""
}

// absent says why a request does not have a key.
func absent(key string, r policy.Request) string {
	lower := strings.ToLower(key)
	i := strings.LastIndexByte(lower, ':')
	prefix, name := lower[:max(i, 0)], lower[i+1:]
	claim := prefix != "aws" && prefix != "sts" && prefix != "iam" && name != "sub" && name != "aud"
	switch {
	case lower == "sts:externalid" && r.Caller.Federated == "":
		return "the step sends none: --role-external-id"
	case strings.HasPrefix(lower, "aws:requesttag/"), lower == "aws:tagkeys":
		return "the step sends no such tag"
	case lower == "aws:sourceaccount", lower == "aws:sourcearn", lower == "aws:sourceorgid":
		return "only AWS's own services send this key"
	case claim && r.Caller.Federated == "":
		return "of a token's claims, sub, aud and amr alone are condition keys at the spoke"
	case claim && !policy.CarriesClaims(prefix):
		return "AWS makes condition keys of this issuer's sub, aud and amr only"
	case claim && !slices.Contains(policy.ClaimNames, name):
		return "AWS makes no condition key of this claim"
	case claim:
		return "the token's claim is not given: --claim " + name + "=VALUE"
	case prefix == "aws" || prefix == "iam":
		return "if the request has it on AWS: --context " + key + "=VALUE"
	}
	return ""
}
