package generate

import (
	"fmt"
	"strings"

	"github.com/org/hubspoke-chain/internal/pattern"
	"github.com/org/hubspoke-chain/internal/policy"
)

// Issuer identifies one of GitHub's OIDC issuers; the zero value is github.com's. Enterprise may be combined with
// GHECom, GHES with neither. GitHub Docs, "OpenID Connect reference".
type Issuer struct {
	Enterprise string // slug of an enterprise with an issuer of its own
	GHECom     string // SUBDOMAIN of an enterprise with data residency, SUBDOMAIN.ghe.com
	GHES       string // host of a GitHub Enterprise Server, without a port, which IAM rejects
}

// String returns the issuer's URL without https://, as in the ARN of a provider and in condition keys.
func (i Issuer) String() string {
	if i.GHES != "" {
		return i.GHES + "/_services/token"
	}
	host := policy.GitHubIssuer
	if i.GHECom != "" {
		host = "token.actions." + i.GHECom + ".ghe.com"
	}
	if i.Enterprise != "" {
		return host + "/" + i.Enterprise
	}
	return host
}

// SubjectForm selects how subjects identify the repository. GitHub Docs, "OpenID Connect reference".
type SubjectForm string

// The subject forms. The tokens of a repository have one of the first two; Both is for the time of its change.
const (
	Legacy    SubjectForm = "legacy"    // repo:OWNER/REPO:...
	Immutable SubjectForm = "immutable" // repo:OWNER@OWNER-ID/REPO@REPO-ID:...
	Both      SubjectForm = "both"
)

// Repository is a repository on GitHub. The IDs never change and are never reused; they may be empty if only legacy
// subjects are needed.
type Repository struct {
	Owner   string // 1 to 39 of [A-Za-z0-9_-]
	Name    string // 1 to 100 of [A-Za-z0-9._-]
	OwnerID string // digits
	ID      string // digits
}

var repositoryPattern = pattern.Lazy(
	`^([A-Za-z0-9][A-Za-z0-9_-]{0,38})(@[1-9][0-9]{0,18})?/([A-Za-z0-9._-]{1,100})(@[1-9][0-9]{0,18})?$`)

// ParseRepository parses OWNER/REPO, or OWNER@OWNER-ID/REPO@REPO-ID as in an immutable subject.
func ParseRepository(s string) (Repository, error) {
	m := repositoryPattern().FindStringSubmatch(s)
	if m == nil || m[3] == "." || m[3] == ".." || (m[2] == "") != (m[4] == "") {
		return Repository{}, fmt.Errorf("%q is not OWNER/REPO or OWNER@OWNER-ID/REPO@REPO-ID", s)
	}
	r := Repository{Owner: m[1], Name: m[3], OwnerID: strings.TrimPrefix(m[2], "@"), ID: strings.TrimPrefix(m[4], "@")}
	return r, nil
}

// String returns the repository as ParseRepository parses it, with the IDs if both are set.
func (r Repository) String() string {
	if r.OwnerID == "" || r.ID == "" {
		return r.Owner + "/" + r.Name
	}
	return r.Owner + "@" + r.OwnerID + "/" + r.Name + "@" + r.ID
}

// EnvironmentSubject returns the default subject of jobs that use the environment. As the other subjects, it is in
// the immutable form if the repository has its IDs.
func (r Repository) EnvironmentSubject(name string) string {
	return "repo:" + r.String() + ":environment:" + escapeColons(name)
}

// RefSubject returns the default subject of jobs that run for a ref without an environment.
func (r Repository) RefSubject(ref string) string {
	return "repo:" + r.String() + ":ref:" + escapeColons(ref)
}

// PullRequestSubject returns the default subject of pull_request jobs without an environment.
func (r Repository) PullRequestSubject() string { return "repo:" + r.String() + ":pull_request" }

// escapeColons escapes as GitHub does, so that a value cannot contain the end of the subject's part.
func escapeColons(s string) string { return strings.ReplaceAll(s, ":", "%3A") }
