// Command hubspoke-lab is GitHub's OIDC issuer and AWS STS on one machine, to watch the hop, to try
// policies and to test what uses the credentials. It is not in the action's image.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `hubspoke-lab is GitHub's OIDC issuer and AWS STS on this machine: no account, no network.

Usage:
  hubspoke-lab demo                    walk the whole hop three times and show what a user sees
  hubspoke-lab run [flags] -- COMMAND  walk the hop, then run COMMAND with the credentials that it exported
  hubspoke-lab serve [flags]           serve until interrupted, and print the environment to set
  hubspoke-lab exports FILE            print what a GITHUB_ENV file sets, in the shell's form

Each command has --help. The world (accounts, roles, policies, jobs) is that of examples/lab; run and serve take another
with --world.

Examples:
  go run ./cmd/hubspoke-lab demo
  go run ./cmd/hubspoke-lab run -- aws sts get-caller-identity
  go run ./cmd/hubspoke-lab serve --world my/world.json --fail sts:AssumeRole:throttle:2

Exit status: 0 when it worked, 1 when it did not, 2 for a wrong command line; run ends with COMMAND's (go run makes 1 of it).
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	commands := map[string]func() error{
		"demo":    func() error { return demo(ctx, args[1:], getenv, stdout) },
		"run":     func() error { return runCommand(ctx, args[1:], stdout, stderr) },
		"serve":   func() error { return serve(ctx, args[1:], stdout, stderr) },
		"exports": func() error { return exports(args[1:], stdout) },
	}
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	switch args[0] {
	case "--help", "-help", "-h", "help":
		fmt.Fprint(stdout, usage)
		return 0
	}
	command, known := commands[args[0]]
	if !known {
		fmt.Fprintf(stderr, "hubspoke-lab: unknown command %q\n%s", args[0], usage)
		return 2
	}
	err := command()
	var wrong usageError
	var status exitStatus
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "hubspoke-lab %s: %v (--help shows the flags)\n", args[0], err)
		return 2
	}
	fmt.Fprintf(stderr, "hubspoke-lab: error: %v\n", err)
	return 1
}

// parse reads the flags of a command; what is left over is an error unless rest takes it.
func parse(flags *flag.FlagSet, args []string, stdout io.Writer, rest *[]string) error {
	flags.SetOutput(io.Discard)
	about := flags.Usage
	flags.Usage = func() {}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stdout)
		about()
		any := false
		flags.VisitAll(func(*flag.Flag) { any = true })
		if any {
			fmt.Fprintln(stdout, "\nFlags:")
			flags.PrintDefaults()
		}
		return err
	case err != nil:
		return usageError{err}
	case rest != nil:
		*rest = flags.Args()
	case flags.NArg() > 0:
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	return nil
}
