package storm

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/runner"
)

// found is one set of credentials that a step exported.
type found struct {
	where          string
	role           string // that they must belong to
	id, key, token string
}

// sessionProblems checks the exports of a successful hop against the lab: each set of credentials belongs to one
// session of the role requested for it, and aws-expiration is when the first session expires.
func (c check) sessionProblems() (problems []string) {
	sets, err := c.found()
	if err != nil {
		return []string{err.Error()}
	}
	var first time.Time
	for _, f := range sets {
		arn, expires := c.holder(f.id, f.key, f.token)
		if want := session(f.role); !strings.HasPrefix(arn, want) {
			problems = append(problems, fmt.Sprintf("the credentials in %s belong to %q, want %s", f.where, arn, want))
		}
		if first.IsZero() || expires.Before(first) {
			first = expires
		}
	}
	// With expired-credentials STS reports another expiration, which lies in the future if the clock has jumped.
	if first.IsZero() || c.conditions.has("expired-credentials") {
		return problems
	}
	text, _ := c.job.read("GITHUB_OUTPUT")
	expiration := pairs(text)["aws-expiration"]
	if want := first.UTC().Format(time.RFC3339); len(sets) > 0 && expiration != "" && expiration != want {
		problems = append(problems, fmt.Sprintf("aws-expiration is %s, and the sessions expire at %s", expiration, want))
	}
	return problems
}

// session returns the beginning of the ARN of a role's session.
func session(role string) string {
	return strings.Replace(strings.Replace(role, ":iam::", ":sts::", 1), ":role/", ":assumed-role/", 1) + "/"
}

// found returns all credentials that the step exported, except those in a file that was damaged.
func (c check) found() (sets []found, err error) {
	roles := c.conditions.roles()
	if env, readable := c.job.read("GITHUB_ENV"); readable && c.conditions.inVariables() {
		set := pairs(env)
		sets = append(sets, found{"GITHUB_ENV", roles[""], set[keys[0]], set[keys[1]], set[keys[2]]})
	}
	if output, readable := c.job.read("GITHUB_OUTPUT"); readable && c.conditions.inputs["OUTPUT-CREDENTIALS"] == "true" {
		set := pairs(output)
		sets = append(sets, found{"GITHUB_OUTPUT", roles[""], set[secretOut[0]], set[secretOut[1]], set[secretOut[2]]})
	}
	if c.conditions.inVariables() {
		return sets, nil
	}
	folders, err := filepath.Glob(filepath.Join(c.job.temp, "hubspoke-chain-*"))
	if err != nil || len(folders) != 1 {
		return nil, fmt.Errorf("there are %d profile folders: %w", len(folders), err)
	}
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		f, err := c.inFolder(folders[0], name)
		if err != nil {
			return nil, err
		}
		f.role = roles[name]
		sets = append(sets, f)
	}
	return sets, nil
}

// inVariables reports whether the credentials are exported as variables, not as profiles.
func (c conditions) inVariables() bool {
	return c.spokes == 0 && c.inputs["AWS-PROFILE"] == "" && c.inputs["AUTO-REFRESH"] != "true"
}

// inFolder returns the credentials of a profile, from the credentials file or the cache of its credential process.
func (c check) inFolder(folder, name string) (found, error) {
	if name == "" {
		name = c.conditions.inputs["AWS-PROFILE"]
	}
	if c.conditions.inputs["AUTO-REFRESH"] == "true" {
		if name == "" {
			name = "hubspoke-chain"
		}
		var cache struct {
			Session struct{ AccessKeyID, SecretAccessKey, SessionToken string }
		}
		text, err := os.ReadFile(filepath.Join(folder, name+".cache"))
		if err != nil {
			return found{}, err
		}
		if err := json.Unmarshal(text, &cache); err != nil {
			return found{}, err
		}
		s := cache.Session
		return found{where: name + ".cache", id: s.AccessKeyID, key: s.SecretAccessKey, token: s.SessionToken}, nil
	}
	text, err := os.ReadFile(filepath.Join(folder, "credentials"))
	if err != nil {
		return found{}, err
	}
	_, section, _ := strings.Cut("\n"+string(text), "\n["+name+"]\n")
	section, _, _ = strings.Cut(section, "\n[")
	set := map[string]string{}
	for line := range strings.Lines(section) {
		setting, value, _ := strings.Cut(line, "=")
		set[strings.TrimSpace(setting)] = strings.TrimSpace(value)
	}
	return found{where: "the profile " + name,
		id: set["aws_access_key_id"], key: set["aws_secret_access_key"], token: set["aws_session_token"]}, nil
}

// pairs returns the values of a command file by name.
func pairs(text string) map[string]string {
	all, _ := runner.ParseCommandFile(text) // fileProblems reports an error
	set := map[string]string{}
	for _, p := range all {
		set[p.Name] = p.Value
	}
	return set
}
