package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/credproc"
)

func credprocCommand() cli.Command {
	return cli.Command{
		Name:    "credential-process",
		Summary: "hand a chain's credentials to AWS's SDKs and tools, renewed when they need it",
		About: `AWS's SDKs and tools run this, named as credential_process in a profile of their configuration. It
prints version 1 of the JSON that they take. The chain is a file that the action writes, and holds
no secret. The session is kept beside it, chain.cache for chain.json, and handed out until 20 minutes
before its end, or a third of a shorter session; then the hop is walked again, once, however many ask. That takes the environment of a
step in a job with permissions: id-token: write (ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN).

Exit status: 0 with credentials on stdout; 1 when there are none, and why on stderr; 2 for a wrong
command line or a chain that cannot be read.`,
		Examples: []string{"hubspoke-chain credential-process --chain chain.json"},
		Setup: func(flags *flag.FlagSet) func(context.Context, []string, cli.Streams) error {
			chain := flags.String("chain", "", "the chain's `FILE`")
			return func(ctx context.Context, _ []string, s cli.Streams) error {
				if *chain == "" {
					return cli.UsageError{Err: errors.New("--chain is missing: the file of the chain")}
				}
				return explained(credproc.Run(ctx, *chain, s.Getenv, s.Out, s.Err), s)
			}
		},
	}
}

// explained writes a failure with what may be its cause, and makes the exit status of it.
func explained(err error, s cli.Streams) error {
	var failure *credproc.Error
	if !errors.As(err, &failure) {
		return err
	}
	fmt.Fprintf(s.Err, "hubspoke-chain: error: %s\n", failure.Cause)
	for _, hint := range failure.Hints {
		fmt.Fprintf(s.Err, "hubspoke-chain: hint: %s\n", hint)
	}
	return cli.Status(1)
}
