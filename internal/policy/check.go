package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/pattern"
)

// quotas are the sizes that AWS allows, in characters. IAM does not count white space ("IAM and AWS STS quotas",
// IAM User Guide). Organizations counts it, against a limit that was 5,120 until May 2026 ("Quotas and service
// limits for AWS Organizations"). STS counts it too ("the plaintext": AssumeRole, AWS STS API Reference). A trust
// policy's quota is the default, which an account may have raised to 4,096. A role's inline policies share their
// quota, and so do a session's policies: a document that passes here can still exceed the quota together with
// another.
var quotas = map[Kind]struct {
	characters int
	whole      bool // white space counts
	message    string
}{
	Trust:    {2048, false, "Cannot exceed quota for ACLSizePerRole: 2048"},
	Identity: {10240, false, "the policy has more than 10240 characters"},
	Boundary: {6144, false, "Cannot exceed quota for PolicySize: 6144"},
	SCP:      {10240, true, "the policy has more than 10240 characters"},
	Session:  {2048, true, "the policy has more than 2048 characters"},
}

// MaxSize returns AWS's limit for a document of the kind, in characters as Size counts them.
func MaxSize(kind Kind) int { return quotas[kind].characters }

// Size returns the number of characters of the document that AWS counts for the kind.
func (d *Document) Size(kind Kind) int {
	if quotas[kind].whole {
		return d.characters
	}
	return d.size
}

// CheckError reports a document that parses as a policy but that IAM rejects for the place where it is attached.
// If AWS's text is publicly known, the message is that text, in AWS's spelling.
type CheckError struct {
	Position
	Message string
}

func (e *CheckError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

func refuse(at Position, format string, args ...any) error {
	return &CheckError{Position: at, Message: fmt.Sprintf(format, args...)}
}

// Check validates a document against IAM's rules for its kind. roleARN is the role that the policy belongs to;
// only a trust policy needs it. Check does not verify that the principals exist. Its errors are *CheckError.
func (d *Document) Check(kind Kind, roleARN string) error {
	if d.Size(kind) > MaxSize(kind) {
		return refuse(Position{1, 1}, "%s", quotas[kind].message)
	}
	seen := map[string]bool{}
	for _, s := range d.Statements {
		if id := s.SID; id.Text != "" {
			if seen[id.Text] {
				return refuse(id.Position, "Statement IDs (SID) in a single policy must be unique.")
			}
			if kind != Trust && kind != SCP && !alphanumeric().MatchString(id.Text) {
				return refuse(id.Position, "Statement IDs (SID) must be alpha-numeric. "+
					"Check that your input satisfies the regular expression [0-9A-Za-z]*")
			}
			seen[id.Text] = true
		}
		err := s.checkActions()
		if err == nil && kind == Trust {
			err = s.checkTrust(roleARN)
		} else if err == nil {
			err = s.checkResources()
		}
		if err == nil {
			err = s.checkConditions()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	alphanumeric = pattern.Lazy(`^[0-9A-Za-z]*$`)
	vendor       = pattern.Lazy(`^[0-9A-Za-z.-]+$`)
)

func (s Statement) checkActions() error {
	for _, v := range slices.Concat(s.Actions, s.NotActions) {
		service, action, prefaced := strings.Cut(v.Text, ":")
		switch {
		case v.Text == "*":
		case !prefaced || service == "":
			return refuse(v.Position, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		case strings.Contains(action, ":"):
			return refuse(v.Position, "Actions/Condition can contain only one colon.")
		case !vendor().MatchString(service):
			return refuse(v.Position, "Vendor %s is not valid", service)
		}
	}
	return nil
}

// checkResources applies the rules of every kind except the trust policy.
func (s Statement) checkResources() error {
	for _, p := range slices.Concat(s.Principals, s.NotPrincipals) {
		return refuse(p.Type.Position, "Policy document should not specify a principal.")
	}
	if s.Resources == nil && s.NotResources == nil {
		return refuse(s.Position, "Policy statement must contain resources.")
	}
	for _, v := range slices.Concat(s.Resources, s.NotResources) {
		if v.Text == "*" {
			continue
		}
		if !strings.HasPrefix(v.Text, "arn:") {
			return refuse(v.Position, `Resource %s must be in ARN format or "*".`, v.Text)
		}
		fields := strings.SplitN(v.Text, ":", 6)
		if len(fields) > 2 && strings.ContainsAny(fields[2], "*?") {
			return refuse(v.Position, "Resource vendor must be fully qualified and cannot contain regexes.")
		}
		// "You can't use a variable to replace parts of the ARN before the fifth colon": IAM policy elements:
		// Variables and tags. The colon in a variable does not count here.
		if i := strings.Index(v.Text, "${"); i >= 0 && strings.Count(v.Text[:i], ":") < 5 {
			return refuse(v.Position, "Resource %s has a policy variable before the fifth colon of the ARN", v.Text)
		}
	}
	return nil
}

func (s Statement) checkConditions() error {
	for _, c := range s.Conditions {
		o, known := parseOperator(c.Operator.Text)
		if !known {
			return refuse(c.Operator.Position, "IAM has no condition operator %q", c.Operator.Text)
		}
		if !strings.Contains(c.Key.Text, ":") {
			return refuse(c.Key.Position, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		}
		for _, v := range c.Values {
			if o.valid != nil && !o.valid(v.Text) {
				return refuse(v.Position, "%s compares with %s, and %q is none", c.Operator.Text, o.form, v.Text)
			}
		}
	}
	return nil
}

// family lists the actions that a trust policy may name. A pattern must match one of them.
var family = []string{
	"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity",
	"sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext",
}

func (s Statement) checkTrust(roleARN string) error {
	if s.NotPrincipals != nil {
		return refuse(s.NotPrincipals[0].Type.Position, "AssumeRole policy must not contain NotPrincipal field.")
	}
	if s.Principals == nil {
		return refuse(s.Position, "Missing required field Principal")
	}
	if s.Resources != nil {
		return refuse(s.Resources[0].Position, "Has prohibited field Resource")
	}
	if s.NotResources != nil {
		return refuse(s.NotResources[0].Position, "AssumeRole policy must not contain resources.")
	}
	for _, v := range slices.Concat(s.Actions, s.NotActions) {
		names := func(action string) bool { return matchAction(v.Text, action) }
		if !strings.HasPrefix(strings.ToLower(v.Text), "sts:") || !slices.ContainsFunc(family, names) {
			return refuse(v.Position, "AssumeRole policy may only specify STS AssumeRole actions.")
		}
	}
	for _, p := range s.Principals {
		if p.Type.Text == "Federated" && !p.valid(roleARN) {
			return refuse(p.Position, "Federated principals must be valid domain names or SAML metadata ARNs")
		}
		if !p.valid(roleARN) {
			return refuse(p.Position, "Invalid principal in policy: %q:%q", strings.ToUpper(p.Type.Text), p.Text)
		}
	}
	return s.checkSubject()
}

var (
	accountID = pattern.Lazy(`^[0-9]{12}$`)
	uniqueID  = pattern.Lazy(`^A(ROA|IDA)[A-Z0-9]{12,}$`)
	domain    = pattern.Lazy(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
	// The names are IAM's: [\w+=,.@-], after a path of printable characters. Wildcards are not allowed.
	iamPrincipal = pattern.Lazy(`^arn:([a-z-]+):iam::[0-9]{12}:(root|(role|user)/([!-)+->@-~]+/)*[\w+=,.@-]{1,64})$`)
	stsPrincipal = pattern.Lazy(`^arn:([a-z-]+):sts::[0-9]{12}:(assumed-role/[\w+=,.@-]{1,64}|federated-user)/[\w+=,.@-]{2,64}$`)
	provider     = pattern.Lazy(`^arn:([a-z-]+):iam::[0-9]{12}:(oidc-provider|saml-provider)/[^*?\s]+$`)
)

// valid reports whether a trust policy may name the principal: "AWS JSON policy elements: Principal". A wildcard
// must be the whole value, which means everyone. An ARN must be in the role's own partition.
func (p Principal) valid(roleARN string) bool {
	in := func(form *regexp.Regexp) bool {
		m := form.FindStringSubmatch(p.Text)
		return m != nil && m[1] == Partition(roleARN)
	}
	switch p.Type.Text {
	case "*":
		return true
	case "AWS":
		return p.Text == "*" || accountID().MatchString(p.Text) || uniqueID().MatchString(p.Text) ||
			in(iamPrincipal()) || in(stsPrincipal())
	case "Federated":
		return domain().MatchString(p.Text) || in(provider())
	case "Service":
		return domain().MatchString(p.Text)
	}
	return false // CanonicalUser is for Amazon S3
}

// checkSubject is IAM's guard rail for GitHub's issuer, which all of GitHub's customers share. IAM checks that the
// condition key :sub "is present and that its value is not solely a wildcard character (* and ?) or null" ("Create
// a role for OpenID Connect federation", "Identity-provider controls for shared OIDC providers"). It does not
// check what the pattern matches. AWS's text is not known.
func (s Statement) checkSubject() error {
	const action = "sts:AssumeRoleWithWebIdentity"
	names := func(v Value) bool { return matchAction(v.Text, action) }
	allows := slices.ContainsFunc(s.Actions, names) || s.NotActions != nil && !slices.ContainsFunc(s.NotActions, names)
	if s.Effect != Allow || !allows {
		return nil
	}
	for _, p := range s.Principals {
		_, issuer, found := strings.Cut(p.Text, ":oidc-provider/")
		if !found || issuer != GitHubIssuer && !strings.HasPrefix(issuer, GitHubIssuer+"/") {
			continue
		}
		narrows := func(c Condition) bool {
			o, known := parseOperator(c.Operator.Text)
			wide := func(v Value) bool { return strings.Trim(v.Text, "*?") == "" }
			return known && !o.null && strings.EqualFold(c.Key.Text, issuer+":sub") &&
				!slices.ContainsFunc(c.Values, wide)
		}
		if !slices.ContainsFunc(s.Conditions, narrows) {
			return refuse(s.Position, "a trust policy for %s needs a condition on %s:sub that is more than a wildcard", issuer, issuer)
		}
	}
	return nil
}

// GitHubIssuer is the issuer of github.com's tokens as IAM writes it, without https://.
const GitHubIssuer = "token.actions.githubusercontent.com"
