package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// exitStatus is the status of the user's own command.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// defaults are the inputs of a step where the user gives none: the hop into staging.
func defaults() map[string]string {
	return map[string]string{
		"aws-region":         "us-east-1",
		"hub-role-to-assume": "arn:aws:iam::123456789012:role/github-actions-hub",
		"role-to-assume":     "arn:aws:iam::222222222222:role/deploy-staging",
	}
}

// inputFlags collects --with NAME=VALUE.
type inputFlags map[string]string

func (f inputFlags) String() string { return "" }

func (f inputFlags) Set(s string) error {
	name, value, found := strings.Cut(s, "=")
	if !found || name == "" {
		return errors.New("it has the form NAME=VALUE")
	}
	f[name] = value
	return nil
}

// runCommand walks the hop in a lab of its own and runs a command as the next step of the job.
func runCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("hubspoke-lab run", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(stdout, `Walks the hop in a lab of its own, then runs COMMAND with the environment that the step exported and with
AWS_ENDPOINT_URL_STS at the lab. The step's log goes to standard error. Without --with, the hop is the one into staging.

Usage: hubspoke-lab run [flags] -- COMMAND [ARGUMENT...]
Example: hubspoke-lab run --with role-skip-session-tagging=true -- aws sts get-caller-identity
`)
	}
	world := flags.String("world", "", "`FILE` of the world; empty for the one of examples/lab")
	jobName := flags.String("job", "staging", "the world's job that runs the step")
	with := inputFlags(defaults())
	flags.Var(with, "with", "an input of the step as `NAME=VALUE`; may be given again")
	var rest []string
	if err := parse(flags, args, stdout, &rest); err != nil {
		return err
	}
	if len(rest) == 0 {
		return usageError{errors.New("there is no COMMAND to run")}
	}
	s, err := openStage(ctx, *world)
	if err != nil {
		return err
	}
	defer s.close()
	got, err := s.step(ctx, *jobName, with)
	if err != nil {
		return err
	}
	fmt.Fprint(stderr, got.log.Shown())
	if got.Err != nil {
		return got.Err
	}
	if got.status != 0 {
		return exitStatus(got.status)
	}
	command := exec.CommandContext(ctx, rest[0], rest[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, stdout, stderr
	command.Env = os.Environ()
	for _, p := range got.Env {
		command.Env = append(command.Env, p.Name+"="+p.Value)
	}
	command.Env = append(command.Env, "AWS_ENDPOINT_URL_STS="+s.servers.STSURL)
	err = command.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return exitStatus(failed.ExitCode())
	}
	return err
}
