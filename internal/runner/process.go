package runner

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"time"
)

// killAfter is how long the runner waits after a cancellation before it kills the process: 7.5 s after SIGINT and
// 2.5 s after SIGTERM (ProcessInvoker.cs).
const killAfter = 10 * time.Second

// Run runs the step as a process on the host instead of in a container, with the arguments of action.yml and only
// the step's environment. Canceling the context cancels the step as the runner does, with SIGINT first. Run
// returns the exit status, or -1 if a signal ended the process. The step's stderr is returned separately, and
// follows the rest in the log. The error reports that the step could not be run. The job's Finish runs the post
// stage.
func (s *Step) Run(ctx context.Context, program string) (status int, stderr string, err error) {
	s.register(func(ctx context.Context, post *Step) (int, string, error) { return post.process(ctx, program, Post) })
	return s.process(ctx, program, Main)
}

// process runs a stage. In a container the stages differ in the entrypoint, which is the program under another
// name; here the program is started under that name.
func (s *Step) process(ctx context.Context, program string, stage Stage) (status int, stderr string, err error) {
	args, err := s.Args()
	if err != nil {
		return 0, "", err
	}
	command := exec.CommandContext(ctx, program, args...)
	if name := s.entrypoint(stage); name != "" {
		command.Args[0] = name
	}
	command.Env = s.Env()
	command.Dir = s.job.Workspace
	return s.run(ctx, command)
}

// run runs the step's command.
func (s *Step) run(ctx context.Context, command *exec.Cmd) (status int, stderr string, err error) {
	var separate bytes.Buffer
	command.Stdout, command.Stderr = s.Log, &separate
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = killAfter
	err = command.Run()
	if command.ProcessState == nil {
		return 0, "", err
	}
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) && ctx.Err() == nil {
		return 0, "", err
	}
	switch status = command.ProcessState.ExitCode(); {
	case ctx.Err() != nil:
		s.job.status = jobCancelled // a cancellation always applies to the job here, never to one step
	case status != 0:
		s.job.fail()
	}
	_, err = s.Log.Write(separate.Bytes())
	return status, separate.String(), err
}
