package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/cli"
)

// caseReport is one case with what came of it, in the form of --format json.
type caseReport struct {
	Name       string `json:"name"`
	Expect     string `json:"expect"`
	AsExpected bool   `json:"asExpected"`
	*report
}

// runCases tries each case of a file and prints a table, and in full those that are not as expected.
func runCases(x simulateFlags, name string, files *fileReader, format string, out io.Writer) error {
	data, err := files.file(name)
	if err != nil {
		return err
	}
	var cases []map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&cases); err != nil || decoder.More() {
		return fmt.Errorf("%s: it is not a JSON list of cases, see the help", name)
	}
	if len(cases) == 0 {
		return fmt.Errorf("%s: there is no case in it", name)
	}
	var reports []caseReport
	seen := map[string]bool{}
	for i, c := range cases {
		r, err := x.runCase(c, files)
		if err == nil && seen[r.Name] {
			err = errors.New("another case has its name")
		}
		if err != nil {
			return fmt.Errorf("%s: case %d, %q: %w", name, i+1, fmt.Sprint(c["name"]), err)
		}
		seen[r.Name] = true
		reports = append(reports, r)
	}
	differ := 0
	for _, r := range reports {
		if !r.AsExpected {
			differ++
		}
	}
	text := table(reports, differ)
	if format == "json" {
		text = toJSON(reports)
	}
	if err := show(out, text); err != nil {
		return err
	}
	if differ > 0 {
		return cli.Status(1)
	}
	return nil
}

// runCase puts the case's flags on top of those of the command line; x is a copy.
func (x simulateFlags) runCase(c map[string]any, files *fileReader) (caseReport, error) {
	for _, list := range []*[]string{&x.hubPermissions, &x.scps, &x.claims, &x.tags, &x.transitiveTagKeys, &x.conditions} {
		*list = slices.Clip(*list)
	}
	var r caseReport
	r.Name, _ = c["name"].(string)
	r.Expect, _ = c["expect"].(string)
	switch {
	case r.Name == "":
		return r, errors.New("it has no name")
	case r.Expect != "allowed" && r.Expect != "refused":
		return r, errors.New("expect is neither allowed nor refused")
	}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	x.declare(flags)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if name == "name" || name == "expect" {
			continue
		}
		if flags.Lookup(name) == nil {
			return r, fmt.Errorf("there is no flag --%s for it", name)
		}
		values, err := flagValues(c[name])
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		for _, value := range values {
			if err := flags.Set(name, value); err != nil {
				return r, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	var err error
	if r.report, err = x.simulate(files); err != nil {
		return r, err
	}
	r.AsExpected = r.outcome() == r.Expect
	return r, nil
}

// flagValues are what a flag is given for a value of JSON.
func flagValues(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case bool:
		return []string{fmt.Sprint(v)}, nil
	case []any:
		var values []string
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, errors.New("a list is of strings")
			}
			values = append(values, s)
		}
		return values, nil
	case map[string]any:
		var values []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			s, ok := v[name].(string)
			if !ok {
				return nil, fmt.Errorf("%q is not a string", name)
			}
			values = append(values, name+"="+s)
		}
		return values, nil
	}
	return nil, errors.New("it is no string, boolean, list or object")
}

func table(reports []caseReport, differ int) string {
	width := 0
	for _, r := range reports {
		width = max(width, len(fmt.Sprintf("%q", r.Name)))
	}
	var b strings.Builder
	for _, r := range reports {
		verdict, expected := "ok", ""
		if !r.AsExpected {
			verdict, expected = "DIFFERS", ", and expected is "+r.Expect
		}
		fmt.Fprintf(&b, "%-7s  %-*q  %s%s\n", verdict, width, r.Name, r.summary(), expected)
	}
	for _, r := range reports {
		if !r.AsExpected {
			fmt.Fprintf(&b, "\n--- %q, expected to be %s\n\n%s", r.Name, r.Expect, r.text())
		}
	}
	fmt.Fprintf(&b, "\n%d of %d cases as expected\n", len(reports)-differ, len(reports))
	return b.String()
}
