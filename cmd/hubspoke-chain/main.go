// Command hubspoke-chain is the program in the action's image.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/org/hubspoke-chain/internal/action"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version = "dev"

const usage = `hubspoke-chain turns a GitHub Actions ID token into the credentials of a role in another AWS account.

Usage:
  hubspoke-chain action [--host-temp=PATH]   run as a step of GitHub Actions; inputs are read from INPUT_*
  hubspoke-chain --version                   print the version
  hubspoke-chain --help                      print this text

Exit status: 0 when it worked, 1 when the hop failed, 2 for a wrong command line.
`

func main() {
	// The runner cancels a step with SIGINT, then SIGTERM.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	switch args[0] {
	case "action":
		return runAction(ctx, args[1:], getenv, stdout, stderr)
	case "--version", "-version", "version":
		fmt.Fprintln(stdout, "hubspoke-chain", version)
		return 0
	case "--help", "-help", "-h", "help":
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "hubspoke-chain: unknown command %q\n%s", args[0], usage)
	return 2
}

func runAction(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("hubspoke-chain action", flag.ContinueOnError)
	flags.SetOutput(stderr)
	hostTemp := flags.String("host-temp", "", "the runner's temp directory as the host sees it; action.yml passes it")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "hubspoke-chain action: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	if *hostTemp != "" && !filepath.IsAbs(*hostTemp) {
		// The value is not shown: this line does not go through the log, which defuses what it shows.
		fmt.Fprintln(stderr, "hubspoke-chain action: --host-temp is not an absolute path")
		return 2
	}
	return action.Run(ctx, stdout, getenv, version)
}
