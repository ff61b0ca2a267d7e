// Command hubspoke-chain is the program in the action's image.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/action"
	"github.com/org/hubspoke-chain/internal/cli"
)

// The linker sets these: -ldflags "-X main.version=v1.2.3 -X main.commit=...".
var (
	version = "dev"
	commit  = "unknown"
)

func main() {
	// net/http logs what a server sends after a response, which can hold credentials.
	log.SetOutput(io.Discard)
	// The runner cancels a step with SIGINT, then SIGTERM.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == postProgram {
		args = []string{"clean-up"}
	}
	os.Exit(cli.Run(ctx, commandLine(os.Getenv), args, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

// postProgram is the name under which the runner starts the action's post step. It passes each step the same
// arguments and another entrypoint, so the image has this program under both names.
const postProgram = "hubspoke-chain-post"

func commandLine(getenv func(string) string) *cobra.Command {
	return cli.Program(&cobra.Command{
		Use:   "hubspoke-chain",
		Short: "assume a role in another AWS account through a hub role that trusts GitHub OIDC",
		Long: `Assume a role in another AWS account through a hub role that trusts GitHub OIDC. GitHub Actions runs action
and clean-up, and the AWS SDKs and CLI run credential-process. The other commands write, check and simulate the IAM
policies that the hop needs; they work offline.`,
		Annotations: map[string]string{cli.ExitStatus: "" +
			"0  success\n" +
			"1  the hop failed, a problem was found, or access was denied\n" +
			"2  bad command line or unreadable input"},
	}, cli.Build{Version: version, Commit: commit},
		actionCommand(getenv), cleanUpCommand(getenv), credprocCommand(getenv),
		policyCommand(), lintCommand(), simulateCommand())
}

func actionCommand(getenv func(string) string) *cobra.Command {
	var hostTemp string
	c := &cobra.Command{
		Use:   "action",
		Short: "run as a step of GitHub Actions",
		Long: `Run the hop as a step of GitHub Actions. The runner sets the inputs in INPUT_* and describes the job in
GITHUB_* and ACTIONS_*; action.yml documents the inputs. The log contains workflow commands.`,
		Example:     "hubspoke-chain action --host-temp=/home/runner/work/_temp",
		Annotations: map[string]string{cli.ExitStatus: "0  success\n1  the step failed and exported nothing\n2  bad command line"},
		Args:        cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if hostTemp != "" && !filepath.IsAbs(hostTemp) {
				return cli.UsageError{Err: errors.New("--host-temp is not an absolute path")}
			}
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("finding this program: %w", err)
			}
			options := action.Options{Version: version, HostTemp: hostTemp, Program: program}
			return cli.Status(action.Run(c.Context(), c.OutOrStdout(), getenv, options))
		},
	}
	c.Flags().StringVar(&hostTemp, "host-temp", "", "runner's temp `DIRECTORY` as the host sees it; action.yml sets it")
	return c
}

func cleanUpCommand(getenv func(string) string) *cobra.Command {
	return &cobra.Command{
		Use:   "clean-up",
		Short: "run as the post stage of that step",
		Long: `Remove the files that the step left for later steps, in the folder that STATE_folder names. Without
STATE_folder, do nothing. The image runs this command under the name ` + postProgram + `.`,
		Example:     "hubspoke-chain clean-up",
		Annotations: map[string]string{cli.ExitStatus: "0  success, or a warning in the log if files remain\n2  bad command line"},
		Args:        cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return cli.Status(action.CleanUp(c.OutOrStdout(), getenv))
		},
	}
}
