package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// faultFlags collects --fail.
type faultFlags []lab.Fault

func (f *faultFlags) String() string { return "" }

func (f *faultFlags) Type() string { return "FAULT" }

func (f *faultFlags) Set(s string) error {
	fault, err := lab.ParseFault(s)
	if err != nil {
		return err
	}
	*f = append(*f, fault)
	return nil
}

func serveCommand() *cobra.Command {
	var faults faultFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "serve until interrupted, and print the environment to set",
		Long: `Serve GitHub's issuer and AWS STS on loopback until interrupted. Print shell commands that set the environment,
and the commands to run next, which need both programs in PATH. Standard error gets one line per request.`,
		Example:     "hubspoke-lab serve --job staging --fail sts:AssumeRole:throttle:2",
		Annotations: map[string]string{cli.ExitStatus: cli.Offline},
		Args:        cli.NoArgs,
	}
	flags := c.Flags()
	world, jobName := worldFlags(flags)
	session := sessionFlag(flags)
	flags.Var(&faults, "fail", "`FAULT` to inject, SERVICE:ACTION:KIND[:TIMES[:DURATION]]; repeatable. "+
		"Kinds: "+strings.Join(lab.FaultKinds(), ", "))
	c.RunE = func(c *cobra.Command, _ []string) error {
		o := lab.Options{
			Log:             func(format string, a ...any) { fmt.Fprintf(c.ErrOrStderr(), format+"\n", a...) },
			SessionLifetime: time.Duration(*session),
		}
		return serve(c.Context(), *world, *jobName, o, faults, c.OutOrStdout())
	}
	return c
}

// serve runs the lab until it is interrupted.
func serve(ctx context.Context, world, jobName string, o lab.Options, faults faultFlags, stdout io.Writer) error {
	l, servers, err := openLab(world, o)
	if err != nil {
		return err
	}
	defer servers.Close()
	for _, fault := range faults {
		l.Fail(fault)
	}
	claims, err := l.Job(jobName)
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "hubspoke-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	job, err := runner.NewJob(root)
	if err != nil {
		return err
	}
	maps.Copy(job.Env, l.RequestEnv(servers.IssuerURL, claims))
	step, err := job.Start(runner.Action{}, nil, nil)
	if err != nil {
		return err
	}

	fmt.Fprintf(stdout, "# GitHub's issuer: %s\n# AWS STS: %s\n\n", servers.IssuerURL, servers.STSURL)
	fmt.Fprint(stdout, "# for the AWS CLI and SDKs\n")
	fmt.Fprintf(stdout, "export AWS_ENDPOINT_URL_STS=%s\n\n", quote(servers.STSURL))
	fmt.Fprintf(stdout, "# what the runner gives to a step of the job %s\n", jobName)
	for _, assignment := range step.Env() {
		name, value, _ := strings.Cut(assignment, "=")
		if strings.HasPrefix(name, "GITHUB_") || strings.HasPrefix(name, "ACTIONS_") || strings.HasPrefix(name, "RUNNER_") {
			fmt.Fprintf(stdout, "export %s=%s\n", name, quote(value)) // not HOME, which is the shell's own here
		}
	}
	fmt.Fprint(stdout, "\n# the step itself; a shell cannot export names with a hyphen, so they go through env\n# env")
	inputs := defaults(world)
	for _, name := range []string{"hub-role-to-assume", "role-to-assume"} {
		if inputs[name] == "" {
			inputs[name] = "ARN"
		}
	}
	inputs["sts-endpoint"] = servers.STSURL
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		fmt.Fprintf(stdout, " %s", quote("INPUT_"+strings.ToUpper(name)+"="+inputs[name]))
	}
	fmt.Fprint(stdout, " hubspoke-chain action --host-temp=\"$RUNNER_TEMP\"\n\n# what the step exported, for this shell\n# eval \"$(hubspoke-lab exports \"$GITHUB_ENV\")\"\n")
	<-ctx.Done()
	return nil
}

// quote gives a word for the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func exportsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "exports FILE",
		Short: "print shell commands for what a GITHUB_ENV file sets",
		Long: `Print shell commands that set the variables of a GITHUB_ENV file, which the next step of a job would have.
- is standard input.`,
		Example:     `eval "$(hubspoke-lab exports "$GITHUB_ENV")"`,
		Annotations: map[string]string{cli.ExitStatus: cli.Offline},
		RunE: func(c *cobra.Command, files []string) error {
			if len(files) != 1 {
				return cli.UsageError{Err: errors.New("give one FILE")}
			}
			return exports(files[0], c.InOrStdin(), c.OutOrStdout())
		},
	}
}

// exports prints the variables of a GITHUB_ENV file.
func exports(name string, stdin io.Reader, stdout io.Writer) error {
	read := func() ([]byte, error) { return os.ReadFile(name) }
	if name == "-" {
		read = func() ([]byte, error) { return io.ReadAll(stdin) }
	}
	text, err := read()
	if err != nil {
		return err
	}
	pairs, err := runner.ParseCommandFile(string(text))
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	for _, p := range pairs {
		if !variable.MatchString(p.Name) {
			return fmt.Errorf("reading %s: a shell has no variable %q", name, p.Name)
		}
		fmt.Fprintf(stdout, "export %s=%s\n", p.Name, quote(p.Value))
	}
	return nil
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
