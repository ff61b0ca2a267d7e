package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/fleet"
)

func fleetCommand() *cobra.Command {
	c := &cobra.Command{Use: "fleet", Short: "simulate thousands of jobs against an STS that throttles", Long: `In virtual time, with ours and other ways of retrying. It writes a table and a plot, fleet.md and fleet.svg; without
--out it prints the table.`, Example: "hubspoke-lab fleet", Args: cli.NoArgs}
	flags := c.Flags()
	out := flags.String("out", "", "the `DIRECTORY` to write into")
	seed := flags.Uint64("seed", 1, "`N`, of everything that is random")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *out == "" {
			_, err := fmt.Fprint(c.OutOrStdout(), fleet.Report(*seed))
			return err
		}
		for name, text := range map[string]string{"fleet.md": fleet.Report(*seed), "fleet.svg": fleet.Plot(*seed)} {
			if err := os.WriteFile(filepath.Join(*out, name), []byte(text), 0o644); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}
