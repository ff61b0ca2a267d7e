package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/lab"
)

// defaults are the inputs of a step where the user gives none: in the world of examples/lab, the hop into
// staging. Of another world's roles nothing is known.
func defaults(world string) map[string]string {
	inputs := map[string]string{"aws-region": "us-east-1"}
	if world == "" {
		inputs["hub-role-to-assume"] = "arn:aws:iam::123456789012:role/github-actions-hub"
		inputs["role-to-assume"] = "arn:aws:iam::222222222222:role/deploy-staging"
	}
	return inputs
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

func runCommand() cli.Command {
	return cli.Command{
		Name:     "run",
		Summary:  "walk the hop, then run COMMAND with the credentials that it exported",
		Operands: "-- COMMAND [ARGUMENT...]",
		About: `The hop is walked in a lab of its own. COMMAND is the next step of the job: it has the environment that the hop
exported, what the job needs for another ID token, AWS_ENDPOINT_URL_STS at the lab, and no AWS_PROFILE and no AWS
credentials of yours. The job ends with it. The log of the hop goes to standard error.
Without --with, the hop is the one into staging; with a --world of your own, name the roles.`,
		Examples: []string{"hubspoke-lab run --with role-skip-session-tagging=true -- aws sts get-caller-identity"},
		Setup: func(flags *flag.FlagSet) func(context.Context, []string, cli.Streams) error {
			world, jobName := worldFlags(flags)
			session, action := sessionFlag(flags), actionFlag(flags)
			with := inputFlags{}
			flags.Var(with, "with", "an input of the step as `NAME=VALUE`; repeatable")
			return func(ctx context.Context, command []string, s cli.Streams) error {
				if len(command) == 0 {
					return cli.UsageError{Err: errors.New("there is no COMMAND to run")}
				}
				inputs := defaults(*world)
				if with["spokes"] != "" {
					delete(inputs, "role-to-assume")
				}
				maps.Copy(inputs, with)
				o := runOptions{*world, *jobName, *action, lab.Options{SessionLifetime: time.Duration(*session)}}
				return run(ctx, o, inputs, command, s)
			}
		},
	}
}

// worldFlags are those of the commands that open a lab.
func worldFlags(flags *flag.FlagSet) (world, jobName *string) {
	world = flags.String("world", "", "the world's `FILE` (default that of examples/lab)")
	return world, flags.String("job", "staging", "the world's `JOB` that the step belongs to")
}

// seconds is a duration that a flag gives as a whole number of seconds.
type seconds time.Duration

// maxSession is the longest that AWS lets a chained session last, in seconds.
const maxSession = 3600

func (s *seconds) String() string { return "" }

func (s *seconds) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxSession {
		return fmt.Errorf("it is a number of seconds from 1 to %d", maxSession)
	}
	*s = seconds(time.Duration(n) * time.Second)
	return nil
}

// sessionFlag is that of the commands in whose lab sessions can expire while somebody watches.
func sessionFlag(flags *flag.FlagSet) *seconds {
	session := new(seconds)
	flags.Var(session, "session-seconds",
		"`N`, 1 to 3600: the spoke's session ends after so long, sooner than AWS ends one, to watch it expire (default as asked)")
	return session
}

// runOptions are the flags of run, except --with.
type runOptions struct {
	world, job, action string
	lab                lab.Options
}

// run runs the step in a lab of its own, runs a command as the next step of the job, and ends the job.
func run(ctx context.Context, o runOptions, with map[string]string, words []string, streams cli.Streams) error {
	s, err := openStage(ctx, o.world, o.action, o.lab)
	if err != nil {
		return err
	}
	defer s.close()
	for _, name := range slices.Sorted(maps.Keys(with)) {
		if _, known := s.action.Inputs[name]; !known {
			return cli.UsageError{Err: fmt.Errorf("--with: the action has no input %q", name)}
		}
		if name == "sts-endpoint" {
			return cli.UsageError{Err: errors.New("--with: sts-endpoint is always the lab's")}
		}
	}
	got, err := s.step(ctx, o.job, with)
	if err != nil {
		return err
	}
	fmt.Fprint(streams.Err, got.log.Shown())
	err = s.next(ctx, got, words, streams)
	log, failed := finish(ctx, got.job)
	fmt.Fprint(streams.Err, log)
	if hops := s.Counts()["issuer"].Requests; hops > 1 { // each begins with a token
		fmt.Fprintf(streams.Err, "the job has walked %d hops\n", hops)
	}
	if failed != nil {
		fmt.Fprintf(streams.Err, "hubspoke-lab: error: %v\n", failed)
		if err == nil {
			err = cli.Status(1)
		}
	}
	return err
}

// own are the user's variables that would win over what the step exported, or stop the AWS CLI.
var own = []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}

// next runs a command as the next step of the job, where the step did not fail.
func (s *stage) next(ctx context.Context, got outcome, words []string, streams cli.Streams) error {
	if got.Err != nil {
		return got.Err
	}
	if got.status != 0 {
		return cli.Status(got.status)
	}
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Stdin, command.Stdout, command.Stderr = streams.In, streams.Out, streams.Err
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(own, name)
	})
	for _, p := range got.Env {
		command.Env = append(command.Env, p.Name+"="+p.Value)
	}
	for _, name := range []string{"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		command.Env = append(command.Env, name+"="+got.job.Env[name])
	}
	command.Env = append(command.Env, "RUNNER_TEMP="+got.job.Temp, "AWS_ENDPOINT_URL_STS="+s.servers.STSURL)
	err := command.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return cli.Status(failed.ExitCode())
	}
	return err
}
