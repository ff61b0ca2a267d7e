package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/fleet"
)

func fleetCommand() cli.Command {
	return cli.Command{
		Name:    "fleet",
		Summary: "simulate thousands of jobs against an STS that throttles",
		About: `In virtual time, with ours and other ways of retrying. It writes a table and a plot, fleet.md and fleet.svg; without
--out it prints the table.`,
		Examples: []string{"hubspoke-lab fleet"},
		Setup: func(flags *flag.FlagSet) func(context.Context, []string, cli.Streams) error {
			out := flags.String("out", "", "the `DIRECTORY` to write into")
			seed := flags.Uint64("seed", 1, "`N`, of everything that is random")
			return func(_ context.Context, _ []string, s cli.Streams) error {
				if *out == "" {
					_, err := fmt.Fprint(s.Out, fleet.Report(*seed))
					return err
				}
				for name, text := range map[string]string{"fleet.md": fleet.Report(*seed), "fleet.svg": fleet.Plot(*seed)} {
					if err := os.WriteFile(filepath.Join(*out, name), []byte(text), 0o644); err != nil {
						return err
					}
				}
				return nil
			}
		},
	}
}
