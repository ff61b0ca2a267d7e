package runner

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Action is the part of an action.yml that the runner reads.
type Action struct {
	Inputs  map[string]Input
	Outputs map[string]Output
	Runs    struct {
		Using          string
		Image          string
		Args           []string
		Entrypoint     string
		PreEntrypoint  string `yaml:"pre-entrypoint"`
		PostEntrypoint string `yaml:"post-entrypoint"`
		PreIf          string `yaml:"pre-if"`
		PostIf         string `yaml:"post-if"`
		Env            map[string]string
	}
}

// Input is an input of an action. The runner does not enforce required.
type Input struct {
	Description string
	Required    bool
	Default     *string // nil if there is none
}

// Output is an output of an action.
type Output struct{ Description string }

// ReadAction reads an action.yml.
func ReadAction(path string) (Action, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Action{}, err
	}
	a, err := ParseAction(text)
	if err != nil {
		return Action{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return a, nil
}

// ParseAction parses the text of an action.yml.
func ParseAction(text []byte) (Action, error) {
	var a Action
	return a, yaml.Unmarshal(text, &a)
}

// inputs returns the value of every input: the step's value, else the default, else the empty string. A key with
// an empty value overrides the default. An unknown key is passed on too (ActionRunner.cs).
func (a Action) inputs(with map[string]string, temp string) (map[string]string, error) {
	values := map[string]string{}
	for name, input := range a.Inputs {
		values[strings.ToLower(name)] = ""
		if input.Default == nil {
			continue
		}
		value, err := evaluate(*input.Default, func(name string) (string, bool) { return temp, name == "runner.temp" })
		if err != nil {
			return nil, fmt.Errorf("the default of %s: %w", name, err)
		}
		values[strings.ToLower(name)] = value
	}
	for name, value := range with {
		values[strings.ToLower(name)] = value
	}
	return values, nil
}

// evaluate replaces each ${{ NAME }} in a text. The runner has a whole expression language. Expressions that our
// action.yml does not use are rejected, so that nobody assumes that they work.
func evaluate(text string, lookup func(name string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		expression, after, found := strings.Cut(rest, "}}")
		if !found {
			return "", fmt.Errorf("%q does not close its ${{", text)
		}
		value, known := lookup(strings.TrimSpace(expression))
		if !known {
			return "", fmt.Errorf("the expression %q is not one that this transcription knows", strings.TrimSpace(expression))
		}
		b.WriteString(value)
		text = after
	}
}
