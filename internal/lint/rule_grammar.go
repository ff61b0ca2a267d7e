package lint

import (
	"errors"
	"slices"

	"github.com/org/hubspoke-chain/internal/policy"
)

var syntax = register(Rule{
	Name:     "syntax",
	Severity: Error,
	Why:      "The file is not JSON, or not a policy document.",
	Doc:      grammar,
	Check: func(p *pass) {
		if p.unreadable != nil {
			p.reportf(p.unreadable.Position, "%s", p.unreadable.Message)
		}
	},
})

var refused = register(Rule{
	Name:     "refused",
	Severity: Error,
	Why:      "IAM rejects a document that breaks its grammar.",
	Doc:      grammar,
	Check: func(p *pass) {
		for _, s := range p.Statements {
			var invalid *policy.CheckError
			if !errors.As(p.checkGrammar(s), &invalid) {
				continue
			}
			explained := slices.ContainsFunc(p.findings,
				func(f Finding) bool { return f.at == invalid.Position && f.Severity == Error })
			if !explained {
				p.reportf(invalid.Position, "IAM rejects the document: %s", invalid.Message)
			}
		}
	},
})

// kinds are the kinds as package policy has them.
var kinds = map[Kind]policy.Kind{
	Trust: policy.Trust, Permissions: policy.Identity, Managed: policy.Identity,
	Session: policy.Session, Boundary: policy.Boundary, SCP: policy.SCP,
}

// checkGrammar checks one statement, without what other rules report better: operators that IAM does not have,
// and a missing condition on the subject.
func (d *document) checkGrammar(s policy.Statement) error {
	s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(c policy.Condition) bool { return !known(c) })
	for _, issuer := range issuers(s) {
		s.Conditions = append(s.Conditions, policy.Condition{
			Operator: policy.Value{Text: "StringEquals"},
			Key:      policy.Value{Text: issuer + ":sub"},
			Values:   []policy.Value{{Text: "x"}},
		})
	}
	role := d.role.arn
	if role == "" {
		role = "arn:" + d.partition() + ":iam::111111111111:role/x"
	}
	alone := policy.Document{Version: d.Version, Statements: []policy.Statement{s}}
	return alone.Check(kinds[d.kind], role)
}

var _ = register(Rule{
	Name:     "unknown-operator",
	Severity: Error,
	Why:      "IAM rejects unknown condition operators; their names are case-sensitive.",
	Fix:      "use an operator from the IAM User Guide, for example StringEquals or StringLike",
	Doc:      operators,
	Check: func(p *pass) {
		for _, s := range p.Statements {
			for _, c := range s.Conditions {
				if !known(c) {
					p.reportf(c.Operator.Position, "IAM has no condition operator %s", quote(c.Operator.Text))
				}
			}
		}
	},
})
