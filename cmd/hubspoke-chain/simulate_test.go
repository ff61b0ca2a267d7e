package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/org/hubspoke-chain/internal/simulate"
)

// TestCaseFlags checks that a case of --cases can have every flag that describes a simulation.
func TestCaseFlags(t *testing.T) {
	t.Parallel()
	checked := 0
	simulateCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains([]string{"cases", "expect", "format", "help"}, f.Name) {
			return
		}
		checked++
		cases := `[{"name": "x", "expect": "refused", "` + f.Name + `": 7}]`
		_, err := simulate.RunCases(simulate.Input{}, "-", &simulate.Files{Stdin: strings.NewReader(cases)})
		if want := f.Name + ": the value is not a string, boolean, list or object"; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	if checked < 20 {
		t.Errorf("checked %d flags, want all of them", checked)
	}
}
