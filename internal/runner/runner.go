// Package runner reimplements how GitHub's runner runs a step of a container action and a run: step after it. It
// creates the command files and the environment, reads the log for workflow commands and masks values. It reads the
// files when the step has ended, and runs the post steps at the end of the job. The demo shows its log and the tests
// check what it stores, so it is a transcription of actions/runner and not an improvement on it: where the runner is
// lenient, so is this package.
//
// It follows actions/runner at 258d6c857db3 (2026-08-17); the comments name the file there.
package runner

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Job is the state that the runner keeps between the steps of a job. Its directories are below one root, as on the
// host: the temp directory _temp with the command files and the home, and the workspace.
type Job struct {
	Temp      string            // the host's RUNNER_TEMP, absolute
	Workspace string            // the host's GITHUB_WORKSPACE, absolute
	Env       map[string]string // of later steps: the job's own and the variables from GITHUB_ENV
	Masks     Masks
	Owner     int // user id of the owner of the command files, the runner's; 0: the current user

	status    jobStatus
	posts     []post
	container *JobContainer // nil for a job on the host
}

// The directories below the temp directory, as ContainerActionHandler.cs names them.
const (
	fileCommands = "_runner_file_commands"
	home         = "_github_home"
	workflow     = "_github_workflow"
)

// NewJob creates the directories of a job below root, which must exist.
func NewJob(root string) (*Job, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	j := &Job{Temp: filepath.Join(root, "_temp"), Workspace: filepath.Join(root, "repo", "repo"), Env: map[string]string{}}
	for _, dir := range []string{filepath.Join(j.Temp, fileCommands), filepath.Join(j.Temp, home), filepath.Join(j.Temp, workflow), j.Workspace} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	return j, os.WriteFile(filepath.Join(j.Temp, workflow, "event.json"), []byte("{}\n"), 0o644)
}

// commandFiles are the files of each step: the variable and the prefix of the file's name (FileCommandManager.cs).
var commandFiles = []struct{ env, prefix string }{
	{"GITHUB_ENV", "set_env_"},
	{"GITHUB_OUTPUT", "set_output_"},
	{"GITHUB_STATE", "save_state_"},
	{"GITHUB_PATH", "add_path_"},
	{"GITHUB_STEP_SUMMARY", "step_summary_"},
}

// Step is one step while it runs.
type Step struct {
	Log    *Log
	job    *Job
	action Action
	with   map[string]string
	state  []Pair // what the stages have saved so far
	env    map[string]string
	paths  map[string]string // of the command files, by variable
	script string            // path of a run: step's script; empty: it uses an action
}

// Start creates the command files and the environment of a step that uses the action with the inputs. state is
// what an earlier stage of the same step saved.
func (j *Job) Start(action Action, with map[string]string, state []Pair) (*Step, error) {
	if _, err := evaluateIf(action.Runs.PostIf, jobSucceeded, nil); err != nil {
		return nil, fmt.Errorf("post-if: %w", err)
	}
	inputs, err := action.inputs(with, j.Temp)
	if err != nil {
		return nil, err
	}
	s, err := j.start()
	if err != nil {
		return nil, err
	}
	s.action, s.with, s.state = action, with, slices.Clone(state)
	for name, value := range inputs {
		s.env[inputVariable(name)] = value
	}
	for _, p := range state {
		s.env["STATE_"+p.Name] = p.Value
	}
	s.env["HOME"] = filepath.Join(j.Temp, home)
	return s, nil
}

// start creates what every kind of step has.
func (j *Job) start() (*Step, error) {
	s := &Step{job: j, env: map[string]string{}, paths: map[string]string{}, Log: &Log{masks: &j.Masks}}
	for name, value := range j.Env {
		s.env[name] = value
	}
	id := strings.ToLower(rand.Text())
	for _, f := range commandFiles {
		path := filepath.Join(j.Temp, fileCommands, f.prefix+id)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return nil, err
		}
		if j.Owner != 0 {
			if err := os.Chown(path, j.Owner, j.Owner); err != nil {
				return nil, err
			}
		}
		s.paths[f.env], s.env[f.env] = path, path
	}
	for name, value := range map[string]string{
		"GITHUB_ACTIONS":    "true",
		"CI":                "true",
		"GITHUB_WORKSPACE":  j.Workspace,
		"GITHUB_EVENT_PATH": filepath.Join(j.Temp, workflow, "event.json"),
		"RUNNER_TEMP":       j.Temp,
		"RUNNER_WORKSPACE":  filepath.Dir(j.Workspace),
		"RUNNER_OS":         "Linux",
	} {
		s.env[name] = value
	}
	return s, nil
}

// inputVariable returns the name of an input's variable. Hyphens stay (Handler.cs).
func inputVariable(name string) string {
	return "INPUT_" + strings.ToUpper(strings.ReplaceAll(name, " ", "_"))
}

// Env returns the step's environment as a process on the host would get it, sorted.
func (s *Step) Env() []string {
	var env []string
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// Path returns the host's path of one of the step's command files, GITHUB_ENV for example.
func (s *Step) Path(env string) string { return s.paths[env] }

// Args returns the arguments of action.yml with this step's inputs substituted.
func (s *Step) Args() ([]string, error) {
	var args []string
	for _, arg := range s.action.Runs.Args {
		value, err := evaluate(arg, func(name string) (string, bool) {
			input, found := strings.CutPrefix(name, "inputs.")
			value, set := s.env[inputVariable(input)]
			return value, found && set
		})
		if err != nil {
			return nil, fmt.Errorf("runs.args: %w", err)
		}
		args = append(args, value)
	}
	return args, nil
}

// Result is what the runner keeps after a step.
type Result struct {
	Env, Output, State []Pair
	Path               []string
	Summary            string // masked, as it is uploaded
	Err                error  // a command file that does not parse: the runner then fails the step
}

// End reads the command files and exports the variables to the job. The runner does so whatever the exit status
// was, and applies what precedes an invalid line (ActionRunner.cs, FileCommandManager.cs).
func (s *Step) End() (Result, error) {
	s.Log.flush()
	var r Result
	for _, f := range commandFiles {
		text, err := os.ReadFile(s.paths[f.env])
		if err != nil {
			return Result{}, fmt.Errorf("reading %s: %w", f.env, err)
		}
		switch f.env {
		case "GITHUB_STEP_SUMMARY":
			r.Summary = s.summary(string(text))
			continue
		case "GITHUB_PATH":
			r.Path = strings.FieldsFunc(string(text), func(c rune) bool { return c == '\r' || c == '\n' })
			continue
		}
		pairs, err := ParseCommandFile(string(text))
		if err != nil && r.Err == nil {
			r.Err = fmt.Errorf("%s: %w", f.env, err)
		}
		switch f.env {
		case "GITHUB_ENV":
			r.Env = pairs
		case "GITHUB_OUTPUT":
			r.Output = pairs
		case "GITHUB_STATE":
			r.State = pairs
		}
	}
	s.state = append(s.state, r.State...)
	if r.Err != nil {
		s.job.fail()
	}
	for _, p := range r.Env {
		if p.Name == "NODE_OPTIONS" { // the one variable that the runner rejects
			continue
		}
		s.job.Env[p.Name] = p.Value
	}
	return r, nil
}

// fail marks the job as failed; a canceled job stays canceled.
func (j *Job) fail() {
	if j.status == jobSucceeded {
		j.status = jobFailed
	}
}

// maxSummary is the size in bytes above which the runner does not upload a summary (CreateStepSummaryCommand).
const maxSummary = 1 << 20

func (s *Step) summary(text string) string {
	if len(text) > maxSummary {
		return ""
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(s.job.Masks.Hide(line))
	}
	return b.String()
}
