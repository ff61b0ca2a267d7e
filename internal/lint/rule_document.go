package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

var _ = register(Rule{
	Name:     "duplicate-sid",
	Severity: Error,
	Why:      "IAM rejects a document in which two statements have the same Sid.",
	Fix:      "give each statement a unique Sid, or none",
	Doc:      iamGuide + "reference_policies_elements_sid.html",
	Check: func(p *pass) {
		seen := map[string]policy.Position{}
		for _, s := range p.Statements {
			id := s.SID
			if id.Text == "" {
				continue
			}
			if first, found := seen[id.Text]; found {
				p.reportf(id.Position, "the Sid %s is also used in line %d; IAM rejects the document",
					quote(id.Text), p.at(first).Line)
				continue
			}
			seen[id.Text] = id.Position
		}
	},
})

var _ = register(Rule{
	Name:     "size-limit",
	Severity: Error,
	Why:      "AWS rejects a document that exceeds its quota.",
	Fix:      "remove statements or values, or split the document across several roles or policies",
	Doc:      iamGuide + "reference_iam-quotas.html",
	Check: func(p *pass) {
		limit := sizes[p.kind]
		switch {
		case limit.raised > 0 && p.size > limit.raised:
			p.reportf(p.first(), "the document has %d characters; the quota is %d for %s, and at most %d when raised",
				p.size, limit.quota, limit.what, limit.raised)
		case limit.raised > 0 && p.size > limit.quota:
			p.reportf(p.first(),
				"the document has %d characters; the quota is %d for %s, unless it was raised (to %d at most)",
				p.size, limit.quota, limit.what, limit.raised)
		case p.size > limit.quota:
			p.reportf(p.first(), "the document has %d characters; the quota is %d for %s",
				p.size, limit.quota, limit.what)
		case p.size*10 >= limit.quota*9:
			p.report(p.first(), finding{severity: Note,
				message: fmt.Sprintf("the document has %d characters, %d less than the quota of %d for %s",
					p.size, limit.quota-p.size, limit.quota, limit.what)})
		}
	},
})

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

var _ = register(Rule{
	Name:     "version",
	Severity: Error,
	Why:      "Policy variables are replaced only in Version 2012-10-17; without a Version, IAM uses 2008-10-17.",
	Fix:      "write \"Version\": \"2012-10-17\"",
	Doc:      iamGuide + "reference_policies_elements_version.html",
	Check: func(p *pass) {
		if p.variables() {
			return
		}
		message := "the document has no Version, which means 2008-10-17"
		if p.Version.Text != "" {
			message = "the document has Version 2008-10-17"
		}
		for _, s := range p.Statements {
			values := slices.Clone(s.Resources)
			for _, c := range s.Conditions {
				values = append(values, c.Values...)
			}
			for _, v := range append(values, s.NotResources...) {
				if i := strings.Index(v.Text, "${"); i >= 0 && strings.Contains(v.Text[i:], "}") {
					p.reportf(v.Position, "%s; %s is then plain text, not a variable", message, quote(v.Text))
					return
				}
			}
		}
		p.report(p.first(), finding{severity: Note, message: message})
	},
})

// maxChained is the longest session that STS creates from another session (AssumeRole, AWS STS API Reference).
const maxChained = 3600 // seconds

var _ = register(Rule{
	Name:     "max-session-duration",
	Severity: Note,
	Why:      "A session created from another session expires after one hour, whatever the role's maximum.",
	Fix: "for longer jobs, repeat the step; the maximum applies only to callers that assume the role without " +
		"a hub",
	Doc: "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html",
	Check: func(p *pass) {
		spoke := slices.ContainsFunc(p.Statements,
			func(s policy.Statement) bool { return allows(s, assumeRole) && signed(s) })
		if p.kind == Trust && spoke && p.role.maxSession > maxChained {
			p.reportInFile(p.role.place, finding{message: fmt.Sprintf(
				"the role allows sessions of %d seconds, but a session created from the hub's session expires after %d",
				p.role.maxSession, maxChained)})
		}
	},
})
