package generate

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/pattern"
)

// Problem is an invalid field of a document.
type Problem struct {
	Field   string // named as on the command line, such as role-to-assume; empty for the whole document
	Message string // the value and what is valid
}

// Problems are all problems of one document.
type Problems []Problem

func (p Problems) Error() string {
	var lines []string
	for _, one := range p {
		lines = append(lines, strings.TrimPrefix(one.Field+": "+one.Message, ": "))
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(field, format string, args ...any) {
	*p = append(*p, Problem{field, fmt.Sprintf(format, args...)})
}

// Partitions are AWS's partitions, by their names in ARNs.
var Partitions = []string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}

// The patterns of single values. Where not noted otherwise, the source is the API reference of IAM (CreateRole,
// CreateOpenIDConnectProvider) or AWS STS (AssumeRole); hosts, slugs, logins and files are GitHub's.
var (
	accountIDPattern  = pattern.Lazy(`^[0-9]{12}$`)
	audiencePattern   = pattern.Lazy(`^[\x21-\x7e]{1,255}$`)
	slugPattern       = pattern.Lazy(`^[A-Za-z0-9]([A-Za-z0-9-]{0,98}[A-Za-z0-9])?$`)
	labelPattern      = pattern.Lazy(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostPattern       = pattern.Lazy(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)
	cloudPattern      = pattern.Lazy(`(^|\.)(github\.com|githubusercontent\.com|ghe\.com)$`)
	rolePattern       = pattern.Lazy(`^arn:([a-z-]+):iam::[0-9]{12}:role(/|/[\x21-\x7e]{1,510}/)[\w+=,.@-]{1,64}$`)
	pathPattern       = pattern.Lazy(`^/([\x21-\x7e]{1,510}/)?$`)
	externalIDPattern = pattern.Lazy(`^[\w+=,.@:/-]{2,}$`) // up to 1224; a repeat count ends at 1000
	tagPattern        = pattern.Lazy(`^[\p{L}\p{Z}\p{N}_.:/=+@-]*$`)
	numericID         = pattern.Lazy(`^[1-9][0-9]{0,18}$`)
	subjectPattern    = pattern.Lazy(`^repo:([^/:]+/[^/:]+):(.+)$`)
	actorPattern      = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9_-]{0,38}(\[bot\])?$`)
	workflowPattern   = pattern.Lazy(`^([^/@]+/[^/@]+)/\.github/workflows/[^/@]+\.ya?ml@(\S+)$`)
	commitPattern     = pattern.Lazy(`^[0-9a-f]{40}$`)
)

func (p *Problems) partition(field, name string) {
	if name != "" && !slices.Contains(Partitions, name) {
		p.add(field, "%q is not one of %s", name, strings.Join(Partitions, ", "))
	}
}

func (p *Problems) account(field, id string) {
	switch {
	case id == "":
		p.add(field, "is missing: the 12 digits of an account")
	case !accountIDPattern().MatchString(id):
		p.add(field, "%q is not the 12 digits of an account", id)
	}
}

// role reports whether arn is the ARN of a role.
func (p *Problems) role(field, arn string) bool {
	m := rolePattern().FindStringSubmatch(arn)
	switch {
	case arn == "":
		p.add(field, "is missing: arn:PARTITION:iam::ACCOUNT:role/NAME")
	case m == nil:
		p.add(field, "%q is not the ARN of a role, arn:PARTITION:iam::ACCOUNT:role/NAME", arn)
	case !slices.Contains(Partitions, m[1]):
		p.add(field, "the partition of %q is not one of %s", arn, strings.Join(Partitions, ", "))
	default:
		return true
	}
	return false
}

func (p *Problems) issuer(i Issuer) {
	if i.Enterprise != "" && !slugPattern().MatchString(i.Enterprise) {
		p.add("enterprise", "%q is not the slug of an enterprise: letters, digits and hyphens", i.Enterprise)
	}
	if i.GHECom != "" && !labelPattern().MatchString(i.GHECom) {
		p.add("ghe-com", "%q is not the SUBDOMAIN of SUBDOMAIN.ghe.com: lowercase letters, digits and hyphens", i.GHECom)
	}
	if i.GHES == "" {
		return
	}
	if i.Enterprise != "" || i.GHECom != "" {
		p.add("ghes", "cannot be combined with enterprise or ghe-com: a GitHub Enterprise Server has its own issuer")
	}
	switch {
	case !hostPattern().MatchString(i.GHES):
		p.add("ghes", "%q is not a host name in lowercase, without https:// and port", i.GHES)
	case cloudPattern().MatchString(i.GHES):
		p.add("ghes", "%q is not a GitHub Enterprise Server: "+
			"for github.com, omit the flag; for SUBDOMAIN.ghe.com, use ghe-com", i.GHES)
	}
}

func (p *Problems) audience(audience string) {
	if audience == "" {
		return
	}
	if !audiencePattern().MatchString(audience) {
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
		p.add("repository", "%q contains its ID: "+
			"GitHub withdrew that form of subjects; write OWNER/REPO and give the IDs separately", written)
	}
}

// plainRepository reports whether s is OWNER/REPO, without IDs.
func plainRepository(s string) bool {
	r, err := ParseRepository(s)
	return err == nil && r.ID == ""
}

// exact reports what IAM would not compare as written, or reject: wildcards and variables, and the characters that
// no policy may have (CreateRole, IAM API Reference).
func (p *Problems) exact(field, value string) {
	if i := strings.IndexAny(value, "*?$"); i >= 0 {
		p.add(field, "%q contains %q: values are compared exactly, without wildcards and variables", value, value[i:i+1])
		return
	}
	control := func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r > 0xff }
	if i := strings.IndexFunc(value, control); i >= 0 || !utf8.ValidString(value) {
		p.add(field, "%q contains a control character or one above U+00FF, which IAM rejects in a policy", value)
	}
}

func (p *Problems) environment(field, name string) {
	if n := utf8.RuneCountInString(name); n < 1 || n > 255 || strings.TrimSpace(name) != name {
		p.add(field, "%q is not the name of an environment: 1 to 255 characters, no space at either end", name)
		return
	}
	p.exact(field, name)
}

// ref applies git's rules for branches and tags (git-check-ref-format).
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

func (p *Problems) tags(field string, tags []chain.Tag) {
	once(p, field, tags, func(t chain.Tag) string { return strings.ToLower(t.Key) + "=" + t.Value })
	spelling := map[string]string{}
	for _, t := range tags {
		written := t.Key + "=" + t.Value
		key, value := utf8.RuneCountInString(t.Key), utf8.RuneCountInString(t.Value)
		folded := strings.ToLower(t.Key)
		switch other := spelling[folded]; {
		case key < 1 || key > 128 || value > 256 || !tagPattern().MatchString(t.Key) || !tagPattern().MatchString(t.Value):
			p.add(field, "%q is not KEY=VALUE with a key of 1 to 128 and a value of up to 256 "+
				"letters, digits, spaces and _.:/=+-@", written)
		case strings.HasPrefix(folded, "aws:") || strings.HasPrefix(strings.ToLower(t.Value), "aws:"):
			p.add(field, "%q begins with aws:, which AWS reserves", written)
		case other != "" && other != t.Key:
			p.add(field, "%q and %q are the same key: IAM ignores case", other, t.Key)
		default:
			spelling[folded] = t.Key
			p.exact(field, written)
		}
	}
}

// once reports duplicates.
func once[T any](p *Problems, field string, list []T, name func(T) string) {
	seen := map[string]bool{}
	for _, one := range list {
		if name := name(one); seen[name] {
			p.add(field, "duplicate %q", name)
		} else {
			seen[name] = true
		}
	}
}
