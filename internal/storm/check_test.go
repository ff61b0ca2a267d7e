package storm

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/org/hubspoke-chain/internal/runner"
)

// check is a hop that has ended, to be checked.
type check struct {
	conditions   conditions
	job          job
	log          string
	stderr       string
	status       int
	secrets      []string // that the lab issued
	holder       func(accessKeyID, secretAccessKey, sessionToken string) (arn string, expires time.Time)
	took         time.Duration
	timeout      time.Duration
	interruption interruption
}

// killed reports whether a signal ended the step.
func (c check) killed() bool { return c.status < 0 }

// cutShort reports whether a step may have been killed after a full disk cut a write short and before it was undone.
func (c check) cutShort() bool { return c.killed() && c.interruption.full }

// grace is how long a step may run after its timeout.
const grace = time.Second

// all returns everything that is wrong.
func (c check) all() (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.took > c.timeout+grace {
		add("the step took %s, and its timeout is %s", c.took.Round(time.Millisecond), c.timeout)
	}
	// SIGINT and SIGTERM kill the process only before main runs, and then the log is empty.
	killable := c.interruption.signal == syscall.SIGKILL || c.log == ""
	if c.status != 0 && c.status != 1 && !(c.killed() && killable) {
		add("the exit status is %d", c.status)
	}
	if c.status != 0 && !c.conditions.mayFail() && c.interruption == (interruption{}) {
		add("nothing went wrong, and the step failed")
	}
	if c.stderr != "" { // the runner reads it separately, so a mask may come too late
		add("the step wrote to stderr: %.2000s", c.stderr)
	}
	problems = append(problems, c.logProblems()...)
	problems = append(problems, c.fileProblems()...)
	problems = append(problems, c.folderProblems()...)
	if len(problems) > 0 || c.status != 0 {
		return problems
	}
	return c.sessionProblems()
}

func (c check) logProblems() (problems []string) {
	masked := map[string]bool{}
	errors := 0
	for line := range strings.Lines(c.log) {
		line = strings.TrimSuffix(line, "\n")
		if value, found := strings.CutPrefix(line, "::add-mask::"); found {
			masked[value] = true
			if !slices.Contains(c.secrets, value) && !c.mayMask(value) {
				problems = append(problems, fmt.Sprintf("%q is masked and is not a secret", value))
			}
			continue
		}
		if isForged(line) {
			problems = append(problems, fmt.Sprintf("the log has a command that is not the action's: %q", line))
		}
		if strings.HasPrefix(line, "::error ") || strings.HasPrefix(line, "::error::") {
			errors++
		}
		for _, secret := range c.secrets {
			if strings.Contains(line, secret) && !masked[secret] {
				problems = append(problems, "a secret is in the log before its mask")
			}
			if n := len(secret); n > 100 && strings.Contains(line, secret[n-60:n-30]) {
				problems = append(problems, "a part of a secret is in the log")
			}
		}
	}
	if errors != min(c.status, 1) && !c.killed() {
		problems = append(problems, fmt.Sprintf("the exit status is %d, and there are %d error annotations", c.status, errors))
	}
	return problems
}

// mayMask reports whether a value that is not a secret of the lab may be masked: an account ID if the input asks for
// it, and the second value of an answer with duplicated fields.
func (c check) mayMask(value string) bool {
	return c.conditions.inputs["MASK-AWS-ACCOUNT-ID"] == "true" && account.MatchString(value) ||
		c.conditions.has("duplicated") && slices.Contains(duplicates, value)
}

var (
	account    = regexp.MustCompile(`^[0-9]{12}$`)
	duplicates = []string{"ASIADUPLICATED000000", "e30.e30.e30"}
)

// isForged reports whether the runner takes a line for a command that the action never issues.
func isForged(line string) bool {
	command := strings.HasPrefix(strings.TrimSpace(line), "::")
	own := slices.ContainsFunc([]string{"::error title=hubspoke-chain::", "::warning::", "::notice::"},
		func(own string) bool { return strings.HasPrefix(line, own) })
	return command && !own || strings.Contains(line, "##[")
}

// The variables and outputs that a step sets, by the kind of export.
var (
	keys      = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
	regions   = []string{"AWS_REGION", "AWS_DEFAULT_REGION"}
	expiry    = []string{"AWS_CREDENTIAL_EXPIRATION"}
	profiles  = []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_SDK_LOAD_CONFIG", "HUBSPOKE_CHAIN_CLEAN_UP"}
	outputs   = []string{"aws-expiration", "oidc-subject"}
	ofOne     = []string{"aws-account-id", "authenticated-arn"}
	secretOut = []string{"aws-access-key-id", "aws-secret-access-key", "aws-session-token"}
)

// expected returns the variables and outputs of a successful hop.
func (c conditions) expected() (variables, out []string) {
	out = slices.Clone(outputs)
	if c.spokes == 0 {
		out = append(out, ofOne...)
	}
	if c.inputs["OUTPUT-CREDENTIALS"] == "true" {
		out = append(out, secretOut...)
	}
	if c.inVariables() {
		return slices.Concat(keys, regions, expiry), out
	}
	variables = slices.Clone(profiles)
	if c.spokes == 0 {
		variables = slices.Concat(variables, regions, []string{"AWS_PROFILE"})
	}
	if c.inputs["AUTO-REFRESH"] != "true" {
		variables = append(variables, expiry...)
	}
	return variables, out
}

func (c check) fileProblems() (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	variables, out := c.conditions.expected()
	want := map[string][]string{"GITHUB_ENV": variables, "GITHUB_OUTPUT": out, "GITHUB_STATE": nil}
	if slices.Contains(variables, "AWS_CONFIG_FILE") {
		want["GITHUB_STATE"] = []string{"folder"}
	}
	for _, name := range commandFiles {
		text, readable := c.job.read(name)
		if !readable {
			continue // it was damaged
		}
		if name == "GITHUB_STEP_SUMMARY" {
			for _, secret := range c.secrets {
				if strings.Contains(text, secret) {
					add("a secret is in the job summary")
				}
			}
			continue
		}
		pairs, err := runner.ParseCommandFile(text)
		if err != nil && !c.cutShort() {
			add("%s cannot be read by the runner: %v", name, err)
		}
		var set []string
		for _, p := range pairs {
			if p.Name == "FROM_BEFORE" {
				continue
			}
			if p.Value != "" {
				set = append(set, p.Name)
			}
			c.secretsIn(name, p, add)
		}
		c.complete(name, set, want[name], add)
	}
	return problems
}

// complete checks that a file sets everything expected, each once, or after a failure nothing.
func (c check) complete(name string, set, want []string, add func(string, ...any)) {
	set, want = slices.Sorted(slices.Values(set)), slices.Sorted(slices.Values(want))
	switch {
	case c.killed() && len(set) == 0 || c.cutShort():
	case c.killed() && !slices.Equal(set, want):
		add("the step was killed, and %s sets %q: neither all nor nothing", name, set)
	case c.killed():
	case c.status != 0 && len(set) > 0:
		add("the step failed, and %s sets %q", name, set)
	case c.status == 0 && !slices.Equal(set, want):
		add("%s sets %q, want %q", name, set, want)
	}
}

// secretsIn checks that a secret is only in the variables and outputs meant for it, and masked.
func (c check) secretsIn(file string, p runner.Pair, add func(string, ...any)) {
	for _, secret := range c.secrets {
		if !strings.Contains(p.Value, secret) {
			continue
		}
		if p.Value != secret || !slices.Contains(keys, p.Name) && !slices.Contains(secretOut, p.Name) {
			add("%s holds a secret in %s", file, p.Name)
		}
		if !strings.Contains(c.log, "::add-mask::"+secret+"\n") {
			add("%s of %s was never masked", p.Name, file)
		}
	}
}

// folderProblems checks what the step left in the temp directory: one folder of profiles that only its owner can
// read, or nothing.
func (c check) folderProblems() (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	commands := filepath.Dir(c.job.env["GITHUB_ENV"])
	entries, err := os.ReadDir(commands)
	if err != nil {
		return []string{err.Error()}
	}
	for _, entry := range entries {
		if !slices.Contains(commandFiles, entry.Name()) {
			add("%s is left among the command files", entry.Name())
		}
	}
	entries, err = os.ReadDir(c.job.temp)
	if err != nil {
		return []string{err.Error()}
	}
	variables, _ := c.conditions.expected()
	want := 0
	if c.status == 0 && slices.Contains(variables, "AWS_CONFIG_FILE") {
		want = 1
	}
	if len(entries) != want && !c.killed() {
		add("the temp directory has %d entries, want %d", len(entries), want)
	}
	for _, entry := range entries {
		folder := filepath.Join(c.job.temp, entry.Name())
		err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				add("%s has mode %v", filepath.Base(path), info.Mode())
			}
			return err
		})
		if err != nil {
			add("%v", err)
		}
	}
	return problems
}
