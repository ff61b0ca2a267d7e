package lint

import (
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// The actions of a hop.
const (
	assumeRole        = "sts:AssumeRole"
	webIdentity       = "sts:AssumeRoleWithWebIdentity"
	tagSession        = "sts:TagSession"
	setSourceIdentity = "sts:SetSourceIdentity"
)

// GitHub's issuers, as IAM writes them.
const (
	github  = "token.actions.githubusercontent.com"
	ghesEnd = "/_services/token"
)

// isGitHub reports whether an issuer is one of GitHub's: github.com, an enterprise's path below it, data
// residency, or a GitHub Enterprise Server (GitHub Docs, "OpenID Connect reference").
func isGitHub(issuer string) bool {
	return shared(issuer) || chain.CarriesClaims(issuer) || strings.HasSuffix(issuer, ghesEnd) ||
		strings.HasPrefix(issuer, "token.actions.") && strings.Contains(issuer, ".ghe.com/")
}

// shared reports whether the issuer is that of github.com or of one of its enterprises.
func shared(issuer string) bool { return issuer == github || strings.HasPrefix(issuer, github+"/") }

// names reports whether a statement's actions include one, regardless of its effect and conditions.
func names(s policy.Statement, action string) bool {
	probe := policy.Document{Statements: []policy.Statement{{
		Effect: policy.Allow, Actions: s.Actions, NotActions: s.NotActions, Resources: []policy.Value{{Text: "*"}},
	}}}
	return probe.Decide(policy.Identity,
		policy.Request{Action: action, Resource: "arn:aws:iam::111111111111:role/x"}).Effect == policy.Allow
}

// allows reports whether a statement allows an action, regardless of its conditions.
func allows(s policy.Statement, action string) bool {
	return s.Effect == policy.Allow && names(s, action)
}

// provider returns the issuer of a principal that is an OIDC provider.
func provider(p policy.Principal) (issuer string, ok bool) {
	_, issuer, ok = strings.Cut(p.Text, ":oidc-provider/")
	return issuer, ok && p.Type.Text == "Federated"
}

// issuers returns the issuers of the OIDC providers that a statement trusts.
func issuers(s policy.Statement) []string {
	var found []string
	for _, p := range s.Principals {
		if issuer, ok := provider(p); ok {
			found = append(found, issuer)
		}
	}
	return found
}

// everyone reports whether a principal is all of AWS.
func everyone(p policy.Principal) bool {
	return p.Text == "*" && (p.Type.Text == "*" || p.Type.Text == "AWS")
}

// signed reports whether a statement of a trust policy has a principal that signs its calls: a role or an account,
// not a service.
func signed(s policy.Statement) bool {
	return slices.ContainsFunc(s.Principals,
		func(p policy.Principal) bool { return p.Type.Text == "AWS" || p.Type.Text == "*" })
}

// actionsAt returns where a statement's actions are.
func actionsAt(s policy.Statement) policy.Position {
	for _, v := range slices.Concat(s.Actions, s.NotActions) {
		return v.Position
	}
	return s.Position
}

// operator is the name of a condition operator in its parts.
type operator struct {
	quantifier string // ForAllValues:, ForAnyValue: or nothing
	base       string // StringEquals for example
	ifExists   bool
}

func parseOperator(name string) operator {
	var o operator
	for _, q := range []string{"ForAllValues:", "ForAnyValue:"} {
		if rest, ok := strings.CutPrefix(name, q); ok {
			o.quantifier, name = q, rest
			break
		}
	}
	o.base, o.ifExists = strings.CutSuffix(name, "IfExists")
	return o
}

func (o operator) negated() bool { return strings.Contains(o.base, "Not") }
func (o operator) null() bool    { return o.base == "Null" }

// positive reports whether the operator requires one of its values.
func (o operator) positive() bool { return !o.negated() && !o.null() }

// wild reports whether * and ? are wildcards under the operator.
func (o operator) wild() bool {
	return strings.HasSuffix(o.base, "Like") || strings.HasPrefix(o.base, "Arn")
}

// known reports whether IAM has the condition's operator.
func known(c policy.Condition) bool {
	c.Key.Text, c.Values = "aws:x", nil
	return withCondition(c, "").Check(policy.Identity, "") == nil
}

// metWithout reports whether a request that lacks the condition's key meets it.
func metWithout(c policy.Condition) bool {
	r := policy.Request{Action: assumeRole, Resource: "arn:aws:iam::111111111111:role/x"}
	return withCondition(c, "2012-10-17").Decide(policy.Identity, r).Effect == policy.Allow
}

// withCondition returns a document that allows everything under one condition.
func withCondition(c policy.Condition, version string) *policy.Document {
	everything := []policy.Value{{Text: "*"}}
	return &policy.Document{Version: policy.Value{Text: version}, Statements: []policy.Statement{{
		Effect: policy.Allow, Actions: everything, Resources: everything, Conditions: []policy.Condition{c},
	}}}
}

// hasKey reports whether the condition is on a key. Keys are case-insensitive.
func hasKey(c policy.Condition, key string) bool { return strings.EqualFold(c.Key.Text, key) }

// narrowed reports whether a statement requires certain values of one of the keys. A key that ends in / stands for
// all keys with that prefix.
func narrowed(s policy.Statement, keys ...string) bool {
	return slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool {
		o := parseOperator(c.Operator.Text)
		if !o.positive() || metWithout(c) ||
			slices.ContainsFunc(c.Values, func(v policy.Value) bool { return strings.Trim(v.Text, "*?") == "" }) {
			return false
		}
		return isOneOf(c.Key.Text, keys)
	})
}

// arnField returns a field of an ARN, from 0, or "" if there is none.
func arnField(arn string, i int) string {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) < 6 || fields[0] != "arn" {
		return ""
	}
	return fields[i]
}

func partition(arn string) string { return arnField(arn, 1) }
func account(arn string) string   { return arnField(arn, 4) }
