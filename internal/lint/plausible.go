package lint

import (
	"strings"

	"github.com/org/hubspoke-chain/internal/pattern"
)

var (
	ownerName  = pattern.Lazy(`^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$`)
	repoName   = pattern.Lazy(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)
	refName    = pattern.Lazy(`^refs/(heads|tags)/[A-Za-z0-9_@%+=-]+([./][A-Za-z0-9_@%+=-]+)*$`)
	claimValue = pattern.Lazy(`^[A-Za-z0-9_./@ %+=-]+$`)
)

// plausible reports whether GitHub would issue the names and IDs of a subject today. It is stricter than GitHub,
// because the subject is shown as one that an outsider can have.
func (s subject) plausible() bool {
	owner, repo := s.owner.of(s.text), s.repo.of(s.text)
	if !s.owner.empty() && (!ownerName().MatchString(owner) || len(owner) > 39 ||
		!repoName().MatchString(repo) || len(repo) > 100) {
		return false
	}
	seen := map[string]bool{}
	for _, p := range s.pairs {
		value := p.value.of(s.text)
		if seen[p.name] || !claimValue().MatchString(value) || len(value) > 255 ||
			p.name == "ref" && !refName().MatchString(value) {
			return false
		}
		switch p.name {
		case "repository_owner":
			if !ownerName().MatchString(value) {
				return false
			}
		case "repository":
			owner, repo, _ := strings.Cut(value, "/")
			if !ownerName().MatchString(owner) || !repoName().MatchString(repo) {
				return false
			}
		case "repository_id", "repository_owner_id":
			if !isID(value) {
				return false
			}
		}
		seen[p.name] = true
	}
	return len(s.pairs) > 0 || s.pullRequest
}
