package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// sizes are the quotas of the kinds, in characters, and whether white space counts: "IAM and AWS STS quotas"
// (IAM User Guide), AssumeRole (AWS STS API Reference), "Quotas and service limits for AWS Organizations". An
// account may have its trust policies' quota raised.
var sizes = map[Kind]struct {
	quota, raised int
	spaces        bool
	what          string
}{
	Trust:       {2048, 4096, false, "a trust policy"},
	Permissions: {10240, 0, false, "all inline policies of a role together"},
	Managed:     {6144, 0, false, "a managed policy"},
	Session:     {2048, 0, true, "the session policies of a call together"},
	Boundary:    {6144, 0, false, "a permissions boundary"},
	SCP:         {10240, 0, true, "a service control policy"},
}

// kinds are the kinds as package policy has them.
var kinds = map[Kind]policy.Kind{
	Trust: policy.Trust, Permissions: policy.Identity, Managed: policy.Identity,
	Session: policy.Session, Boundary: policy.Boundary, SCP: policy.SCP,
}

// lint runs all rules that look at one document.
func (d *document) lint() {
	d.before = len(d.findings)
	d.lintSize()
	d.lintVersion()
	d.lintSids()
	d.lintPartitions()
	for _, s := range d.Statements {
		d.lintConditions(s)
		if d.kind == Trust {
			d.lintTrust(s)
		} else {
			d.lintPermissions(s)
		}
		d.lintGrammar(s)
	}
	if d.kind == Trust {
		d.lintLegacy()
		d.lintRole()
	}
}

// first is where the document begins to be one, for findings about all of it.
func (d *document) first() policy.Position {
	if len(d.Statements) > 0 && d.Version.Line == 0 {
		return d.Statements[0].Position
	}
	return d.Version.Position
}

func (d *document) lintSize() {
	limit := sizes[d.kind]
	switch {
	case limit.raised > 0 && d.size > limit.raised:
		d.add("size-limit", d.first(), finding{message: fmt.Sprintf("the document has %d characters; IAM takes %d in %s, and %d at most when the quota is raised",
			d.size, limit.quota, limit.what, limit.raised)})
	case d.size > limit.quota && limit.raised > 0:
		d.add("size-limit", d.first(), finding{message: fmt.Sprintf("the document has %d characters; IAM takes %d in %s unless the account's quota is raised, to %d at most",
			d.size, limit.quota, limit.what, limit.raised)})
	case d.size > limit.quota:
		d.add("size-limit", d.first(), finding{message: fmt.Sprintf("the document has %d characters; AWS takes %d in %s", d.size, limit.quota, limit.what)})
	case d.size*10 >= limit.quota*9:
		d.add("size-limit", d.first(), finding{severity: Note, message: fmt.Sprintf("the document has %d characters, which leaves %d of the %d that AWS takes in %s",
			d.size, limit.quota-d.size, limit.quota, limit.what)})
	}
}

func (d *document) lintVersion() {
	if d.Version.Text == "2012-10-17" {
		return
	}
	said := "the document has no Version, which is 2008-10-17 for IAM"
	if d.Version.Text != "" {
		said = "the document has Version 2008-10-17"
	}
	for _, s := range d.Statements {
		values := slices.Clone(s.Resources)
		for _, c := range s.Conditions {
			values = append(values, c.Values...)
		}
		for _, v := range append(values, s.NotResources...) {
			if i := strings.Index(v.Text, "${"); i >= 0 && strings.Contains(v.Text[i:], "}") {
				d.add("version", v.Position, finding{message: said + "; " + quote(v.Text) + " is then plain text, not a variable"})
				return
			}
		}
	}
	d.add("version", d.first(), finding{severity: Note, message: said})
}

func (d *document) lintSids() {
	seen := map[string]policy.Position{}
	for _, s := range d.Statements {
		id := s.SID
		if id.Text == "" {
			continue
		}
		if before, found := seen[id.Text]; found {
			d.add("duplicate-sid", id.Position, finding{message: fmt.Sprintf("the Sid %s is that of the statement in line %d as well; IAM refuses the document",
				quote(id.Text), d.at(before).Line)})
			continue
		}
		seen[id.Text] = id.Position
	}
}

// arns are the ARNs of the document whose partition is that of the role, or of what the role may do.
func (d *document) arns() []policy.Value {
	var arns []policy.Value
	for _, s := range d.Statements {
		for _, p := range s.Principals {
			arns = append(arns, p.Value)
		}
		arns = append(append(arns, s.Resources...), s.NotResources...)
	}
	return slices.DeleteFunc(arns, func(v policy.Value) bool {
		return partition(v.Text) == "" || strings.ContainsAny(partition(v.Text), "*?")
	})
}

// partition is the one that the document is for: the role's, else that of the first ARN.
func (d *document) partition() string {
	if p := partition(d.role.arn); p != "" {
		return p
	}
	if arns := d.arns(); len(arns) > 0 {
		return partition(arns[0].Text)
	}
	return "aws"
}

func (d *document) lintPartitions() {
	own := d.partition()
	for _, v := range d.arns() {
		if p := partition(v.Text); p != own {
			d.add("partition-mismatch", v.Position, finding{message: fmt.Sprintf("%s is of the partition %s, and %s",
				quote(v.Text), quote(p), d.whosePartition(own))})
		}
	}
	for _, s := range d.Statements {
		for _, issuer := range issuers(s) {
			for _, c := range s.Conditions {
				if !hasKey(c, issuer+":aud") || !isGitHub(issuer) {
					continue
				}
				for _, v := range c.Values {
					other := chain.DefaultAudience("aws-cn")
					if own == "aws-cn" {
						other = chain.DefaultAudience("aws")
					}
					if v.Text == other {
						d.add("partition-mismatch", v.Position, finding{severity: Warning, message: fmt.Sprintf(
							"the audience %s is not the one that tokens are minted for in the partition %s, which is %s unless the input audience says otherwise",
							quote(v.Text), own, quote(chain.DefaultAudience(own)))})
					}
				}
			}
		}
	}
}

func (d *document) whosePartition(own string) string {
	if d.role.arn != "" {
		return "the role " + quote(d.role.arn) + " of " + quote(own)
	}
	return "the document's first ARN of " + quote(own)
}

// lintGrammar holds a statement against IAM's grammar. What another rule says better is taken out before.
func (d *document) lintGrammar(s policy.Statement) {
	s.Conditions = slices.Clone(s.Conditions)
	for _, c := range s.Conditions {
		if !known(c) {
			d.add("unknown-operator", c.Operator.Position, finding{message: "IAM has no condition operator " + quote(c.Operator.Text)})
		}
	}
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c policy.Condition) bool { return !known(c) })
	for _, issuer := range issuers(s) {
		s.Conditions = append(s.Conditions, policy.Condition{ // subject-missing looks after it
			Operator: policy.Value{Text: "StringEquals"}, Key: policy.Value{Text: issuer + ":sub"}, Values: []policy.Value{{Text: "x"}},
		})
	}
	role := d.role.arn
	if role == "" {
		role = "arn:" + d.partition() + ":iam::111111111111:role/x"
	}
	alone := policy.Document{Version: d.Version, Statements: []policy.Statement{s}}
	var refused *policy.CheckError
	if !errors.As(alone.Check(kinds[d.kind], role), &refused) {
		return
	}
	said := slices.ContainsFunc(d.findings[d.before:], func(f Finding) bool { // an error at the same place says why
		at := d.at(refused.Position)
		return f.Line == at.Line && f.Column == at.Column && f.Severity == Error
	})
	if !said {
		d.add("refused", refused.Position, finding{message: "IAM refuses the document: " + refused.Message})
	}
}
