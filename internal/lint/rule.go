package lint

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Rule is one check of policy documents. Each rule is registered in the file that declares it, and reports
// through the pass that its Check receives, so that its name is written once.
type Rule struct {
	Name     string   // in kebab case
	Old      string   // former name, still accepted; empty for most
	Severity Severity // of its findings, unless a finding has its own
	Why      string   // one sentence
	Fix      string   // what to do, unless a finding has its own; empty where it depends on the document alone
	Doc      string   // URL of the documentation that the rule rests on

	Check func(*pass) // reports what the rule finds in one document
}

// rules are all rules, in no order.
var rules []*Rule

func register(r Rule) *Rule {
	rules = append(rules, &r)
	return &r
}

// Rules returns all rules, sorted by name.
func Rules() []*Rule {
	return slices.SortedFunc(slices.Values(rules), func(a, b *Rule) int { return cmp.Compare(a.Name, b.Name) })
}

// Explain returns the rule with a name, which may be a former one.
func Explain(name string) (rule *Rule, found bool) {
	i := slices.IndexFunc(rules, func(r *Rule) bool { return name != "" && (r.Name == name || r.Old == name) })
	if i < 0 {
		return nil, false
	}
	return rules[i], true
}

// WriteRules writes rules for a person.
func WriteRules(w io.Writer, listed ...*Rule) error {
	var b strings.Builder
	for i, r := range listed {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s (%s)\n    %s\n", r.Name, r.Severity, r.Why)
		if r.Fix != "" {
			fmt.Fprintf(&b, "    fix: %s\n", r.Fix)
		}
		if r.Old != "" {
			fmt.Fprintf(&b, "    formerly: %s\n", r.Old)
		}
		fmt.Fprintf(&b, "    see: %s\n", r.Doc)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Pages of the documentation that several rules rest on.
const (
	iamGuide   = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
	operators  = iamGuide + "reference_policies_elements_condition_operators.html"
	principals = iamGuide + "reference_policies_elements_principal.html"
	grammar    = iamGuide + "reference_policies_grammar.html"
	oidcRole   = iamGuide + "id_roles_create_for-idp_oidc.html"
	stsKeys    = iamGuide + "reference_policies_iam-condition-keys.html"
	stsActions = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html"
	githubOIDC = "https://docs.github.com/en/actions/reference/security/oidc"
)

// Fixes of several rules.
const (
	nameHubRole   = `name the hub role: "AWS": "arn:aws:iam::ACCOUNT:role/NAME"`
	exactSubjects = "list the exact subjects under StringEquals, for example " +
		"repo:OWNER@OWNER-ID/REPO@REPO-ID:environment:NAME; `hubspoke-chain policy hub-trust` writes them"
)
