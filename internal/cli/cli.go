// Package cli is what the command lines of this project share on top of cobra: the form of errors, help and
// --version, the exit status, and the completion command. The commands themselves are in package main of each program.
//
// Two conventions read a flag's usage and a command's Use line. A flag whose value is named in back quotes, "`FILE`",
// is completed with files if the name contains FILE; a command whose Use line has " -- " passes everything from its
// first operand on to another program.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/plain"
)

// ExitStatus is the annotation of a command with its exit statuses, one per line; a command without it has its
// parent's.
const ExitStatus = "exit status"

// Offline are the exit statuses of a command that sends no request and reports no finding.
const Offline = "0  success\n2  bad command line or unreadable input"

// Streams are what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Status is an error that only sets the exit status: the command has already printed what there is to print.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// UsageError is a bad command line; the exit status is 2.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e UsageError) Unwrap() error { return e.Err }

// Build is what --version prints. The linker sets it in main.
type Build struct {
	Version string // v1.2.3, or dev
	Commit  string // of the source, 40 hexadecimal digits, or unknown
}

// Program completes the root command of a program: it gets --help, --version, completion, and the given commands.
func Program(root *cobra.Command, build Build, commands ...*cobra.Command) *cobra.Command {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().BoolP("help", "h", false, "show this help")
	version := root.Flags().Bool("version", false, "print the version")
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknown(c, args[0])
		case *version:
			return printVersion(c, build)
		}
		if err := writeHelp(c.ErrOrStderr(), c); err != nil {
			return err
		}
		return Status(2)
	}
	root.AddCommand(commands...)
	root.AddCommand(completionCommand(root.Name()), versionCommand(root.Name(), build))
	root.SetHelpCommand(helpCommand())
	for _, leaf := range Leaves(root) {
		leaf.Flags().SetInterspersed(!passesOn(leaf))
	}
	return root
}

// Group is a command that only holds others.
func Group(name, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: name, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(c, args[0])
			}
			var names []string
			for _, one := range c.Commands() {
				names = append(names, one.Name())
			}
			return UsageError{fmt.Errorf("%s needs a command: %s", name, strings.Join(names, ", "))}
		},
	}
	group.AddCommand(commands...)
	return group
}

// NoArgs refuses operands.
func NoArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return UsageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}

// Run runs the command that the arguments name and returns the exit status: 0 on success, that of a Status, and 2 for
// a bad command line and any other error. Results go to Out, everything else to Err.
func Run(ctx context.Context, root *cobra.Command, args []string, s Streams) int {
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	var unwritten error // cobra's help functions return none
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		if operands := c.Flags().Args(); c.HasSubCommands() && len(operands) > 0 {
			unwritten = unknown(c, operands[0])
		} else {
			unwritten = writeHelp(s.Out, c)
		}
	})
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) { // by the script of a shell
		completeValues(root)
	} else {
		args = twoHyphens(root, args, s.Err)
	}
	root.SetArgs(append([]string{}, args...)) // nil would be those of the process
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = unwritten
	}
	var status Status
	if err == nil || errors.As(err, &status) {
		return int(status)
	}
	// Joined errors are separated by line ends; an error may contain any other character, from a file name for example.
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(s.Err, "%s: error: %s\n", root.Name(), plain.Defused(strings.TrimSuffix(line, "\n")))
	}
	var usage UsageError
	if errors.As(err, &usage) {
		fmt.Fprintf(s.Err, "%s: hint: see %s --help\n", root.Name(), c.CommandPath())
	}
	return 2
}

// unknown is the error for a command that does not exist, with the nearest ones that do.
func unknown(group *cobra.Command, typed string) error {
	prefix := strings.TrimPrefix(group.CommandPath()+" ", group.Root().Name()+" ")
	return UsageError{fmt.Errorf("unknown command %q%s", prefix+typed, suggest(group, prefix, typed))}
}

func printVersion(c *cobra.Command, build Build) error {
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s\ncommit:   %s\ngo:       %s\nplatform: %s/%s\n",
		c.Root().Name(), build.Version, build.Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func versionCommand(program string, build Build) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print version, commit, Go version and platform",
		Long:    "Print the version, the commit that the source was built from, the Go version and the platform.",
		Example: program + " version",
		Args:    NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return printVersion(c, build) },

		Annotations: map[string]string{ExitStatus: Offline},
	}
}
