package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Partitions are AWS's partitions, by their names in ARNs.
var Partitions = []string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}

// The forms of single values, where not said otherwise by the API references of IAM (CreateRole,
// CreateOpenIDConnectProvider) and AWS STS (AssumeRole); hosts, slugs, logins and files are GitHub's.
var (
	audienceForm = lazily(`^[\x21-\x7e]{1,255}$`)
	slugForm     = lazily(`^[A-Za-z0-9]([A-Za-z0-9-]{0,98}[A-Za-z0-9])?$`)
	labelForm    = lazily(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostForm     = lazily(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)
	cloudForm    = lazily(`(^|\.)(github\.com|githubusercontent\.com|ghe\.com)$`)
	roleForm     = lazily(`^arn:([a-z-]+):iam::[0-9]{12}:role(/|/[\x21-\x7e]{1,510}/)[\w+=,.@-]{1,64}$`)
	pathForm     = lazily(`^/([\x21-\x7e]{1,510}/)?$`)
	externalID   = lazily(`^[\w+=,.@:/-]{2,}$`) // up to 1224; a repeat count ends at 1000
	tagForm      = lazily(`^[\p{L}\p{Z}\p{N}_.:/=+@-]*$`)
	numericID    = lazily(`^[1-9][0-9]{0,18}$`)
	subjectForm  = lazily(`^repo:([^/:]+/[^/:]+):(.+)$`)
	actorForm    = lazily(`^[A-Za-z0-9][A-Za-z0-9_-]{0,38}(\[bot\])?$`)
	workflowForm = lazily(`^([^/@]+/[^/@]+)/\.github/workflows/[^/@]+\.ya?ml@(\S+)$`)
	commitForm   = lazily(`^[0-9a-f]{40}$`)
)

// check finds all problems at once, and gives the subjects when there is none.
func (h HubTrust) check() ([]string, Problems) {
	var p Problems
	p.partition("partition", h.Partition)
	p.account("hub-account-id", h.AccountID)
	p.issuer(h.Issuer)
	p.audience(h.Audience)
	if len(h.Repositories) == 0 {
		p.add("repository", "is missing: OWNER/REPO, or OWNER@OWNER-ID/REPO@REPO-ID")
	}
	once(&p, "repository", h.Repositories, func(r Repository) string { return strings.ToLower(r.Owner + "/" + r.Name) })
	ids := map[string]string{}
	for _, r := range h.Repositories {
		p.repository(r)
		owner := strings.ToLower(r.Owner)
		if known := ids[owner]; known != "" && r.OwnerID != "" && r.OwnerID != known {
			p.add("repository", "%s has the id %s here and %s there: an owner has one", r.Owner, known, r.OwnerID)
		}
		ids[owner] = orElse(ids[owner], r.OwnerID)
	}
	p.form(h)
	if len(h.Environments) == 0 && len(h.Refs) == 0 && !h.PullRequest {
		p.add("environment", "is missing: give at least one environment, or a ref, or pull-request")
	}
	once(&p, "environment", h.Environments, func(s string) string { return s })
	for _, name := range h.Environments {
		p.environment("environment", name)
	}
	once(&p, "ref", h.Refs, func(s string) string { return s })
	for _, ref := range h.Refs {
		p.ref("ref", ref)
	}
	once(&p, "claim", h.Claims, func(c Claim) string { return c.Name + "=" + c.Value })
	for _, c := range h.Claims {
		p.claim(h.Issuer, c)
	}
	if p != nil {
		return nil, p
	}
	return h.subjects(), nil
}

func (h HubPermissions) check() Problems {
	var p Problems
	switch {
	case len(h.Spokes) == 0 && len(h.Tags) == 0:
		p.add("role-to-assume", "is missing: the ARN of a spoke, or give a role-tag that the spokes have")
	case len(h.Spokes) > 0 && len(h.Tags) > 0:
		p.add("role-tag", "goes without role-to-assume: spokes are named by their ARNs or by their tags")
	case len(h.Tags) == 0:
		for _, of := range []struct {
			field string
			given bool
		}{{"account-id", len(h.AccountIDs) > 0}, {"partition", h.Partition != ""}, {"role-path", h.Path != ""}} {
			if of.given {
				p.add(of.field, "goes with role-tag only: the ARN of a spoke has it already")
			}
		}
	}
	once(&p, "role-to-assume", h.Spokes, func(s string) string { return s })
	first := ""
	for _, arn := range h.Spokes {
		if !p.role("role-to-assume", arn) {
			continue
		}
		if first = orElse(first, arn); partition(arn) != partition(first) {
			p.add("role-to-assume", "%q is in another partition than %q, and a session does not cross partitions", arn, first)
		}
	}
	p.tags("role-tag", h.Tags)
	p.partition("partition", h.Partition)
	once(&p, "account-id", h.AccountIDs, func(s string) string { return s })
	for _, id := range h.AccountIDs {
		p.account("account-id", id)
	}
	if h.Path != "" && !pathForm().MatchString(h.Path) {
		p.add("role-path", "%q is not the path of a role, which begins and ends with / and has up to 512 printable characters", h.Path)
	}
	return p
}

func (s SpokeTrust) check() Problems {
	var p Problems
	p.role("hub-role-to-assume", s.HubRole)
	if strings.ContainsAny(s.HubRole, "*?") {
		p.add("hub-role-to-assume", "%q has a wildcard, which IAM does not take in a principal", s.HubRole)
	}
	if s.ExternalID != "" && (len(s.ExternalID) > 1224 || !externalID().MatchString(s.ExternalID)) {
		p.add("role-external-id", `%q is not 2 to 1224 of the characters [\w+=,.@:/-]`, s.ExternalID)
	}
	once(&p, "pin-subject", s.Subjects, func(s string) string { return s })
	for _, subject := range s.Subjects {
		p.subject(subject)
	}
	if len(s.Subjects) == 0 && (s.Issuer != Issuer{} || s.Audience != "") {
		p.add("pin-subject", "is missing: issuer and audience are those of a subject that the spoke pins")
	}
	p.issuer(s.Issuer)
	p.audience(s.Audience)
	if s.SkipTags && len(s.RequireTags) > 0 {
		p.add("require-tag", "contradicts role-skip-session-tagging: a session that may send no tags cannot have the one required")
	}
	p.tags("require-tag", s.RequireTags)
	return p
}

func (p *Problems) partition(field, name string) {
	if name != "" && !slices.Contains(Partitions, name) {
		p.add(field, "%q is none of %s", name, strings.Join(Partitions, ", "))
	}
}

func (p *Problems) account(field, id string) {
	switch {
	case id == "":
		p.add(field, "is missing: the 12 digits of an account")
	case !accountID().MatchString(id):
		p.add(field, "%q is not the 12 digits of an account", id)
	}
}

// role tells whether arn is that of a role.
func (p *Problems) role(field, arn string) bool {
	m := roleForm().FindStringSubmatch(arn)
	switch {
	case arn == "":
		p.add(field, "is missing: arn:PARTITION:iam::ACCOUNT:role/NAME")
	case m == nil:
		p.add(field, "%q is not the ARN of a role, arn:PARTITION:iam::ACCOUNT:role/NAME", arn)
	case !slices.Contains(Partitions, m[1]):
		p.add(field, "%q is in none of the partitions %s", arn, strings.Join(Partitions, ", "))
	default:
		return true
	}
	return false
}

func (p *Problems) issuer(i Issuer) {
	if i.Enterprise != "" && !slugForm().MatchString(i.Enterprise) {
		p.add("enterprise", "%q is not the slug of an enterprise: letters, digits and hyphens", i.Enterprise)
	}
	if i.GHECom != "" && !labelForm().MatchString(i.GHECom) {
		p.add("ghe-com", "%q is not the SUBDOMAIN of SUBDOMAIN.ghe.com: small letters, digits and hyphens", i.GHECom)
	}
	if i.GHES == "" {
		return
	}
	if i.Enterprise != "" || i.GHECom != "" {
		p.add("ghes", "goes without enterprise and ghe-com: a GitHub Enterprise Server has an issuer of its own")
	}
	switch {
	case !hostForm().MatchString(i.GHES):
		p.add("ghes", "%q is not a host name in small letters, without https:// and port", i.GHES)
	case cloudForm().MatchString(i.GHES):
		p.add("ghes", "%q is not a GitHub Enterprise Server: github.com needs no flag, SUBDOMAIN.ghe.com is ghe-com", i.GHES)
	}
}

func (p *Problems) audience(audience string) {
	if audience == "" {
		return
	}
	if !audienceForm().MatchString(audience) {
		p.add("audience", "%q is not 1 to 255 printable ASCII characters without a space", audience)
		return
	}
	p.exact("audience", audience)
}

func (p *Problems) repository(r Repository) {
	written := Repository{Owner: r.Owner, Name: r.Name}.String()
	if again, err := ParseRepository(written); err != nil || again.Owner != r.Owner || again.Name != r.Name {
		p.add("repository", "%q is not OWNER/REPO by GitHub's rules for names", written)
	}
	if r.OwnerID != "" && !numericID().MatchString(r.OwnerID) {
		p.add("repository-owner-id", "%q is not a number", r.OwnerID)
	}
	if r.ID != "" && !numericID().MatchString(r.ID) {
		p.add("repository-id", "%q is not a number", r.ID)
	}
	// GitHub's first immutable form, withdrawn in June 2026, had a hyphen where there is an @ now.
	if r.OwnerID != "" && strings.HasSuffix(r.Owner, "-"+r.OwnerID) || r.ID != "" && strings.HasSuffix(r.Name, "-"+r.ID) {
		p.add("repository", "%q has its id in its name: no subject has that form any more, write OWNER/REPO and give the ids apart", written)
	}
}

func (p *Problems) form(h HubTrust) {
	switch form := h.form(); {
	case form != Legacy && form != Immutable && form != Both:
		p.add("form", "%q is none of legacy, immutable, both", h.Form)
	case form != Legacy && h.Issuer.GHES != "":
		p.add("form", "%q is not for a GitHub Enterprise Server, whose subjects are all legacy", form)
	case form != Legacy:
		for _, r := range h.Repositories {
			if r.OwnerID == "" || r.ID == "" {
				p.add("form", "%s needs both ids of %s, and there is no repository-owner-id or no repository-id: "+
					"gh api repos/%s --jq '.owner.id, .id' prints them; or choose legacy, whose subjects "+
					"a stranger can have once the name is given up", form, r, r)
			}
		}
	}
}

// exact tells of what would not be compared as it is written, or not be taken at all: wildcards and
// variables, and the characters that no policy may have (CreateRole, IAM API Reference).
func (p *Problems) exact(field, value string) {
	if i := strings.IndexAny(value, "*?$"); i >= 0 {
		p.add(field, "%q has a %q: no wildcard or variable is written, values are compared exactly", value, value[i:i+1])
		return
	}
	control := func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r > 0xff }
	if i := strings.IndexFunc(value, control); i >= 0 || !utf8.ValidString(value) {
		p.add(field, "%q has a control character or one above U+00FF, which IAM does not take in a policy", value)
	}
}

func (p *Problems) environment(field, name string) {
	if n := utf8.RuneCountInString(name); n < 1 || n > 255 || strings.TrimSpace(name) != name {
		p.add(field, "%q is not the name of an environment: 1 to 255 characters, no space at either end", name)
		return
	}
	p.exact(field, name)
}

// ref takes git's rules for branches and tags (git-check-ref-format).
func (p *Problems) ref(field, ref string) {
	if !gitRef(ref) {
		p.add(field, "%q is not the full name of a branch or tag, refs/heads/NAME or refs/tags/NAME", ref)
		return
	}
	p.exact(field, ref)
}

func gitRef(ref string) bool {
	name, branch := strings.CutPrefix(ref, "refs/heads/")
	if !branch {
		var tag bool
		if name, tag = strings.CutPrefix(ref, "refs/tags/"); !tag {
			return false
		}
	}
	for _, part := range strings.Split(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return len(ref) <= 255 && !strings.ContainsAny(name, " ~^:?*[\\\x7f") && !strings.Contains(name, "..") &&
		!strings.Contains(name, "@{") && !strings.HasSuffix(name, ".")
}

func (p *Problems) claim(issuer Issuer, c Claim) {
	bad := func(want string) { p.add("claim", "%s: %q is not %s", c.Name, c.Value, want) }
	if !slices.Contains(ClaimNames, c.Name) {
		p.add("claim", "%q is none of the claims that AWS compares: %s", c.Name, strings.Join(ClaimNames, ", "))
		return
	}
	if !issuer.carriesClaims() {
		p.add("claim", "%q: AWS compares no claims of the issuer %s but sub, aud and amr", c.Name, issuer)
		return
	}
	switch c.Name {
	case "actor_id", "enterprise_id", "repository_id", "repository_owner_id":
		if !numericID().MatchString(c.Value) {
			bad("a number")
		}
	case "actor":
		if !actorForm().MatchString(c.Value) {
			bad("the login of a user or app")
		}
	case "repository":
		if !plainRepository(c.Value) {
			bad("OWNER/REPO")
		}
	case "environment":
		p.environment("claim", c.Value)
	case "ref":
		p.ref("claim", c.Value)
	case "job_workflow_ref":
		m := workflowForm().FindStringSubmatch(c.Value)
		if m == nil || !plainRepository(m[1]) || !gitRef(m[2]) && !commitForm().MatchString(m[2]) {
			bad("OWNER/REPO/.github/workflows/FILE.yml@REF, where REF is the full name of a branch or tag, or a commit")
			return
		}
		p.exact("claim", c.Value)
	case "workflow":
		if c.Value == "" {
			bad("the name of a workflow")
			return
		}
		p.exact("claim", c.Value)
	}
}

// plainRepository tells whether s is OWNER/REPO, without ids.
func plainRepository(s string) bool {
	r, err := ParseRepository(s)
	return err == nil && r.ID == ""
}

// subject takes what GitHub writes by default, and what a template that begins with repo writes.
func (p *Problems) subject(subject string) {
	m := subjectForm().FindStringSubmatch(subject)
	if m != nil {
		if _, err := ParseRepository(m[1]); err == nil {
			p.exact("pin-subject", subject)
			return
		}
	}
	p.add("pin-subject", "%q is not the subject of a token, repo:OWNER/REPO:... or repo:OWNER@OWNER-ID/REPO@REPO-ID:...", subject)
}

func (p *Problems) tags(field string, tags []Tag) {
	once(p, field, tags, func(t Tag) string { return strings.ToLower(t.Key) + "=" + t.Value })
	spelling := map[string]string{}
	for _, t := range tags {
		written := fmt.Sprintf("%s=%s", t.Key, t.Value)
		key, value := utf8.RuneCountInString(t.Key), utf8.RuneCountInString(t.Value)
		folded := strings.ToLower(t.Key)
		switch other := spelling[folded]; {
		case key < 1 || key > 128 || value > 256 || !tagForm().MatchString(t.Key) || !tagForm().MatchString(t.Value):
			p.add(field, "%q is not KEY=VALUE with a key of 1 to 128 and a value of up to 256 letters, digits, spaces and _.:/=+-@", written)
		case strings.HasPrefix(folded, "aws:") || strings.HasPrefix(strings.ToLower(t.Value), "aws:"):
			p.add(field, "%q begins with aws:, which AWS keeps for itself", written)
		case other != "" && other != t.Key:
			p.add(field, "%q and %q are one key for IAM, which does not tell their case apart", other, t.Key)
		default:
			spelling[folded] = t.Key
			p.exact(field, written)
		}
	}
}

// once finds what is given twice.
func once[T any](p *Problems, field string, list []T, name func(T) string) {
	seen := map[string]bool{}
	for _, one := range list {
		if name := name(one); seen[name] {
			p.add(field, "%q is there twice", name)
		} else {
			seen[name] = true
		}
	}
}
