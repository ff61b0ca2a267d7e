// Command hubspoke-lab is GitHub's OIDC issuer and AWS STS on one machine, to watch the hop, to try
// policies and to test what uses the credentials. It is not in the action's image.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(cli.Run(ctx, commandLine(os.Getenv), os.Args[1:], streams))
}

func commandLine(getenv func(string) string) *cobra.Command {
	return cli.Program(&cobra.Command{
		Use:   "hubspoke-lab",
		Short: "run GitHub's OIDC issuer and AWS STS on this machine",
		Long: `Run a GitHub OIDC issuer and an AWS STS on this machine, without an AWS account and without network access. The
accounts, roles, policies and jobs are those of examples/lab; run and serve accept others with --world.`,
		Annotations: map[string]string{cli.ExitStatus: "" +
			"0  success\n" +
			"1  the demo or the step failed\n" +
			"2  bad command line or unreadable input"},
	}, cli.Build{Version: "dev", Commit: "unknown"}, // it is run from a checkout
		demoCommand(getenv), runCommand(), serveCommand(), exportsCommand())
}
