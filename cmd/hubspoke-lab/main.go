// Command hubspoke-lab is GitHub's OIDC issuer and AWS STS on one machine, to watch the hop, to try
// policies and to test what uses the credentials. It is not in the action's image.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/org/hubspoke-chain/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
	os.Exit(cli.Run(ctx, commandLine(), os.Args[1:], streams))
}

func commandLine() cli.Program {
	return cli.Program{
		Name:    "hubspoke-lab",
		Summary: "hubspoke-lab is GitHub's OIDC issuer and AWS STS on this machine: no account, no network.",
		About: `The world (accounts, roles, policies, jobs) is that of examples/lab; run and serve take another with --world.

Exit status: 0 when it went well; 1 when the demo or the step of run did not; 2 for a wrong command line or an
input that cannot be read; run ends with the status of its COMMAND (go run makes 1 of it).`,
		Version:  "dev", // it is run from a checkout
		Commands: []cli.Command{demoCommand(), runCommand(), serveCommand(), exportsCommand()},
	}
}
