package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/storm"
)

func stormCommand() *cobra.Command {
	c := &cobra.Command{Use: "storm", Short: "walk hop after hop while everything goes wrong, and check each", Long: `The real code walks the hops, many at a time, while the lab, the runner's files and the runner misbehave at random.
After each hop it checks that no secret is in the log before its mask or outside its file, that the exports are complete
or absent, that exit status and annotation agree, that nothing ran past its timeout by more than a second, and that no
connection, file or goroutine is left. It ends at the first violation, with what replays that hop.`, Example: "hubspoke-lab storm --hops 200 --seed 1", Args: cli.NoArgs}
	flags := c.Flags()
	hops := flags.Int("hops", 2000, "`N` hops in this process")
	processes := flags.Int("processes", 0, "`N` hops more, each a process that may get SIGINT, SIGTERM or SIGKILL")
	calls := flags.Int("credential-process", 0, "`N` calls of credential-process more, on chains that they share")
	seed := flags.Uint64("seed", 1, "`N`, of everything that is random")
	from := flags.Int("from", 0, "`N`, the first hop, to see one again")
	workers := flags.Int("workers", 64, "`N` hops at a time")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *hops < 0 || *processes < 0 || *calls < 0 || *from < 0 || *workers < 1 || *workers > 1000 {
			return cli.UsageError{Err: errors.New("--hops, --processes, --credential-process and --from are 0 or more, --workers is 1 to 1000")}
		}
		o := storm.Options{Hops: *hops, Seed: *seed, From: *from, Workers: *workers}
		start := time.Now()
		o.Told = func(walked int) {
			if walked%10000 == 0 {
				fmt.Fprintf(c.ErrOrStderr(), "%d hops, %s\n", walked, time.Since(start).Round(time.Second))
			}
		}
		return runStorm(c.Context(), o, *processes, *calls, c.OutOrStdout())
	}
	return c
}

func runStorm(ctx context.Context, o storm.Options, processes, calls int, out io.Writer) error {
	stage, err := openStage(ctx, "", lab.Options{})
	if err != nil {
		return err
	}
	defer stage.close()
	if o.World, err = openWorld(""); err != nil {
		return err
	}
	o.Program = stage.binary
	if err := os.Chmod(stage.root, 0o755); err != nil { // processes may be another user's, who has to reach their files
		return err
	}
	for _, part := range []struct {
		name string
		hops int
		run  func(context.Context, storm.Options) (storm.Summary, error)
	}{
		{"hops in this process", o.Hops, storm.Run},
		{"hops as processes", processes, storm.RunProcesses},
		{"calls of credential-process", calls, storm.RunCalls},
	} {
		if part.hops == 0 {
			continue
		}
		p := o
		p.Hops, p.Dir = part.hops, filepath.Join(stage.root, strings.ReplaceAll(part.name, " ", "-"))
		if err := os.MkdirAll(p.Dir, 0o755); err != nil {
			return err
		}
		summary, err := part.run(ctx, p)
		var violation *storm.Violation
		if errors.As(err, &violation) {
			fmt.Fprintln(out, violation)
			return cli.Status(1)
		}
		if err != nil {
			return err
		}
		fmt.Fprint(out, told(part.name, p, summary))
	}
	return nil
}

// told is a summary as a person reads it.
func told(name string, o storm.Options, s storm.Summary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s, seed %d, %d at a time, in %s: no violation\n", s.Hops, name, o.Seed, s.AtOnce, s.Took.Round(time.Second))
	fmt.Fprintf(&b, "  worked %d, failed %d, cancelled or killed %d\n", s.Good, s.Failed, s.Cancelled)
	if s.Stages == nil { // calls, which are not looked at so closely
		fmt.Fprintf(&b, "  %d requests\n", s.Requests)
	} else {
		fmt.Fprintf(&b, "  %d requests, %d retries; the longest went on for %s behind its timeout\n", s.Requests, s.Retries, s.Longest.Round(time.Millisecond))
	}
	if len(s.Stages) > 0 {
		fmt.Fprintf(&b, "  failed or cancelled at: %s\n", counts(s.Stages))
	}
	if len(s.Faults) > 0 {
		fmt.Fprintf(&b, "  faults: %s\n", counts(s.Faults))
	}
	return b.String()
}

// counts are names and how often each was, in order of the names.
func counts(of map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(all, ", ")
}
