// Package cli is what the command lines of this project share: how flags are read, what --help shows,
// what a shell completes, and which exit status says what. It stands on package flag, which takes -name
// and --name alike; the help shows --name. Flags and operands may stand in any order.
//
// What a flag takes is read from its usage, where back quotes name it ("the trust policy's `FILE`"): a
// name with FILE in it is completed with files, and one of words between bars, `text|json`, takes these
// words and no others.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/plain"
)

// Program is a program and its commands.
type Program struct {
	Name     string // as typed
	Summary  string // one line
	About    string // what a user should know beside the list of commands; lines of up to 100 characters
	Version  string
	Commands []Command
}

// Command is one command of a program.
type Command struct {
	Name     string   // as typed behind the program, "policy hub-trust" for example
	Summary  string   // one line, for the list of commands
	Operands string   // what follows the flags, "FILE..." for example; empty when nothing may
	About    string   // what it does, for --help: lines of up to 100 characters
	Examples []string // command lines that work as they stand

	// Setup declares the flags and gives what runs the command once they are read.
	Setup func(flags *flag.FlagSet) func(ctx context.Context, operands []string, s Streams) error
}

// Streams are what a command reads and writes. Nothing else of the process is touched.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
}

// Status is an error that only sets the exit status: the command has said what there is to say.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// UsageError is a command line that makes no sense; the exit status is 2.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap gives the error itself.
func (e UsageError) Unwrap() error { return e.Err }

// Run runs the command that the arguments name and gives the exit status: 0 when it went well, that of a
// Status, and 2 for a command line that makes no sense and for any other error, an input that cannot be
// read for example. Results go to Out, all else to Err.
func Run(ctx context.Context, p Program, args []string, s Streams) int {
	p.Commands = append(slices.Clip(p.Commands), p.completion())
	if len(args) == 0 {
		fmt.Fprint(s.Err, p.help(""))
		return 2
	}
	if args[0] == "help" {
		args = append(slices.Clip(args[1:]), "--help")
	}
	c, rest, found := p.find(args)
	var err error
	switch {
	case found:
		err = c.run(ctx, p.Name, rest, s)
	case args[0] == "--version" || args[0] == "-version" || args[0] == "version":
		_, err = fmt.Fprintln(s.Out, p.Name, p.Version)
	case isHelp(args[0]) || p.group(args) != "" && isHelp(args[len(args)-1]):
		_, err = fmt.Fprint(s.Out, p.help(p.group(args)))
	default:
		err = UsageError{p.unknown(args)}
	}
	var status Status
	if err == nil || errors.As(err, &status) {
		return int(status)
	}
	// A line end parts two errors; what else an error holds, a file's name for example, may come from anywhere.
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(s.Err, "%s: error: %s\n", p.Name, plain.Defused(strings.TrimSuffix(line, "\n")))
	}
	var usage UsageError
	if errors.As(err, &usage) {
		fmt.Fprintf(s.Err, "%s: hint: see %s\n", p.Name, strings.Join(strings.Fields(p.Name+" "+c.Name+" --help"), " "))
	}
	return 2
}

func (c Command) run(ctx context.Context, program string, args []string, s Streams) error {
	flags := newFlags()
	run := c.Setup(flags)
	operands, err := parse(flags, args, strings.HasPrefix(c.Operands, "--"))
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, err = fmt.Fprint(s.Out, c.help(program))
		return err
	case err == nil && c.Operands == "" && len(operands) > 0:
		err = fmt.Errorf("unexpected argument %q", operands[0])
	}
	if err != nil {
		return UsageError{err}
	}
	return run(ctx, operands, s)
}

func isHelp(arg string) bool { return arg == "--help" || arg == "-help" || arg == "-h" }

// find gives the command whose words the arguments begin with, and what follows them.
func (p Program) find(args []string) (c Command, rest []string, found bool) {
	for _, c := range p.Commands {
		n := len(strings.Fields(c.Name))
		if len(args) >= n && strings.Join(args[:n], " ") == c.Name {
			return c, args[n:], true
		}
	}
	return Command{}, nil, false
}

// group is the first word, with a space, when several commands begin with it; else empty.
func (p Program) group(args []string) string {
	if len(args) > 0 && len(p.names(args[0]+" ")) > 0 {
		return args[0] + " "
	}
	return ""
}

func (p Program) names(prefix string) (names []string) {
	for _, c := range p.Commands {
		if strings.HasPrefix(c.Name, prefix) {
			names = append(names, c.Name)
		}
	}
	return names
}

// unknown says what the arguments do not name, and the nearest thing that there is.
func (p Program) unknown(args []string) error {
	typed, group := args[0], p.group(args)
	switch {
	case strings.HasPrefix(typed, "-"):
		return fmt.Errorf("there is no flag %s before a command", typed)
	case group != "" && len(args) == 1:
		return fmt.Errorf("%s is several commands: %s", typed, strings.Join(p.names(group), ", "))
	case group != "":
		typed = group + args[1]
	}
	return fmt.Errorf("there is no command %q%s", typed, suggest(typed, p.names(group)))
}

// help lists the commands, all or those of a group.
func (p Program) help(group string) string {
	width := 0
	for _, name := range p.names(group) {
		width = max(width, len(name))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: %s COMMAND [--flag VALUE...]\n\nCommands:\n", p.Summary, p.Name)
	for _, c := range p.Commands {
		if strings.HasPrefix(c.Name, group) {
			fmt.Fprintf(&b, "  %-*s  %s\n", width, c.Name, c.Summary)
		}
	}
	fmt.Fprintf(&b, "\n%s COMMAND --help shows flags and examples, --version the version.\n", p.Name)
	if p.About != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(p.About))
	}
	return b.String()
}

func (c Command) help(program string) string {
	flags := newFlags()
	c.Setup(flags)
	var list strings.Builder
	flags.VisitAll(func(f *flag.Flag) {
		name, usage := flag.UnquoteUsage(f)
		if d := f.DefValue; d != "" && d != "false" && d != "0" {
			usage += fmt.Sprintf(" (default %s)", d)
		}
		usage = strings.ReplaceAll(usage, "\n", "\n      ")
		fmt.Fprintf(&list, "  %s\n      %s\n", strings.TrimSpace("--"+f.Name+" "+name), usage)
	})
	usage := program + " " + c.Name
	if list.Len() > 0 {
		usage += " [--flag VALUE...]"
	}
	parts := []string{c.Summary, strings.TrimSpace("Usage: " + usage + " " + c.Operands)}
	if c.About != "" {
		parts = append(parts, strings.TrimSpace(c.About))
	}
	if list.Len() > 0 {
		parts = append(parts, "Flags:\n"+strings.TrimSuffix(list.String(), "\n"))
	}
	parts = append(parts, "Examples:\n  "+strings.ReplaceAll(strings.Join(c.Examples, "\n"), "\n", "\n  "))
	return strings.Join(parts, "\n\n") + "\n"
}
