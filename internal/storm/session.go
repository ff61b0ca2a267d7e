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

// found are credentials where a step has left them.
type found struct {
	where          string
	role           string // whose they have to be
	id, key, token string
}

// sessionProblems holds what a hop that worked has exported to the lab: each set of credentials is of one session, that of
// the role which was asked for there, and the first end that is told is the sessions' own.
func (c check) sessionProblems() (problems []string) {
	sets, err := c.found()
	if err != nil {
		return []string{err.Error()}
	}
	var first time.Time
	for _, f := range sets {
		arn, expires := c.holder(f.id, f.key, f.token)
		if want := session(f.role); !strings.HasPrefix(arn, want) {
			problems = append(problems, fmt.Sprintf("the credentials in %s are those of %q, want %s", f.where, arn, want))
		}
		if first.IsZero() || expires.Before(first) {
			first = expires
		}
	}
	if first.IsZero() || c.weather.has("expired-credentials") { // nothing to compare; or STS has told another end, which a clock that jumped makes one to come
		return problems
	}
	text, _ := c.job.read("GITHUB_OUTPUT")
	told := pairs(text)["aws-expiration"]
	if want := first.UTC().Format(time.RFC3339); len(sets) > 0 && told != "" && told != want {
		problems = append(problems, fmt.Sprintf("aws-expiration is %s, and the sessions end at %s", told, want))
	}
	return problems
}

// session is what the ARN of a role's session begins with.
func session(role string) string {
	return strings.Replace(strings.Replace(role, ":iam::", ":sts::", 1), ":role/", ":assumed-role/", 1) + "/"
}

// found gives all credentials that the step has exported; none where the weather took the file.
func (c check) found() (sets []found, err error) {
	roles := c.weather.roles()
	if env, readable := c.job.read("GITHUB_ENV"); readable && c.weather.inVariables() {
		set := pairs(env)
		sets = append(sets, found{"GITHUB_ENV", roles[""], set[keys[0]], set[keys[1]], set[keys[2]]})
	}
	if output, readable := c.job.read("GITHUB_OUTPUT"); readable && c.weather.inputs["OUTPUT-CREDENTIALS"] == "true" {
		set := pairs(output)
		sets = append(sets, found{"GITHUB_OUTPUT", roles[""], set[secretOut[0]], set[secretOut[1]], set[secretOut[2]]})
	}
	if c.weather.inVariables() {
		return sets, nil
	}
	folders, err := filepath.Glob(filepath.Join(c.job.temp, "hubspoke-chain-*"))
	if err != nil || len(folders) != 1 {
		return nil, fmt.Errorf("there are %d folders of profiles: %w", len(folders), err)
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

// inVariables tells whether the credentials are exported as variables, and not as profiles.
func (w weather) inVariables() bool {
	return w.spokes == 0 && w.inputs["AWS-PROFILE"] == "" && w.inputs["AUTO-REFRESH"] != "true"
}

// inFolder gives the credentials of a profile, from the file of credentials or from the cache of its process.
func (c check) inFolder(folder, name string) (found, error) {
	if name == "" {
		name = c.weather.inputs["AWS-PROFILE"]
	}
	if c.weather.inputs["AUTO-REFRESH"] == "true" {
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
	return found{where: "the profile " + name, id: set["aws_access_key_id"], key: set["aws_secret_access_key"], token: set["aws_session_token"]}, nil
}

// pairs are those of a command file, the last of each name.
func pairs(text string) map[string]string {
	all, _ := runner.ParseCommandFile(text) // what cannot be read is told elsewhere
	set := map[string]string{}
	for _, p := range all {
		set[p.Name] = p.Value
	}
	return set
}
