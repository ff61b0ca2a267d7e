package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choice is a flag that takes one of several words, or an empty value.
type choice struct {
	value *string
	words []string
}

// Choice declares a flag that takes one of the words. A usage that names no value shows the words in its place.
func Choice[T ~string](flags *pflag.FlagSet, value *string, name, initial string, words []T, usage string) {
	*value = initial
	c := choice{value: value}
	for _, word := range words {
		c.words = append(c.words, string(word))
	}
	flags.Var(c, name, usage)
}

func (c choice) String() string { return *c.value }

func (c choice) Type() string { return strings.Join(c.words, "|") }

func (c choice) Set(word string) error {
	if word != "" && !slices.Contains(c.words, word) {
		return fmt.Errorf("must be one of %s", strings.Join(c.words, ", "))
	}
	*c.value = word
	return nil
}

// flagError words the errors of pflag as those of this project.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		hyphens, name := "--", unknown.GetSpecifiedName()
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			hyphens, name = "-", short
		}
		name, _, _ = strings.Cut(name, "=")
		err = fmt.Errorf("unknown flag %s%s%s", hyphens, name, suggestFlag(c.Flags(), "--"+name))
	case errors.As(err, &missing):
		err = fmt.Errorf("--%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &invalid):
		err = fmt.Errorf("invalid value %q for --%s: %w", invalid.GetValue(), invalid.GetFlag().Name, invalid.Unwrap())
	}
	return UsageError{err}
}

// suggest names the commands of a group that are nearest to the word typed.
func suggest(group *cobra.Command, prefix, typed string) string {
	group.SuggestionsMinimumDistance = 2
	near := group.SuggestionsFor(typed)
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", prefix+strings.Join(near, " or "+prefix))
}

// suggestFlag does the same for flags, which cobra has no suggestions for: it takes them as commands.
func suggestFlag(flags *pflag.FlagSet, typed string) string {
	var group cobra.Command
	flags.VisitAll(func(f *pflag.Flag) {
		group.AddCommand(&cobra.Command{Use: "--" + f.Name, Run: func(*cobra.Command, []string) {}})
	})
	return suggest(&group, "", typed)
}

// twoHyphens writes -flag as --flag, up to the first word that is no argument of this program, and prints a notice.
// Earlier versions accepted both; pflag reads -flag as four flags of one letter.
func twoHyphens(root *cobra.Command, args []string, notices io.Writer) []string {
	c, rest, err := root.Find(args)
	if err != nil {
		return args
	}
	rest = slices.Clone(rest)
	for i := 0; i < len(rest) && rest[i] != "--"; i++ {
		arg := rest[i]
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			if c.HasSubCommands() || passesOn(c) {
				break
			}
			continue
		}
		name, _, assigned := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		flag := c.Flags().Lookup(name)
		if flag == nil {
			continue
		}
		if !strings.HasPrefix(arg, "--") {
			rest[i] = "-" + arg
			fmt.Fprintf(notices, "%s: notice: -%s is deprecated and will not work in the next release: use --%s\n",
				root.Name(), name, name)
		}
		if flag.NoOptDefVal == "" && !assigned {
			i++ // its value
		}
	}
	return append(strings.Fields(c.CommandPath())[1:], rest...)
}

// passesOn reports whether the operands of a command are the command line of another program.
func passesOn(c *cobra.Command) bool { return strings.Contains(c.Use, " -- ") }
