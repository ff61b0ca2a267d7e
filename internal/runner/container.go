package runner

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Stage is the part of a step that a container runs.
type Stage int

// The stages. They differ in the entrypoint alone: each is a new container of the same image, with the
// same arguments and inputs (ContainerActionHandler.cs).
const (
	Main Stage = iota
	Pre
	Post
)

// Container says how a step's container is run.
type Container struct {
	Image   string   // name or id of an image that the engine has
	Name    string   // of the container, unique on the engine
	Label   string   // by which the runner finds containers that were left behind
	Stage   Stage    // Main unless set
	Options []string // of docker run, behind those that the runner gives
	OldTemp bool     // a runner before v2.329, which does not mount its temp directory
	Environ []string // of the docker CLI, under the step's own: where its engine is, for example
}

// mount is a directory of the host and where the container has it. That is the mapping too by which
// the runner translates the environment.
type mount struct{ host, container string }

// mounts are in the order in which ContainerActionHandler.cs adds them. It mounts the engine's socket as
// well, which is left out here: the action has no use for it, and it would make whatever is under
// test the master of the machine.
func (s *Step) mounts(c Container) []mount {
	mounts := []mount{
		{s.job.Temp, "/github/runner_temp"},
		{filepath.Join(s.job.Temp, home), "/github/home"},
		{filepath.Join(s.job.Temp, workflow), "/github/workflow"},
		{filepath.Join(s.job.Temp, fileCommands), "/github/file_commands"},
		{s.job.Workspace, "/github/workspace"},
	}
	if c.OldTemp {
		return mounts[1:]
	}
	return mounts
}

// translate gives the container's path for a value that is, or begins with, a path of the host. What
// stands further inside a value is not looked at. The mapping that was added last is tried first,
// so that the directories in the temp directory go before it (ContainerInfo.cs).
func translate(mounts []mount, value string) string {
	for _, m := range slices.Backward(mounts) {
		if rest, found := strings.CutPrefix(value, m.host); found && (rest == "" || rest[0] == '/') {
			return m.container + rest
		}
	}
	return value
}

// DockerRun gives the arguments of the docker CLI that run the step, and the environment that it needs
// for that on top of its own. The arguments name the variables and hold none of their values, with
// which no secret is on a command line. Values are translated to the container's paths; the
// action's arguments are not (DockerCommandManager.cs).
func (s *Step) DockerRun(c Container) (args, env []string, err error) {
	mounts := s.mounts(c)
	args = []string{"run", "--name", c.Name, "--label", c.Label, "--workdir", "/github/workspace", "--rm"}
	for _, variable := range s.Env() {
		name, value, _ := strings.Cut(variable, "=")
		args = append(args, "-e", name)
		env = append(env, name+"="+translate(mounts, value))
	}
	args = append(args, "-e", "GITHUB_ACTIONS=true")
	if _, set := s.env["CI"]; !set {
		args = append(args, "-e", "CI=true")
	}
	if entrypoint := s.entrypoint(c.Stage); entrypoint != "" {
		args = append(args, "--entrypoint", entrypoint)
	}
	for _, m := range mounts {
		args = append(args, "-v", m.host+":"+m.container)
	}
	args = append(args, c.Options...)
	args = append(args, c.Image)
	actionArgs, err := s.Args()
	return append(args, actionArgs...), env, err
}

// entrypoint is the action's for the stage; for main, the step's with: entrypoint where the action
// has none; empty for the image's own.
func (s *Step) entrypoint(stage Stage) string {
	switch stage {
	case Pre:
		return s.action.Runs.PreEntrypoint
	case Post:
		return s.action.Runs.PostEntrypoint
	}
	if s.action.Runs.Entrypoint != "" {
		return s.action.Runs.Entrypoint
	}
	return s.env[inputVariable("entrypoint")]
}

// RunContainer runs the step in a container by the docker CLI that is on the PATH, and is Run in all
// else. A cancellation reaches the CLI alone, which hands the signal on; a container that does not end
// by it is left running, as the runner leaves it. The post stage's container has _post behind its name.
func (s *Step) RunContainer(ctx context.Context, c Container) (status int, stderr string, err error) {
	if c.Stage == Main {
		s.register(func(ctx context.Context, post *Step) (int, string, error) {
			last := c
			last.Name, last.Stage = c.Name+"_post", Post
			return post.RunContainer(ctx, last)
		})
	}
	args, env, err := s.DockerRun(c)
	if err != nil {
		return 0, "", err
	}
	command := exec.CommandContext(ctx, "docker", args...)
	command.Env = append(slices.Clone(c.Environ), env...)
	return s.run(ctx, command)
}
