package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

func (f inputFlags) Type() string { return "NAME=VALUE" }

func (f inputFlags) Set(s string) error {
	name, value, found := strings.Cut(s, "=")
	if !found || name == "" {
		return errors.New("it has the form NAME=VALUE")
	}
	f[name] = value
	return nil
}

func runCommand() *cobra.Command {
	with := inputFlags{}
	c := &cobra.Command{
		Use:   "run -- COMMAND [ARGUMENT...]",
		Short: "walk the hop, then run a command with its credentials",
		Long: `Walk the hop in a new lab, then run COMMAND as the next step of the job. COMMAND has the environment that the hop
exported, the variables to request another ID token, and AWS_ENDPOINT_URL_STS set to the lab. AWS_PROFILE and AWS
credentials of yours are unset. The job ends with COMMAND. The log of the hop goes to standard error. By default, the hop
is the one into staging; with another --world, name the roles in --with.`,
		Example: `hubspoke-lab run --with role-skip-session-tagging=true -- \
    aws sts get-caller-identity`,
		Annotations: map[string]string{cli.ExitStatus: "" +
			"N  the exit status of COMMAND (go run turns it into 1)\n" +
			"1  the step failed\n" +
			"2  bad command line or unreadable input"},
	}
	flags := c.Flags()
	world, jobName := worldFlags(flags)
	session, action := sessionFlag(flags), actionFlag(flags)
	flags.Var(with, "with", "an input of the step, `NAME=VALUE`; repeatable")
	c.RunE = func(c *cobra.Command, command []string) error {
		if len(command) == 0 {
			return cli.UsageError{Err: errors.New("no COMMAND given")}
		}
		inputs := defaults(*world)
		if with["spokes"] != "" {
			delete(inputs, "role-to-assume")
		}
		maps.Copy(inputs, with)
		streams := cli.Streams{In: c.InOrStdin(), Out: c.OutOrStdout(), Err: c.ErrOrStderr()}
		o := runOptions{*world, *jobName, *action, lab.Options{SessionLifetime: time.Duration(*session)}}
		return run(c.Context(), o, inputs, command, streams)
	}
	return c
}

// worldFlags are those of the commands that open a lab.
func worldFlags(flags *pflag.FlagSet) (world, jobName *string) {
	world = flags.String("world", "", "`FILE` of the world (default that of examples/lab)")
	return world, flags.String("job", "staging", "`JOB` of the world that the step belongs to")
}

// seconds is a duration that a flag gives as a whole number of seconds.
type seconds time.Duration

// maxSession is the longest that AWS lets a chained session last, in seconds.
const maxSession = 3600

func (s *seconds) String() string { return "" }

func (s *seconds) Type() string { return "N" }

func (s *seconds) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxSession {
		return fmt.Errorf("it is a number of seconds from 1 to %d", maxSession)
	}
	*s = seconds(time.Duration(n) * time.Second)
	return nil
}

// sessionFlag is that of the commands in whose lab sessions can expire while somebody watches.
func sessionFlag(flags *pflag.FlagSet) *seconds {
	session := new(seconds)
	flags.Var(session, "session-seconds",
		"let the spoke's session expire after `N` seconds, 1 to 3600, sooner than on AWS (default as requested)")
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
