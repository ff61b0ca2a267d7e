package lint

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/plain"
)

// span is a part of a text; an empty one is absent.
type span struct{ begin, end int }

func (s span) of(text string) string { return text[s.begin:s.end] }
func (s span) empty() bool           { return s.begin == s.end }

// subject is the sub claim of a GitHub token: repo:OWNER/REPO or, in the immutable form,
// repo:OWNER@OWNER-ID/REPO@REPO-ID, followed by what the job runs for. A customized subject has other
// claims, as NAME:VALUE, in the order that its owner chose (GitHub Docs, "OpenID Connect reference").
type subject struct {
	text                         string
	owner, ownerID, repo, repoID span
	pairs                        []pairOfClaim
	pullRequest                  bool
}

type pairOfClaim struct {
	name  string
	value span
}

func (s subject) claim(name string) (string, bool) {
	for _, p := range s.pairs {
		if p.name == name {
			return p.value.of(s.text), true
		}
	}
	return "", false
}

// flaw is why no token has a subject.
type flaw struct {
	message, fix string
	severity     Severity // instead of the rule's
	ids          bool     // because of its IDs: subject-immutable-malformed, else subject-never-matches
	atOperator   bool     // because of the condition's operator, whatever the value
}

func never(fix, format string, args ...any) *flaw {
	return &flaw{message: fmt.Sprintf(format, args...), fix: fix}
}

// subjectClaims are the claims that a customized subject can contain.
var subjectClaims = []string{
	"actor", "actor_id", "base_ref", "check_run_id", "enterprise", "enterprise_id", "environment",
	"environment_node_id", "event_name", "head_ref", "job_workflow_ref", "job_workflow_sha", "ref", "ref_protected",
	"ref_type", "repository", "repository_id", "repository_owner", "repository_owner_id", "repository_visibility",
	"run_attempt", "run_id", "run_number", "runner_environment", "sha", "workflow", "workflow_ref", "workflow_sha",
}

func isSubjectClaim(name string) bool {
	property, found := strings.CutPrefix(name, "repo_property_")
	return slices.Contains(subjectClaims, name) || found && property != ""
}

// refKinds are what a ref claim begins with; the last is that of pull_request events.
var refKinds = []string{"refs/heads/", "refs/tags/", "refs/pull/"}

// parseSubject reads a subject. With partial, text is only its beginning, cut anywhere. It accepts every name that
// GitHub could ever have issued, because a subject with a flaw is reported to match nothing.
func parseSubject(text string, partial bool) (subject, *flaw) {
	s := subject{text: text}
	begin := 0
	if rest, found := strings.CutPrefix(text, "repo:"); found {
		end, f := s.repository(rest, partial)
		if f != nil || end == len(text) {
			return s, f
		}
		begin = end + 1
	} else if partial && strings.HasPrefix("repo:", text) {
		return s, nil
	} else if name, _, found := strings.Cut(text, ":"); !partial && (!found || !isSubjectClaim(name)) {
		return s, notASubject(text)
	} else if partial && !beginsClaim(text) {
		return s, notASubject(text)
	}
	return s, s.context(begin, partial)
}

func notASubject(text string) *flaw {
	const fix = "write the whole subject, repo:OWNER/REPO:... or repo:OWNER@OWNER-ID/REPO@REPO-ID:..."
	name, _, _ := strings.Cut(text, ":")
	if strings.TrimSpace(text) != text {
		return never("remove the white space", "%s never matches: no subject begins or ends with white space",
			quote(text))
	}
	if strings.EqualFold(name, "repo") {
		return never("write repo: in lower case",
			"%s never matches: subjects are case-sensitive, and begin with repo: in lower case", quote(text))
	}
	return never(fix, "%s never matches: a GitHub subject begins with repo:, or with the name of a claim if it is "+
		"customized", quote(text))
}

// beginsClaim reports whether a text can be the beginning of NAME:VALUE.
func beginsClaim(text string) bool {
	name, _, whole := strings.Cut(text, ":")
	if whole {
		return isSubjectClaim(name)
	}
	begins := func(known string) bool { return strings.HasPrefix(known, name) }
	return slices.ContainsFunc(subjectClaims, begins) || begins("repo_property_") ||
		strings.HasPrefix(name, "repo_property_")
}

// repository reads OWNER/REPO and returns where it ends: at a colon or at the end of the text.
func (s *subject) repository(rest string, partial bool) (end int, f *flaw) {
	const offset = len("repo:")
	end = len(s.text)
	if i := strings.IndexByte(rest, ':'); i >= 0 {
		end = offset + i
	}
	cut := partial && end == len(s.text)
	whole := s.text[offset:end]
	slash := strings.IndexByte(whole, '/')
	if slash < 0 && cut {
		return end, nil
	}
	if slash < 0 || strings.Count(whole, "/") > 1 {
		return end, never("write the repository as OWNER/REPO",
			"%s never matches: repo: must be followed by OWNER/REPO, and %s is not",
			quote(s.text), quote(whole))
	}
	s.owner, s.ownerID = nameAndID(s.text, span{offset, offset + slash})
	s.repo, s.repoID = nameAndID(s.text, span{offset + slash + 1, end})
	if f := s.checkName("owner", s.owner, "-_"); f != nil {
		return end, f
	}
	if cut {
		return end, nil
	}
	if f := s.checkName("repository", s.repo, "-_."); f != nil {
		return end, f
	}
	if s.owner.end == offset+slash && s.repo.end == end {
		return end, nil // no @ in it
	}
	const fix = "write both IDs, each after an @: gh api repos/OWNER/REPO --jq " +
		"'\"repo:\\(.owner.login)@\\(.owner.id)/\\(.name)@\\(.id)\"'"
	if !isID(s.ownerID.of(s.text)) || !isID(s.repoID.of(s.text)) {
		return end, &flaw{ids: true, fix: fix, message: fmt.Sprintf(
			"%s never matches: an immutable subject is repo:OWNER@OWNER-ID/REPO@REPO-ID:... with both IDs in digits",
			quote(s.text))}
	}
	return end, nil
}

// nameAndID splits NAME@ID.
func nameAndID(text string, s span) (name, id span) {
	if i := strings.IndexByte(s.of(text), '@'); i >= 0 {
		return span{s.begin, s.begin + i}, span{s.begin + i + 1, s.end}
	}
	return s, span{}
}

func isID(s string) bool {
	return s != "" && len(s) <= 19 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

func (s *subject) checkName(what string, name span, more string) *flaw {
	text := name.of(s.text)
	odd := strings.IndexFunc(text, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(more, c))
	})
	switch {
	case text == "":
		return never("write the repository as OWNER/REPO", "%s never matches: the name of the %s is empty",
			quote(s.text), what)
	case odd >= 0:
		c, _ := utf8.DecodeRuneInString(text[odd:])
		return never("write the name as GitHub shows it",
			"%s never matches: GitHub does not allow %q in the name of the %s", quote(s.text), c, what)
	}
	return nil
}

// context reads what follows the repository, or the whole of a customized subject.
func (s *subject) context(begin int, partial bool) *flaw {
	previous := ""
	for begin <= len(s.text) {
		end, last := next(s.text, begin)
		name := s.text[begin:end]
		if name == "pull_request" {
			s.pullRequest, previous, begin = true, name, end+1
			continue
		}
		if last && partial && (beginsClaim(name) || strings.HasPrefix("pull_request", name)) {
			return nil
		}
		if !isSubjectClaim(name) {
			return s.unknown(name, previous)
		}
		if last {
			return never("add a value after "+name+":", "%s never matches: %s has no value", quote(s.text), quote(name))
		}
		begin = end + 1
		end, last = next(s.text, begin)
		value := span{begin, end}
		s.pairs = append(s.pairs, pairOfClaim{name, value})
		if f := s.checkValue(name, value, last && partial); f != nil {
			return f
		}
		previous, begin = name, end+1
	}
	return nil
}

// next returns where the part that begins at begin ends, and whether it is the last.
func next(text string, begin int) (end int, last bool) {
	if i := strings.IndexByte(text[begin:], ':'); i >= 0 {
		return begin + i, false
	}
	return len(text), true
}

func (s *subject) unknown(name, previous string) *flaw {
	lower := strings.ToLower(name)
	switch {
	case lower != name && (isSubjectClaim(lower) || lower == "pull_request"):
		return never("write "+lower+" in lower case",
			"%s never matches: subjects are case-sensitive, and GitHub writes %s", quote(s.text), lower)
	case previous == "environment" || previous == "ref":
		return never("write each colon of the value as %3A",
			"%s never matches: GitHub writes a colon inside a value as %%3A, and %s is not a claim",
			quote(s.text), quote(name))
	case strings.HasPrefix(name, "refs/"):
		return never("write ref:"+plain.Shorten(name, maxValue), "%s never matches: a ref must follow ref:",
			quote(s.text))
	}
	return never("write environment:NAME, ref:refs/heads/BRANCH, ref:refs/tags/TAG or pull_request after OWNER/REPO",
		"%s never matches: environment:, ref: or pull_request must follow the repository, not %s",
		quote(s.text), quote(name))
}

func (s *subject) checkValue(name string, value span, cut bool) *flaw {
	text := value.of(s.text)
	if text == "" && !cut {
		return never("add a value after "+name+":", "%s never matches: %s has no value", quote(s.text), quote(name))
	}
	if strings.TrimSpace(text) != text && !cut && value.end == len(s.text) {
		return never("remove the white space", "%s never matches: no subject ends with white space", quote(s.text))
	}
	if name != "ref" {
		return nil
	}
	fits := func(kind string) bool {
		return strings.HasPrefix(text, kind) && len(text) > len(kind) ||
			cut && (strings.HasPrefix(kind, text) || strings.HasPrefix(text, kind))
	}
	if !slices.ContainsFunc(refKinds, fits) {
		return never("write the whole ref, ref:refs/heads/BRANCH or ref:refs/tags/TAG",
			"%s never matches: a ref begins with refs/heads/ or refs/tags/, and %s does not", quote(s.text),
			quote(text))
	}
	return nil
}

// whole reports whether the repository is complete, for a subject of which only the beginning is known.
func (s subject) whole() bool { return !s.repo.empty() && max(s.repo.end, s.repoID.end) < len(s.text) }

// hyphenForm reports whether a subject has the form of May 2026 with IDs after hyphens. GitHub withdrew it; IDs
// follow an @.
func (s subject) hyphenForm() bool {
	numbered := func(name string) bool {
		i := strings.LastIndexByte(name, '-')
		return i > 0 && i+1 < len(name) && strings.Trim(name[i+1:], "0123456789") == ""
	}
	return s.ownerID.empty() && numbered(s.owner.of(s.text)) && numbered(s.repo.of(s.text))
}

// ownerKeys are the claims of a customized subject that identify its owner.
var ownerKeys = []string{
	"actor", "actor_id", "enterprise", "enterprise_id", "job_workflow_ref", "repository", "repository_id",
	"repository_owner", "repository_owner_id", "workflow_ref", "sha", "workflow_sha", "job_workflow_sha", "run_id",
	"check_run_id", "environment_node_id",
}
