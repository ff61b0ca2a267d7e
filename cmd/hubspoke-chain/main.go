// Command hubspoke-chain is the program in the action's image.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/org/hubspoke-chain/internal/action"
	"github.com/org/hubspoke-chain/internal/cli"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	// The runner cancels a step with SIGINT, then SIGTERM.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == postProgram {
		args = []string{"clean-up"}
	}
	os.Exit(cli.Run(ctx, commandLine(), args, streams))
}

// postProgram is the name under which the runner starts the action's post stage. It gives each stage the same
// arguments and another entrypoint, so the image has this program under both names.
const postProgram = "hubspoke-chain-post"

func commandLine() cli.Program {
	p := cli.Program{
		Name:    "hubspoke-chain",
		Summary: "hubspoke-chain turns a GitHub Actions ID token into the credentials of a role in another AWS account.",
		About: `GitHub runs the action, and AWS's SDKs and tools run credential-process; the other commands write, check
and try the policies that the action needs, and ask nobody: no account, no network.

Exit status: 0 when it went well; 1 when the hop failed, something was found or access is refused;
2 for a wrong command line or an input that cannot be read.`,
		Version:  version,
		Commands: []cli.Command{actionCommand(), cleanUpCommand(), credprocCommand()},
	}
	p.Commands = append(p.Commands, policyCommands()...)
	p.Commands = append(p.Commands, lintCommand(), simulateCommand())
	return p
}

func cleanUpCommand() cli.Command {
	return cli.Command{
		Name:    "clean-up",
		Summary: "run as the post stage of a step of GitHub Actions",
		About: `It removes what the step left for later ones, the folder that STATE_folder names. The image runs it under the
name ` + postProgram + `, with whatever arguments. Without STATE_folder there is nothing to do.`,
		Examples: []string{"hubspoke-chain clean-up"},
		Setup: func(*flag.FlagSet) func(context.Context, []string, cli.Streams) error {
			return func(_ context.Context, _ []string, s cli.Streams) error {
				return cli.Status(action.CleanUp(s.Out, s.Getenv))
			}
		},
	}
}

func actionCommand() cli.Command {
	return cli.Command{
		Name:    "action",
		Summary: "run as a step of GitHub Actions",
		About: `The inputs are read from INPUT_* and the job from GITHUB_* and ACTIONS_*, as the runner sets them. What the
action's inputs mean is in action.yml. It prints the step's log with workflow commands.`,
		Examples: []string{"hubspoke-chain action --host-temp=/home/runner/work/_temp"},
		Setup: func(flags *flag.FlagSet) func(context.Context, []string, cli.Streams) error {
			hostTemp := flags.String("host-temp", "", "the runner's temp `DIRECTORY` as the host sees it; action.yml passes it")
			return func(ctx context.Context, _ []string, s cli.Streams) error {
				if *hostTemp != "" && !filepath.IsAbs(*hostTemp) {
					return cli.UsageError{Err: errors.New("--host-temp is not an absolute path")}
				}
				program, err := os.Executable()
				if err != nil {
					return fmt.Errorf("finding this program: %w", err)
				}
				return cli.Status(action.Run(ctx, s.Out, s.Getenv, action.Options{Version: version, HostTemp: *hostTemp, Program: program}))
			}
		},
	}
}
