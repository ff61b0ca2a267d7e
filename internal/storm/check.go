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

// check is a hop that has ended.
type check struct {
	weather weather
	job     job
	log     string
	stderr  string
	status  int
	secrets []string // that the lab issued
	holder  func(accessKeyID, secretAccessKey, sessionToken string) (arn string, expires time.Time)
	took    time.Duration
	timeout time.Duration
	death   death
}

// killed tells whether nothing can be asked of the step's end: it had none of its own.
func (c check) killed() bool { return c.status < 0 }

// cutShort tells whether a step may have been killed between a write that a full disk cut short and its undoing.
func (c check) cutShort() bool { return c.killed() && c.death.full }

// grace is what a step may take beyond its timeout.
const grace = time.Second

// all gives what must not be, a line each.
func (c check) all() (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.took > c.timeout+grace {
		add("the step took %s, and its timeout is %s", c.took.Round(time.Millisecond), c.timeout)
	}
	if c.status != 0 && c.status != 1 && !(c.killed() && (c.death.signal == syscall.SIGKILL || c.log == "")) { // the other signals are heeded once main runs
		add("the exit status is %d", c.status)
	}
	if c.status != 0 && !c.weather.mayFail() && c.death == (death{}) {
		add("nothing went wrong, and the step failed")
	}
	if c.stderr != "" { // the runner reads it apart from the masks
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
				problems = append(problems, fmt.Sprintf("%q is masked, which is no secret", value))
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

// mayMask tells whether a value that is no secret of the lab may be masked: an account where that is asked for, and what
// the lab made up behind its own back.
func (c check) mayMask(value string) bool {
	return c.weather.inputs["MASK-AWS-ACCOUNT-ID"] == "true" && account.MatchString(value) || c.weather.has("duplicated") && slices.Contains(madeUp, value)
}

var (
	account = regexp.MustCompile(`^[0-9]{12}$`)
	madeUp  = []string{"ASIADUPLICATED000000", "e30.e30.e30"}
)

// isForged tells whether a line is, to the runner, a command that the action does not issue.
func isForged(line string) bool {
	command := strings.HasPrefix(strings.TrimSpace(line), "::")
	own := slices.ContainsFunc([]string{"::error title=hubspoke-chain::", "::warning::", "::notice::"}, func(own string) bool { return strings.HasPrefix(line, own) })
	return command && !own || strings.Contains(line, "##[")
}

// The variables of each way in which credentials are exported, and the outputs.
var (
	keys      = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
	regions   = []string{"AWS_REGION", "AWS_DEFAULT_REGION"}
	expiry    = []string{"AWS_CREDENTIAL_EXPIRATION"}
	profiles  = []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_SDK_LOAD_CONFIG", "HUBSPOKE_CHAIN_CLEAN_UP"}
	outputs   = []string{"aws-expiration", "oidc-subject"}
	ofOne     = []string{"aws-account-id", "authenticated-arn"}
	secretOut = []string{"aws-access-key-id", "aws-secret-access-key", "aws-session-token"}
)

// wanted are the variables and the outputs of a hop that worked.
func (w weather) wanted() (variables, out []string) {
	out = slices.Clone(outputs)
	if w.spokes == 0 {
		out = append(out, ofOne...)
	}
	if w.inputs["OUTPUT-CREDENTIALS"] == "true" {
		out = append(out, secretOut...)
	}
	if w.inVariables() {
		return slices.Concat(keys, regions, expiry), out
	}
	variables = slices.Clone(profiles)
	if w.spokes == 0 {
		variables = slices.Concat(variables, regions, []string{"AWS_PROFILE"})
	}
	if w.inputs["AUTO-REFRESH"] != "true" {
		variables = append(variables, expiry...)
	}
	return variables, out
}

func (c check) fileProblems() (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	variables, out := c.weather.wanted()
	want := map[string][]string{"GITHUB_ENV": variables, "GITHUB_OUTPUT": out, "GITHUB_STATE": nil}
	if slices.Contains(variables, "AWS_CONFIG_FILE") {
		want["GITHUB_STATE"] = []string{"folder"}
	}
	for _, name := range commandFiles {
		text, readable := c.job.read(name)
		if !readable {
			continue // the weather took it away
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

// complete holds what was set to what was wanted: all of it once, or with a failure none.
func (c check) complete(name string, set, want []string, add func(string, ...any)) {
	set, want = slices.Sorted(slices.Values(set)), slices.Sorted(slices.Values(want))
	switch {
	case c.killed() && len(set) == 0 || c.cutShort(): // nothing yet; or the half that a full disk took, before it was undone
	case c.killed() && !slices.Equal(set, want):
		add("the step was killed, and %s sets %q: neither all nor nothing", name, set)
	case c.killed():
	case c.status != 0 && len(set) > 0:
		add("the step failed, and %s sets %q", name, set)
	case c.status == 0 && !slices.Equal(set, want):
		add("%s sets %q, want %q", name, set, want)
	}
}

// secretsIn lets a secret be in the variables and outputs that are for it, masked, and nowhere else.
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

// folderProblems looks at what the step left in the temp directory: one folder for profiles, of the runner's user
// alone, or nothing.
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
	variables, _ := c.weather.wanted()
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

// retries counts the lines that tell of one.
func (b *lockedBuffer) retries() int { return strings.Count(b.String(), "\n  retry    ") }
