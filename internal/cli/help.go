package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// columns is how wide a help screen is.
const columns = 80

// Leaves returns the commands below c that do something, in order of their names.
func Leaves(c *cobra.Command) (leaves []*cobra.Command) {
	for _, one := range c.Commands() {
		switch {
		case one.Hidden || one.Name() == "help":
		case one.HasSubCommands():
			leaves = append(leaves, Leaves(one)...)
		default:
			leaves = append(leaves, one)
		}
	}
	return leaves
}

// Path is a command as it is typed behind the program's name.
func Path(c *cobra.Command) string { return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ") }

// Usage is a command's synopsis.
func Usage(c *cobra.Command) string {
	if c.HasSubCommands() {
		return c.CommandPath() + " COMMAND [FLAGS]"
	}
	_, operands, _ := strings.Cut(c.Use, " ")
	usage := c.CommandPath()
	if len(Flags(c)) > 0 {
		usage += " [FLAGS]"
	}
	return strings.TrimSpace(usage + " " + operands)
}

// Flag is a flag as the help shows it.
type Flag struct {
	Name  string // --format
	Value string // FILE, text|json; empty for a flag that takes none
	Usage string // with its default
}

// Flags returns the flags of a command, in order of their names, without --help.
func Flags(c *cobra.Command) (flags []Flag) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		if d := f.DefValue; d != "" && d != "false" && d != "[]" {
			usage += fmt.Sprintf(" (default %s)", d)
		}
		flags = append(flags, Flag{"--" + f.Name, value, usage})
	})
	return flags
}

// Exits returns the exit statuses of a command, one per line.
func Exits(c *cobra.Command) string {
	for ; c != nil; c = c.Parent() {
		if statuses := c.Annotations[ExitStatus]; statuses != "" {
			return statuses
		}
	}
	return ""
}

// writeHelp writes the help screen of a command or a group in one piece.
func writeHelp(w io.Writer, c *cobra.Command) error {
	about := c.Long
	if about == "" {
		about = c.Short + "."
	}
	parts := []string{"Usage: " + Usage(c), Wrap(about, columns)}
	if c.HasSubCommands() {
		parts = append(parts, "Commands:\n"+commandList(c))
	}
	var list strings.Builder
	if !c.HasParent() {
		list.WriteString("  --version\n      print the version\n")
	} else {
		for _, f := range Flags(c) {
			fmt.Fprintf(&list, "  %s\n%s\n", strings.TrimSpace(f.Name+" "+f.Value), indent(Wrap(f.Usage, columns-6), 6))
		}
	}
	if list.Len() > 0 {
		parts = append(parts, "Flags:\n"+strings.TrimSuffix(list.String(), "\n"))
	}
	if c.Example != "" {
		parts = append(parts, "Examples:\n"+indent(c.Example, 2))
	}
	if exits := Exits(c); exits != "" {
		parts = append(parts, "Exit status:\n"+indent(exits, 2))
	}
	if c.HasSubCommands() {
		parts = append(parts, fmt.Sprintf("Run \"%s COMMAND --help\" for the flags and examples of a command.", c.Root().Name()))
	}
	_, err := io.WriteString(w, strings.Join(parts, "\n\n")+"\n")
	return err
}

// commandList has a line for each command, wrapped behind the names.
func commandList(c *cobra.Command) string {
	width := 0
	for _, leaf := range Leaves(c) {
		width = max(width, len(Path(leaf)))
	}
	var lines []string
	for _, leaf := range Leaves(c) {
		short := indent(Wrap(leaf.Short, columns-width-4), width+4)
		lines = append(lines, fmt.Sprintf("  %-*s  %s", width, Path(leaf), strings.TrimLeft(short, " ")))
	}
	return strings.Join(lines, "\n")
}

func indent(text string, by int) string {
	margin := strings.Repeat(" ", by)
	return margin + strings.ReplaceAll(strings.ReplaceAll(text, "\n", "\n"+margin), "\n"+margin+"\n", "\n\n")
}

// Wrap breaks each paragraph into lines of at most width characters. Lines that begin with a space stay as they are.
func Wrap(text string, width int) string {
	var lines []string
	line := ""
	end := func() {
		if line != "" {
			lines = append(lines, line)
		}
		line = ""
	}
	for written := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if written == "" || strings.HasPrefix(written, " ") {
			end()
			lines = append(lines, written)
			continue
		}
		for word := range strings.FieldsSeq(written) {
			if line != "" && len(line)+1+len(word) > width {
				end()
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
	}
	end()
	return strings.Join(lines, "\n")
}

// helpCommand prints what COMMAND --help prints.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "show the help of a command", Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			switch {
			case err != nil:
				return err
			case len(rest) > 0 && about.HasSubCommands():
				return unknown(about, rest[0])
			}
			return writeHelp(c.OutOrStdout(), about)
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if about, rest, err := c.Root().Find(args); err == nil && len(rest) == 0 {
				for _, one := range about.Commands() {
					if !one.Hidden {
						names = append(names, cobra.CompletionWithDesc(one.Name(), one.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
