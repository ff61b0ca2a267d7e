package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// parse reads flags and operands in any order, up to a "--", behind which all are operands. Where the
// operands are a command line of their own, flags end at the first of them.
func parse(flags *flag.FlagSet, args []string, foreign bool) (operands []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, inOneForm(flags, err)
		}
		rest := flags.Args()
		read := len(args) - len(rest)
		if len(rest) == 0 || foreign || read > 0 && args[read-1] == "--" {
			return append(operands, rest...), checkWords(flags)
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
}

// newFlags is a set that says nothing by itself: errors have one form, Run's.
func newFlags() *flag.FlagSet {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// inOneForm words the errors of package flag as this project's are, with two hyphens.
func inOneForm(flags *flag.FlagSet, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
		var known []string
		flags.VisitAll(func(f *flag.Flag) { known = append(known, "--"+f.Name) })
		return fmt.Errorf("there is no flag --%s%s", name, suggest("--"+name, known))
	}
	words := strings.NewReplacer(
		"flag needs an argument: -", "there is no value for --", " for flag -", " for --", " for -", " for --")
	return errors.New(words.Replace(err.Error()))
}

// takes is what stands for a flag's value, and the words that it takes when there is a choice.
func takes(f *flag.Flag) (name string, words []string) {
	name, _ = flag.UnquoteUsage(f)
	if strings.Contains(name, "|") {
		words = strings.Split(name, "|")
	}
	return name, words
}

// checkWords holds the flags that were given to the words that they take. A flag that collects its values
// shows none of them here, and checks them itself.
func checkWords(flags *flag.FlagSet) error {
	var err error
	flags.Visit(func(f *flag.Flag) {
		value := f.Value.String()
		if _, words := takes(f); words != nil && value != "" && !slices.Contains(words, value) && err == nil {
			err = fmt.Errorf("--%s: %q is none of %s", f.Name, value, strings.Join(words, ", "))
		}
	})
	return err
}

// suggest names the nearest of the known words, when one is near.
func suggest(typed string, known []string) string {
	best, nearest := len(typed)/3+2, ""
	for _, word := range known {
		if d := distance(typed, word); d < best {
			best, nearest = d, word
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", nearest)
}

// distance counts the letters to insert, delete or replace, after Levenshtein.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
