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

// The stages. They differ only in the entrypoint: each is a new container of the same image, with the same
// arguments and inputs (ContainerActionHandler.cs).
const (
	Main Stage = iota
	Pre
	Post
)

// Container configures how a step's container is run.
type Container struct {
	Image   string   // name or id of an image that exists on the engine
	Name    string   // of the container, unique on the engine
	Label   string   // used to find containers that were left behind
	Stage   Stage    // Main unless set
	Options []string // of docker run, after those that the runner sets
	OldTemp bool     // a runner before v2.329, which does not mount its temp directory
	Environ []string // of the docker CLI, overridden by the step's own: where its engine is, for example
}

// mount is a directory of the host and its path in the container. The runner also uses it to translate paths in
// the environment.
type mount struct{ host, container string }

// mounts returns the mounts in the order in which ContainerActionHandler.cs adds them. The runner mounts the
// engine's socket too. It is omitted here: the action does not need it, and it would give the code under test full
// control of the host.
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

// translate returns the container's path for a value that is, or begins with, a path of the host. Paths further
// inside a value are not translated. The mapping that was added last is tried first, so that the directories in
// the temp directory take precedence over it (ContainerInfo.cs).
func translate(mounts []mount, value string) string {
	for _, m := range slices.Backward(mounts) {
		if rest, found := strings.CutPrefix(value, m.host); found && (rest == "" || rest[0] == '/') {
			return m.container + rest
		}
	}
	return value
}

// DockerRun returns the arguments of the docker CLI that run the step, and the environment variables that the CLI
// needs in addition to its own. The arguments contain the names of the variables but none of their values, so that
// no secret is on a command line. Values are translated to the container's paths; the action's arguments are not
// (DockerCommandManager.cs).
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

// entrypoint returns the action's entrypoint for the stage. For main, it is the step's with: entrypoint if the
// action has none. Empty means the image's own.
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

// RunContainer runs the step in a container with the docker CLI on the PATH; otherwise it behaves like Run. A
// cancellation signals only the CLI, which forwards the signal. A container that does not stop is left running, as
// in the runner. The post stage's container name ends in _post.
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
