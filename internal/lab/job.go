package lab

import (
	"fmt"
	"maps"
	"strings"
)

// GitHubIssuer is the iss of the tokens that github.com issues.
const GitHubIssuer = "https://token.actions.githubusercontent.com"

// Job is a workflow's job as its token describes it.
type Job struct {
	Name string
	// Form of the subject, legacy or immutable; immutable carries the ids of owner and repository.
	// GitHub Docs, "OpenID Connect reference".
	Form string
	// IncludeClaimKeys is the customized subject template; empty for the default, [repo context].
	IncludeClaimKeys []string
	// Claims except for the times, jti and aud. sub is computed unless it is set here. GitHub's are all strings;
	// others are for tests of tokens that must be rejected.
	Claims map[string]any
}

type jobFile struct {
	Subject          string         `json:"subject"`
	IncludeClaimKeys []string       `json:"includeClaimKeys"`
	Claims           map[string]any `json:"claims"`
}

// The forms of a subject.
const (
	legacyForm    = "legacy"    // repo:OWNER/REPO:...
	immutableForm = "immutable" // repo:OWNER@OWNER-ID/REPO@REPO-ID:...
)

// job fills in the claims that a file omits. A claim that is null in the file is omitted from the token.
func (f jobFile) job(name string) (Job, error) {
	job := Job{Name: name, Form: f.Subject, IncludeClaimKeys: f.IncludeClaimKeys, Claims: map[string]any{
		"iss": GitHubIssuer, "actor": "octocat", "actor_id": "583231", "event_name": "push",
		"repository": "octo-org/octo-repo", "repository_owner_id": "1234567", "repository_id": "89012345",
		"repository_visibility": "private", "ref": "refs/heads/main", "ref_protected": "false",
		"sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e", "base_ref": "", "head_ref": "", "workflow": "deploy",
		"run_id": "9876543210", "run_number": "42", "run_attempt": "1", "check_run_id": "31415926535",
		"runner_environment": "github-hosted",
	}}
	switch job.Form {
	case "":
		job.Form = immutableForm
	case legacyForm, immutableForm:
	default:
		return Job{}, fmt.Errorf("subject: %q is neither legacy nor immutable", job.Form)
	}
	maps.Copy(job.Claims, f.Claims)
	owner, _, _ := strings.Cut(job.claim("repository"), "/")
	derived := map[string]any{
		"repository_owner": owner,
		"ref_type":         "branch",
		"workflow_ref":     job.claim("repository") + "/.github/workflows/deploy.yml@" + job.claim("ref"),
		"workflow_sha":     job.claim("sha"),
	}
	if strings.HasPrefix(job.claim("ref"), "refs/tags/") {
		derived["ref_type"] = "tag"
	}
	// For a workflow that is not reusable, GitHub sets these to the values of the workflow itself.
	derived["job_workflow_ref"], derived["job_workflow_sha"] = derived["workflow_ref"], derived["workflow_sha"]
	for claim, value := range derived {
		if _, given := job.Claims[claim]; !given {
			job.Claims[claim] = value
		}
	}
	maps.DeleteFunc(job.Claims, func(_ string, value any) bool { return value == nil })
	return job, nil
}

// claim returns a claim that is a string.
func (j Job) claim(name string) string {
	s, _ := j.Claims[name].(string)
	return s
}

// Subject returns the sub of the job's tokens.
func (j Job) Subject() string {
	if _, given := j.Claims["sub"]; given {
		return j.claim("sub")
	}
	keys := j.IncludeClaimKeys
	if len(keys) == 0 {
		keys = []string{"repo", "context"}
	}
	parts := make([]string, 0, len(keys))
	for _, key := range keys {
		switch key {
		case "repo":
			parts = append(parts, "repo:"+j.repo())
		case "context":
			parts = append(parts, j.context())
		default:
			parts = append(parts, key+":"+escape(j.claim(key)))
		}
	}
	return strings.Join(parts, ":")
}

func (j Job) repo() string {
	owner, name, _ := strings.Cut(j.claim("repository"), "/")
	if j.Form == legacyForm {
		return escape(owner) + "/" + escape(name)
	}
	return escape(owner) + "@" + j.claim("repository_owner_id") + "/" + escape(name) + "@" + j.claim("repository_id")
}

// context returns the part of the subject that identifies the trigger: an environment takes precedence over a pull
// request, and that over a ref. A pull_request_target run counts as one of its ref.
func (j Job) context() string {
	switch {
	case j.claim("environment") != "":
		return "environment:" + escape(j.claim("environment"))
	case j.claim("event_name") == "pull_request":
		return "pull_request"
	}
	return "ref:" + escape(j.claim("ref"))
}

// escape prevents a value from looking like two parts of a subject.
func escape(s string) string { return strings.ReplaceAll(s, ":", "%3A") }
