//go:build docker

package e2e

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// scene is a job on a runner, and the lab that replaces GitHub and AWS.
type scene struct {
	lab     *lab.Lab
	servers *lab.Servers
	runner  *runner.Job

	inContainer bool // the job has a container, in which its scripts run
}

func newScene(t *testing.T, job string, options lab.Options) *scene {
	t.Helper()
	l, servers := startLab(t, options)
	root := t.TempDir()
	r, err := runner.NewJob(root)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Env, requestEnv(t, l, servers, job))
	r.Env["AWS_ENDPOINT_URL_STS"] = servers.STSURL // for the AWS CLI; the action takes it from its input alone
	s := &scene{lab: l, servers: servers, runner: r}
	if os.Getuid() == 0 {
		r.Owner = runnerUID
		s.giveToRunner(t, root)
	}
	return s
}

// runnerUID is the user that the runner runs as on GitHub's machines. The containers run as root and the runner
// does not. If the tests do not run as root, the current user is the runner's user.
const runnerUID = 1001

// giveToRunner changes the owner of a directory and its contents to the runner's user. It also makes the parent
// directories accessible, which the testing package creates without access for others.
func (s *scene) giveToRunner(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, runnerUID, runnerUID))
	}); err != nil {
		t.Fatal(err)
	}
}

// start starts a step that hops to staging, with these inputs on top.
func (s *scene) start(t *testing.T, with map[string]string) *runner.Step {
	t.Helper()
	inputs := map[string]string{
		"aws-region": "us-east-1", "hub-role-to-assume": hubRole, "role-to-assume": stagingRole,
	}
	maps.Copy(inputs, with)
	return s.use(t, inputs)
}

// use starts a step with these inputs, and the lab's STS.
func (s *scene) use(t *testing.T, with map[string]string) *runner.Step {
	t.Helper()
	inputs := map[string]string{"sts-endpoint": s.servers.STSURL}
	maps.Copy(inputs, with)
	step, err := s.runner.Start(readAction(t), inputs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return step
}

func commandFiles(step *runner.Step) map[string]string {
	paths := map[string]string{}
	for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"} {
		paths[name] = step.Path(name)
	}
	return paths
}

// container is the step's container as the runner runs it, but on the host's network: the lab listens on
// loopback, which a container on Docker's bridge does not reach.
func container(t *testing.T) runner.Container {
	name := strings.NewReplacer("/", "_", " ", "_").Replace(t.Name())
	return runner.Container{
		Image: image, Name: run + "_" + name, Label: run,
		Options: []string{"--network", "host"}, Environ: os.Environ(),
	}
}

// end runs the step to its end and returns what the runner keeps of it, after checking the invariants of every
// step.
func (s *scene) end(t *testing.T, step *runner.Step, c runner.Container, want int) runner.Result {
	t.Helper()
	status, stderr, err := step.RunContainer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s.check(t, step, status, stderr, want)
}

func (s *scene) check(t *testing.T, step *runner.Step, status int, stderr string, want int) runner.Result {
	t.Helper()
	if status != want || stderr != "" {
		t.Fatalf("the step ended with status %d, not %d, and wrote to stderr %q:\n%s", status, want, stderr, step.Log.Shown())
	}
	for name, path := range commandFiles(step) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		owner, isStat := info.Sys().(*syscall.Stat_t)
		if !isStat || owner.Uid == 0 || info.Mode() != 0o644 {
			t.Errorf("%s is %s of user %v now: the runner's next step could not handle it", name, info.Mode(), owner)
		}
	}
	raw := step.Log.Raw()
	for _, secret := range s.lab.Secrets() {
		mask := slices.Index(raw, "::add-mask::"+secret)
		printed := slices.IndexFunc(raw, func(line string) bool { return strings.Contains(line, secret) })
		if printed >= 0 && printed != mask {
			t.Errorf("a secret is printed in line %d and masked in line %d (-1 for never)", printed+1, mask)
		}
		if strings.Contains(step.Log.Shown(), secret) {
			t.Error("the log shows a secret")
		}
	}
	result, err := step.End()
	if err != nil {
		t.Fatal(err)
	}
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	for _, secret := range s.lab.Secrets() {
		if strings.Contains(result.Summary, secret) {
			t.Error("the job summary holds a secret")
		}
	}
	return result
}

// names returns the names of the pairs, sorted.
func names(pairs []runner.Pair) []string {
	var names []string
	for _, p := range pairs {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

func value(pairs []runner.Pair, name string) string {
	for _, p := range pairs {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// callerIdentity calls GetCallerIdentity with the AWS CLI, in the environment of a later step.
func (s *scene) callerIdentity(t *testing.T) string {
	t.Helper()
	command := exec.Command("aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(s.runner.Temp, "_github_home")}
	for name, value := range s.runner.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	arn, err := output(command)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// checkHub checks that the ID token and the hub's credentials, which only the hop may use, are in none of the
// step's outputs.
func (s *scene) checkHub(t *testing.T, result runner.Result) {
	t.Helper()
	kept := 0
	for _, secret := range s.lab.Secrets() {
		if slices.ContainsFunc(result.Env, func(p runner.Pair) bool { return p.Value == secret }) {
			continue // the spoke's
		}
		kept++
		for _, p := range slices.Concat(result.Env, result.Output, result.State) {
			if strings.Contains(p.Value, secret) {
				t.Errorf("%s holds a secret that is not the spoke's", p.Name)
			}
		}
	}
	if kept != 5 { // the request token, the ID token, and the hub's three
		t.Errorf("the lab issued %d secrets besides the spoke's, want 5", kept)
	}
}
