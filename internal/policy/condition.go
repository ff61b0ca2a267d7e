package policy

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// comparison is how an operator compares one value of the document with one of the request. All of it is from "IAM
// JSON policy elements: Condition operators" in the IAM User Guide.
type comparison struct {
	match     func(want glob, got string) bool
	negated   bool
	variables bool              // policy variables are replaced in the document's values
	valid     func(string) bool // validates the document's values; nil: any
	form      string
}

var comparisons = map[string]comparison{
	"StringEquals":              {match: equal, variables: true},
	"StringNotEquals":           {match: equal, variables: true, negated: true},
	"StringEqualsIgnoreCase":    {match: equalFold, variables: true},
	"StringNotEqualsIgnoreCase": {match: equalFold, variables: true, negated: true},
	"StringLike":                {match: glob.match, variables: true},
	"StringNotLike":             {match: glob.match, variables: true, negated: true},
	// "ArnEquals and ArnLike behave identically": wildcards work in both.
	"ArnEquals":    {match: glob.matchARN, variables: true},
	"ArnLike":      {match: glob.matchARN, variables: true},
	"ArnNotEquals": {match: glob.matchARN, variables: true, negated: true},
	"ArnNotLike":   {match: glob.matchARN, variables: true, negated: true},

	"Bool":         {match: equal, variables: true, valid: isBool, form: "true or false"},
	"BinaryEquals": {match: equalBinary, valid: isBinary, form: "base64"},
	"IpAddress":    {match: inPrefix, valid: isPrefix, form: "an IP address or CIDR block"},
	"NotIpAddress": {match: inPrefix, valid: isPrefix, form: "an IP address or CIDR block", negated: true},

	"NumericEquals":            numeric(false, func(c int) bool { return c == 0 }),
	"NumericNotEquals":         numeric(true, func(c int) bool { return c == 0 }),
	"NumericLessThan":          numeric(false, func(c int) bool { return c < 0 }),
	"NumericLessThanEquals":    numeric(false, func(c int) bool { return c <= 0 }),
	"NumericGreaterThan":       numeric(false, func(c int) bool { return c > 0 }),
	"NumericGreaterThanEquals": numeric(false, func(c int) bool { return c >= 0 }),

	"DateEquals":            date(false, func(c int) bool { return c == 0 }),
	"DateNotEquals":         date(true, func(c int) bool { return c == 0 }),
	"DateLessThan":          date(false, func(c int) bool { return c < 0 }),
	"DateLessThanEquals":    date(false, func(c int) bool { return c <= 0 }),
	"DateGreaterThan":       date(false, func(c int) bool { return c > 0 }),
	"DateGreaterThanEquals": date(false, func(c int) bool { return c >= 0 }),

	// Null checks only the key; Condition.met handles it.
	"Null": {valid: isNull, form: "true or false"},
}

// quantifier is how an operator treats a key with several values.
type quantifier string

const (
	plain  quantifier = ""
	forAny quantifier = "ForAnyValue:"
	forAll quantifier = "ForAllValues:"
)

type operator struct {
	comparison
	quantifier quantifier
	null       bool
	ifExists   bool
}

// parseOperator parses the name of an operator, which is case-sensitive here as in the grammar. Null takes no
// IfExists, according to its documentation. It takes no quantifier, because it does not check values.
func parseOperator(name string) (operator, bool) {
	var o operator
	for _, q := range []quantifier{forAny, forAll} {
		if rest, ok := strings.CutPrefix(name, string(q)); ok {
			o.quantifier, name = q, rest
			break
		}
	}
	name, o.ifExists = strings.CutSuffix(name, "IfExists")
	o.null = name == "Null"
	c, known := comparisons[name]
	o.comparison = c
	return o, known && !(o.null && (o.ifExists || o.quantifier != plain))
}

// met reports whether a request meets the condition, and returns the document's values as they were compared.
func (c Condition) met(ctx Context, variables bool) (ok bool, want []string) {
	o, known := parseOperator(c.Operator.Text)
	var patterns []glob
	resolved := true
	for _, v := range c.Values {
		p, ok := compile(v.Text, ctx, variables && o.variables)
		want = append(want, p.String())
		if ok {
			patterns = append(patterns, p)
		}
		resolved = resolved && ok
	}
	if !known {
		return false, want
	}
	got, present := ctx.Values(c.Key.Text)
	if o.null {
		return slices.Contains(want, strconv.FormatBool(!present)), want
	}
	if !present && o.ifExists {
		return true, want
	}
	if o.quantifier != plain {
		// "If the key values resolve to an empty data set (for example, an empty string)", ForAllValues is
		// true and ForAnyValue false: "Creating a condition that tests multiple key values".
		got = slices.DeleteFunc(slices.Clone(got), func(v string) bool { return v == "" })
		if len(got) == 0 {
			return o.quantifier == forAll, want
		}
	}
	if !present {
		// A negated operator is true for an absent key, any other is false.
		return o.negated, want
	}
	// "Any attempt to match" a variable that the request lacks "fails and causes the statement to be invalid"
	// ("IAM policy elements: Variables and tags"), so a negated operator does not turn it into a match. Another
	// value of the same key that does resolve can still match.
	if !resolved && o.negated {
		return false, want
	}
	holds := func(v string) bool {
		return slices.ContainsFunc(patterns, func(p glob) bool { return o.match(p, v) }) != o.negated
	}
	// Without a quantifier, one match among several values suffices. A negated operator requires that none match.
	if o.quantifier == forAny || o.quantifier == plain && !o.negated {
		return slices.ContainsFunc(got, holds), want
	}
	return !slices.ContainsFunc(got, func(v string) bool { return !holds(v) }), want
}

func equal(want glob, got string) bool     { return want.String() == got }
func equalFold(want glob, got string) bool { return strings.EqualFold(want.String(), got) }

// isBool accepts a policy variable, which Bool may have and Null may not.
func isBool(s string) bool { return isNull(s) || strings.Contains(s, "${") }
func isNull(s string) bool { return s == "true" || s == "false" }

// equalBinary compares the request's bytes with the document's base64.
func equalBinary(want glob, got string) bool {
	b, err := base64.StdEncoding.DecodeString(want.String())
	return err == nil && string(b) == got
}

func isBinary(s string) bool {
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}

func inPrefix(want glob, got string) bool {
	prefix, ok := parsePrefix(want.String())
	address, err := netip.ParseAddr(got)
	return ok && err == nil && prefix.Contains(address.Unmap())
}

func isPrefix(s string) bool {
	_, ok := parsePrefix(s)
	return ok
}

// parsePrefix parses a CIDR block or one address. For IPv4, "IAM uses the default prefix value of /32"; for IPv6,
// parsePrefix uses the whole address too.
func parsePrefix(s string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		return prefix, true
	}
	address, err := netip.ParseAddr(s)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(address, address.BitLen()), true
}

func numeric(negated bool, hold func(int) bool) comparison {
	return comparison{negated: negated, form: "a number", match: func(want glob, got string) bool {
		w, wok := parseNumber(want.String())
		g, gok := parseNumber(got)
		return wok && gok && hold(g.Cmp(w))
	}, valid: func(s string) bool {
		_, ok := parseNumber(s)
		return ok
	}}
}

// parseNumber parses "an integer or decimal value" exactly: ids of 16 digits and more do not fit a float. It
// limits the length and rejects exponents, to limit the time that a comparison takes.
func parseNumber(s string) (*big.Rat, bool) {
	if len(s) > 64 || strings.Trim(s, "-.0123456789") != "" || strings.ContainsAny(s, "eE/_") {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

func date(negated bool, hold func(int) bool) comparison {
	const form = "a date (ISO 8601, or seconds since 1970)"
	return comparison{negated: negated, form: form, match: func(want glob, got string) bool {
		w, wok := parseDate(want.String())
		g, gok := parseDate(got)
		return wok && gok && hold(g.Compare(w))
	}, valid: func(s string) bool {
		_, ok := parseDate(s)
		return ok
	}}
}

// parseDate parses the W3C's forms of ISO 8601, or seconds since 1970. Four digits alone are a year.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly, "2006-01", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(seconds, 0), err == nil
}
