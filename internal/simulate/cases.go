package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Cases are the results of a list of cases.
type Cases []caseReport

type caseReport struct {
	Name       string `json:"name"`
	Expect     string `json:"expect"` // Allowed or Refused
	AsExpected bool   `json:"asExpected"`
	*Report
}

// RunCases simulates each case of a file. A case is an object with a name, the expected outcome and any options of
// Input by the names of their flags, which are applied to a copy of in.
func RunCases(in Input, name string, files *Files) (Cases, error) {
	data, err := files.read(name)
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&list); err != nil || decoder.More() {
		return nil, fmt.Errorf("%s: not a JSON list of cases (see simulate --help)", name)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: the list of cases is empty", name)
	}
	var cases Cases
	seen := map[string]bool{}
	for i, object := range list {
		c, err := runCase(in, object, files)
		if err == nil && seen[c.Name] {
			err = errors.New("duplicate name")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: case %d, %q: %w", name, i+1, fmt.Sprint(object["name"]), err)
		}
		seen[c.Name] = true
		cases = append(cases, c)
	}
	return cases, nil
}

func runCase(in Input, object map[string]any, files *Files) (c caseReport, err error) {
	c.Name, _ = object["name"].(string)
	c.Expect, _ = object["expect"].(string)
	switch {
	case c.Name == "":
		return c, errors.New("name is missing")
	case c.Expect != Allowed && c.Expect != Refused:
		return c, errors.New("expect is not allowed or refused")
	}
	options := in.options()
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if name == "name" || name == "expect" {
			continue
		}
		option, found := options[name]
		if !found {
			return c, fmt.Errorf("unknown flag --%s", name)
		}
		if err := set(option, object[name]); err != nil {
			return c, fmt.Errorf("%s: %w", name, err)
		}
	}
	if c.Report, err = Run(in, files); err != nil {
		return c, err
	}
	c.AsExpected = c.Outcome() == c.Expect
	return c, nil
}

// options returns pointers to the fields of the input by the names of their flags.
func (in *Input) options() map[string]any {
	return map[string]any{
		"hub-trust": &in.HubTrust, "hub-permissions": &in.HubPermissions, "boundary": &in.Boundary, "scp": &in.SCPs,
		"spoke-trust": &in.SpokeTrust, "hub-role-to-assume": &in.HubRole, "role-to-assume": &in.SpokeRole,
		"claims": &in.ClaimsFile, "claim": &in.Claims, "subject": &in.Subject, "audience": &in.Audience, "issuer": &in.Issuer,
		"repository": &in.Repository, "environment": &in.Environment, "ref": &in.Ref, "pull-request": &in.PullRequest,
		"role-session-name": &in.SessionName, "role-skip-session-tagging": &in.SkipTagging, "tag": &in.Tags,
		"transitive-tag-key": &in.TransitiveTagKeys, "source-identity": &in.SourceIdentity,
		"role-external-id": &in.ExternalID, "context": &in.Context,
	}
}

// set applies a value from JSON to an option. Lists are extended.
func set(option, value any) error {
	values, err := texts(value)
	if err != nil {
		return err
	}
	for _, v := range values {
		switch option := option.(type) {
		case *string:
			*option = v
		case *bool:
			if *option, err = strconv.ParseBool(v); err != nil {
				return fmt.Errorf("%q is not true or false", v)
			}
		case *[]string:
			*option = append(slices.Clip(*option), v)
		}
	}
	return nil
}

// texts returns a value from JSON as the values of a flag.
func texts(value any) ([]string, error) {
	switch value := value.(type) {
	case string:
		return []string{value}, nil
	case bool:
		return []string{strconv.FormatBool(value)}, nil
	case []any:
		var all []string
		for _, item := range value {
			s, ok := item.(string)
			if !ok {
				return nil, errors.New("the list contains a value that is not a string")
			}
			all = append(all, s)
		}
		return all, nil
	case map[string]any:
		var all []string
		for _, name := range slices.Sorted(maps.Keys(value)) {
			s, ok := value[name].(string)
			if !ok {
				return nil, fmt.Errorf("%q is not a string", name)
			}
			all = append(all, name+"="+s)
		}
		return all, nil
	}
	return nil, errors.New("the value is not a string, boolean, list or object")
}

// AsExpected reports whether every case has the expected outcome.
func (c Cases) AsExpected() bool { return c.expected() == len(c) }

func (c Cases) expected() int {
	n := 0
	for _, one := range c {
		if one.AsExpected {
			n++
		}
	}
	return n
}

// JSON returns the cases with their reports as indented JSON.
func (c Cases) JSON() string { return toJSON(c) }

// Text returns a table of the cases, and the reports of those with another outcome than expected.
func (c Cases) Text() string {
	width := 0
	for _, one := range c {
		width = max(width, len(strconv.Quote(one.Name)))
	}
	var b strings.Builder
	for _, one := range c {
		verdict, expected := "ok", ""
		if !one.AsExpected {
			verdict, expected = "DIFFERS", ", expected "+one.Expect
		}
		fmt.Fprintf(&b, "%-7s  %-*q  %s%s\n", verdict, width, one.Name, one.summary(), expected)
	}
	for _, one := range c {
		if !one.AsExpected {
			fmt.Fprintf(&b, "\n--- %q, expected %s\n\n%s", one.Name, one.Expect, one.Report.Text())
		}
	}
	fmt.Fprintf(&b, "\n%d of %d cases as expected\n", c.expected(), len(c))
	return defuse(b.String())
}
