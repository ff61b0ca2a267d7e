package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Issuer is which of GitHub's OIDC issuers mints the tokens; the zero value is github.com's. Enterprise goes
// alone or with GHECom, and GHES alone. GitHub Docs, "OpenID Connect reference".
type Issuer struct {
	Enterprise string // slug of an enterprise that has chosen an issuer of its own
	GHECom     string // SUBDOMAIN of an enterprise with data residency, SUBDOMAIN.ghe.com
	GHES       string // host of a GitHub Enterprise Server, without a port, which IAM does not take
}

// String is the issuer's URL without https://, as it stands in a provider's ARN and before the colon of a
// condition key.
func (i Issuer) String() string {
	if i.GHES != "" {
		return i.GHES + "/_services/token"
	}
	host := github
	if i.GHECom != "" {
		host = "token.actions." + i.GHECom + ".ghe.com"
	}
	if i.Enterprise != "" {
		return host + "/" + i.Enterprise
	}
	return host
}

// carriesClaims tells whether AWS makes condition keys of the claims of Claim. It lists the issuers of
// github.com with and without a slug, and that of data residency without one (Service Authorization
// Reference, AWS STS).
func (i Issuer) carriesClaims() bool { return i.GHES == "" && (i.GHECom == "" || i.Enterprise == "") }

// DefaultAudience is the audience that the action asks for in a partition.
func DefaultAudience(partition string) string {
	if partition == "aws-cn" {
		return "sts.amazonaws.com.cn"
	}
	return "sts.amazonaws.com"
}

// Form is how a subject names the repository. GitHub Docs, "OpenID Connect reference".
type Form string

// The forms. A repository's tokens have one of them; Both is for the time of its change.
const (
	Legacy    Form = "legacy"    // repo:OWNER/REPO:...
	Immutable Form = "immutable" // repo:OWNER@OWNER-ID/REPO@REPO-ID:...
	Both      Form = "both"
)

// Repository is a repository of GitHub. The ids never change and are never given to another one; they may
// be empty when only legacy subjects are wanted.
type Repository struct {
	Owner   string // 1 to 39 of [A-Za-z0-9_-]
	Name    string // 1 to 100 of [A-Za-z0-9._-]
	OwnerID string // digits
	ID      string // digits
}

var repository = lazily(`^([A-Za-z0-9][A-Za-z0-9_-]{0,38})(@[1-9][0-9]{0,18})?/([A-Za-z0-9._-]{1,100})(@[1-9][0-9]{0,18})?$`)

// ParseRepository reads OWNER/REPO, or OWNER@OWNER-ID/REPO@REPO-ID as an immutable subject has it.
func ParseRepository(s string) (Repository, error) {
	m := repository().FindStringSubmatch(s)
	if m == nil || m[3] == "." || m[3] == ".." || (m[2] == "") != (m[4] == "") {
		return Repository{}, fmt.Errorf("%q is not OWNER/REPO or OWNER@OWNER-ID/REPO@REPO-ID", s)
	}
	return Repository{Owner: m[1], Name: m[3], OwnerID: strings.TrimPrefix(m[2], "@"), ID: strings.TrimPrefix(m[4], "@")}, nil
}

// String is the repository as ParseRepository reads it, with the ids when it has them.
func (r Repository) String() string {
	if r.OwnerID == "" || r.ID == "" {
		return r.Owner + "/" + r.Name
	}
	return r.Owner + "@" + r.OwnerID + "/" + r.Name + "@" + r.ID
}

// Claim is a claim that a token must have beside its subject. Several values of one name are alternatives.
type Claim struct {
	Name  string // one of ClaimNames
	Value string
}

// ClaimNames are the claims of GitHub's tokens that AWS makes condition keys of, beside sub, aud and amr, at
// the hop into the hub and at no later one (Service Authorization Reference, AWS STS). All others are absent
// for IAM, event_name and runner_environment among them.
var ClaimNames = []string{
	"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref",
	"repository", "repository_id", "repository_owner_id", "workflow",
}

// subjects are those of the jobs, in the fields' order: a form after the other, in it a repository after
// the other.
func (h HubTrust) subjects() []string {
	var contexts []string
	for _, name := range h.Environments {
		contexts = append(contexts, "environment:"+name)
	}
	for _, ref := range h.Refs {
		contexts = append(contexts, "ref:"+ref)
	}
	if h.PullRequest {
		contexts = append(contexts, "pull_request")
	}
	var all []string
	for _, form := range []Form{Immutable, Legacy} {
		if h.form() != form && h.form() != Both {
			continue
		}
		for _, r := range h.Repositories {
			if form == Legacy {
				r.OwnerID, r.ID = "", ""
			}
			for _, c := range contexts {
				kind, value, _ := strings.Cut(c, ":")
				subject := "repo:" + r.String() + ":" + kind
				if value != "" {
					// GitHub keeps a colon in a value from looking like the end of it.
					subject += ":" + strings.ReplaceAll(value, ":", "%3A")
				}
				if !slices.Contains(all, subject) {
					all = append(all, subject)
				}
			}
		}
	}
	return all
}

func (h HubTrust) form() Form {
	if h.Form == "" && h.Issuer.GHES != "" {
		return Legacy
	}
	return Form(orElse(string(h.Form), string(Immutable)))
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// grouped collects the values that are given for each name.
func grouped[T any](list []T, pair func(T) (name, value string)) map[string][]string {
	groups := map[string][]string{}
	for _, one := range list {
		name, value := pair(one)
		groups[name] = append(groups[name], value)
	}
	return groups
}

func (c Claim) pair() (string, string) { return c.Name, c.Value }
func (t Tag) pair() (string, string)   { return t.Key, t.Value }

// escapeWildcards keeps what IAM would read as a wildcard or a variable: a role's path may have all of them.
func escapeWildcards(s string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(s)
}
