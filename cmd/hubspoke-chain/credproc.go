package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/credproc"
)

func credprocCommand(getenv func(string) string) *cobra.Command {
	var chain string
	c := &cobra.Command{
		Use:   "credential-process",
		Short: "print credentials for the AWS SDKs and CLI",
		Long: `Print credentials as version 1 of the JSON that credential_process in an AWS profile requires. The chain
is a file that the action writes; it contains no secret. The session is cached next to it, in chain.cache for
chain.json, and returned until 20 minutes before it expires, or the last third of a shorter session. Then one call,
however many run, walks the hop again. It needs the environment of a step in a job with permissions: id-token: write.`,
		Example: "hubspoke-chain credential-process --chain chain.json",
		Annotations: map[string]string{cli.ExitStatus: "" +
			"0  success, with credentials on standard output\n" +
			"1  no credentials, and the reason on standard error\n" +
			"2  bad command line or unreadable chain"},
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if chain == "" {
				return cli.UsageError{Err: errors.New("--chain is missing: the file of the chain")}
			}
			return explained(credproc.Run(c.Context(), chain, getenv, c.OutOrStdout(), c.ErrOrStderr()), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&chain, "chain", "", "`FILE` of the chain")
	return c
}

// explained prints a failure with its hints, and returns its exit status.
func explained(err error, stderr io.Writer) error {
	var failure *credproc.Error
	if !errors.As(err, &failure) {
		return err
	}
	fmt.Fprintf(stderr, "hubspoke-chain: error: %s\n", failure.Cause)
	for _, hint := range failure.Hints {
		fmt.Fprintf(stderr, "hubspoke-chain: hint: %s\n", hint)
	}
	return cli.Status(1)
}
