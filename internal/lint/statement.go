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

// isGitHub tells whether an issuer is one of GitHub's: github.com, an enterprise's path below it, data
// residency, or a GitHub Enterprise Server (GitHub Docs, "OpenID Connect reference").
func isGitHub(issuer string) bool {
	return shared(issuer) || chain.CarriesClaims(issuer) || strings.HasSuffix(issuer, ghesEnd) ||
		strings.HasPrefix(issuer, "token.actions.") && strings.Contains(issuer, ".ghe.com/")
}

// shared tells whether all of github.com, or one enterprise of it, has the issuer.
func shared(issuer string) bool { return issuer == github || strings.HasPrefix(issuer, github+"/") }

// names tells whether a statement's actions include one, whatever else the statement says.
func names(s policy.Statement, action string) bool {
	probe := policy.Document{Statements: []policy.Statement{{
		Effect: policy.Allow, Actions: s.Actions, NotActions: s.NotActions, Resources: []policy.Value{{Text: "*"}},
	}}}
	return probe.Decide(policy.Identity, policy.Request{Action: action, Resource: "arn:aws:iam::111111111111:role/x"}).Effect == policy.Allow
}

// allows is names, for a statement that allows.
func allows(s policy.Statement, action string) bool {
	return s.Effect == policy.Allow && names(s, action)
}

// issuers are those of the OIDC providers that a statement trusts.
func issuers(s policy.Statement) []string {
	var found []string
	for _, p := range s.Principals {
		if _, issuer, ok := strings.Cut(p.Text, ":oidc-provider/"); ok && p.Type.Text == "Federated" {
			found = append(found, issuer)
		}
	}
	return found
}

// everyone tells whether a principal is all of AWS.
func everyone(p policy.Principal) bool {
	return p.Text == "*" && (p.Type.Text == "*" || p.Type.Text == "AWS")
}

// signed tells whether a statement of a trust policy has a principal that signs its calls: a role or an
// account, not a service.
func signed(s policy.Statement) bool {
	return slices.ContainsFunc(s.Principals, func(p policy.Principal) bool { return p.Type.Text == "AWS" || p.Type.Text == "*" })
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

// positive tells whether the operator asks for one of its values.
func (o operator) positive() bool { return !o.negated() && !o.null() }

// wild tells whether * and ? are wildcards under the operator.
func (o operator) wild() bool {
	return strings.HasSuffix(o.base, "Like") || strings.HasPrefix(o.base, "Arn")
}

// known tells whether IAM has the condition's operator.
func known(c policy.Condition) bool {
	c.Key.Text, c.Values = "aws:x", nil
	return withCondition(c, "").Check(policy.Identity, "") == nil
}

// metWithout tells whether a request that lacks the condition's key meets it.
func metWithout(c policy.Condition) bool {
	r := policy.Request{Action: assumeRole, Resource: "arn:aws:iam::111111111111:role/x"}
	return withCondition(c, "2012-10-17").Decide(policy.Identity, r).Effect == policy.Allow
}

// withCondition is a document that allows everything under one condition.
func withCondition(c policy.Condition, version string) *policy.Document {
	everything := []policy.Value{{Text: "*"}}
	return &policy.Document{Version: policy.Value{Text: version}, Statements: []policy.Statement{{
		Effect: policy.Allow, Actions: everything, Resources: everything, Conditions: []policy.Condition{c},
	}}}
}

// hasKey tells whether the condition is on a key, whose case does not count.
func hasKey(c policy.Condition, key string) bool { return strings.EqualFold(c.Key.Text, key) }

// narrowed tells whether a statement asks for certain values of one of the keys. A key that ends in / stands
// for all that begin so.
func narrowed(s policy.Statement, keys ...string) bool {
	return slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool {
		o := parseOperator(c.Operator.Text)
		if !o.positive() || metWithout(c) || slices.ContainsFunc(c.Values, func(v policy.Value) bool { return strings.Trim(v.Text, "*?") == "" }) {
			return false
		}
		return slices.ContainsFunc(keys, func(key string) bool {
			return hasKey(c, key) || strings.HasSuffix(key, "/") && strings.HasPrefix(strings.ToLower(c.Key.Text), strings.ToLower(key))
		})
	})
}

// arnField is a field of an ARN, from 0; empty when there is none.
func arnField(arn string, i int) string {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) < 6 || fields[0] != "arn" {
		return ""
	}
	return fields[i]
}

func partition(arn string) string { return arnField(arn, 1) }
func account(arn string) string   { return arnField(arn, 4) }
