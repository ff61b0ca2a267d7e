package runner

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// StartScript creates the command files, the environment and the script file of a run: step with shell: sh
// (ScriptHandler.cs). Such a step has no inputs, and the runner does not set its HOME. Prepending the entries of
// GITHUB_PATH to its PATH is not implemented.
func (j *Job) StartScript(script string) (*Step, error) {
	s, err := j.start()
	if err != nil {
		return nil, err
	}
	s.script = filepath.Join(j.Temp, strings.ToLower(rand.Text())+".sh")
	return s, os.WriteFile(s.script, []byte(script), 0o644)
}

// RunScript runs a step of StartScript, in the job's container if there is one and otherwise on the host;
// otherwise it behaves like Run. environ is the runner's own environment, PATH and HOME above all. A process on
// the host inherits it, overridden by the step's variables; a container gets none of it.
func (s *Step) RunScript(ctx context.Context, environ []string) (status int, stderr string, err error) {
	command := exec.CommandContext(ctx, "sh", "-e", s.script)
	command.Env = slices.Concat(environ, s.Env())
	command.Dir = s.job.Workspace
	if c := s.job.container; c != nil {
		args, env := s.dockerExec(*c)
		command = exec.CommandContext(ctx, "docker", args...)
		command.Env = slices.Concat(c.Environ, env)
	}
	status, stderr, err = s.run(ctx, command)
	if err == nil && status != 0 {
		s.Log.flush()
		s.Log.annotate(Command{Name: "error", Data: fmt.Sprintf("Process completed with exit code %d.", status)})
	}
	return status, stderr, err
}

// JobContainer is the container: of a job. It runs for the whole job, and the run: steps are executed in it. Its
// image has sh and tail.
type JobContainer struct {
	Image   string   // name or id of an image that exists on the engine
	Name    string   // of the container, unique on the engine
	Label   string   // used to find containers that were left behind
	Options []string // of docker create, as in container.options
	Environ []string // of the docker CLI, overridden by the container's variables: where its engine is, for example
}

// jobMounts returns the mounts in the order in which ContainerOperationProvider.cs adds them. It omits the tools,
// the actions and the runner's externals, which do not exist here, and the engine's socket, for the same reason as
// mounts.
func (j *Job) jobMounts() []mount {
	return []mount{
		{filepath.Dir(j.Temp), "/__w"},
		{j.Temp, "/__w/_temp"},
		{filepath.Join(j.Temp, home), "/github/home"},
		{filepath.Join(j.Temp, workflow), "/github/workflow"},
	}
}

// dockerCreate returns the arguments of the docker CLI that create the job's container (DockerCommandManager.cs).
func (j *Job) dockerCreate(c JobContainer) []string {
	mounts := j.jobMounts()
	args := []string{"create", "--name", c.Name, "--label", c.Label, "--workdir", translate(mounts, j.Workspace)}
	args = append(args, c.Options...)
	args = append(args, "-e", "HOME=/github/home", "-e", "GITHUB_ACTIONS=true", "-e", "CI=true")
	for _, m := range mounts {
		args = append(args, "-v", m.host+":"+m.container)
	}
	return append(args, "--entrypoint", "tail", c.Image, "-f", "/dev/null")
}

// dockerExec returns the arguments of the docker CLI that execute the script in the job's container, and the
// environment variables that the CLI needs, as DockerRun does for a step's container (StepHost.cs).
func (s *Step) dockerExec(c JobContainer) (args, env []string) {
	mounts := s.job.jobMounts()
	args = []string{"exec", "-i", "--workdir", translate(mounts, s.job.Workspace)}
	for _, variable := range s.Env() {
		name, value, _ := strings.Cut(variable, "=")
		args = append(args, "-e", name)
		env = append(env, name+"="+translate(mounts, value))
	}
	return append(args, c.Name, "sh", "-e", translate(mounts, s.script)), env
}

// StartContainer creates and starts the job's container. Finish removes it, even if starting it failed.
func (j *Job) StartContainer(ctx context.Context, c JobContainer) error {
	j.container = &c
	for _, args := range [][]string{j.dockerCreate(c), {"start", c.Name}} {
		if err := docker(ctx, c.Environ, args); err != nil {
			return fmt.Errorf("starting the job's container: %w", err)
		}
	}
	return nil
}

func (j *Job) removeContainer(ctx context.Context) error {
	c := j.container
	if c == nil {
		return nil
	}
	j.container = nil
	if err := docker(ctx, c.Environ, []string{"rm", "--force", c.Name}); err != nil {
		return fmt.Errorf("removing the job's container: %w", err)
	}
	return nil
}

func docker(ctx context.Context, environ, args []string) error {
	command := exec.CommandContext(ctx, "docker", args...)
	command.Env = environ
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
