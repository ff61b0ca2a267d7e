package runner

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"time"
)

// killAfter is how long the runner waits after a cancellation until it kills: 7.5 s after SIGINT and
// 2.5 s after SIGTERM (ProcessInvoker.cs).
const killAfter = 10 * time.Second

// Run runs the step as a process on the host in place of a container: the program with the
// arguments of action.yml and with the step's environment and no other. Ending the context cancels the
// step as the runner does, with SIGINT first. Run gives the exit status, and -1 when a signal ended
// the process. What it printed on stderr is returned apart, and stands in the log behind the rest.
// The error is that of not running it at all. The job's Finish runs the post stage.
func (s *Step) Run(ctx context.Context, program string) (status int, stderr string, err error) {
	s.register(func(ctx context.Context, post *Step) (int, string, error) { return post.process(ctx, program, Post) })
	return s.process(ctx, program, Main)
}

// process runs a stage. In a container the stages differ in the entrypoint, which is the program by another
// name; here the program is told the name.
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

// run runs the command that is the step.
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
		s.job.status = jobCancelled // a cancellation is the job's here, never that of one step
	case status != 0:
		s.job.fail()
	}
	_, err = s.Log.Write(separate.Bytes())
	return status, separate.String(), err
}
