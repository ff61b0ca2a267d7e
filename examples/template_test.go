package examples_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// template is a CloudFormation template with values for its parameters, and resolves what our templates use of
// CloudFormation: Ref, Sub, If, Equals, Not, And, Or and Join in their short forms, and Condition. Everything else
// is an error, so that it is not mistaken for a resolved value. CloudFormation User Guide, "Intrinsic function
// reference".
type template struct {
	partition, account string
	parameters         map[string]any // string or []any
	conditions         map[string]yaml.Node
	resources          map[string]yaml.Node
}

// noValue is what AWS::NoValue resolves to: the property or element that has it is left out.
type noValue struct{}

// readTemplate reads a template and holds the given parameters against the template's rules for them.
func readTemplate(path, partition, account string, given map[string]string) (*template, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Parameters map[string]parameter `yaml:"Parameters"`
		Conditions map[string]yaml.Node `yaml:"Conditions"`
		Resources  map[string]yaml.Node `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t := &template{partition, account, map[string]any{}, file.Conditions, file.Resources}
	for name := range given {
		if _, declared := file.Parameters[name]; !declared {
			return nil, fmt.Errorf("%s has no parameter %s", path, name)
		}
	}
	for name, p := range file.Parameters {
		value, isGiven := given[name]
		if !isGiven && p.Default == nil {
			return nil, fmt.Errorf("%s: the parameter %s has no default and no value", path, name)
		}
		if !isGiven {
			value = *p.Default
		}
		if t.parameters[name], err = p.value(value); err != nil {
			return nil, fmt.Errorf("%s: the parameter %s: %w", path, name, err)
		}
	}
	return t, nil
}

// parameter is what a template says of a parameter. Default is a string whatever its type, as
// CloudFormation has it.
type parameter struct {
	Type           string   `yaml:"Type"`
	Default        *string  `yaml:"Default"`
	AllowedPattern string   `yaml:"AllowedPattern"`
	AllowedValues  []string `yaml:"AllowedValues"`
	MinValue       *float64 `yaml:"MinValue"`
	MaxValue       *float64 `yaml:"MaxValue"`
	MaxLength      *int     `yaml:"MaxLength"`
}

func (p parameter) value(text string) (any, error) {
	switch p.Type {
	case "String":
		return text, p.check(text)
	case "Number":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || p.MinValue != nil && n < *p.MinValue || p.MaxValue != nil && n > *p.MaxValue {
			return nil, fmt.Errorf("%q is not a number in its range", text)
		}
		return text, p.check(text)
	case "CommaDelimitedList":
		var list []any
		for _, one := range strings.Split(text, ",") {
			one = strings.TrimSpace(one)
			if err := p.check(one); err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		return list, nil
	}
	return nil, fmt.Errorf("its type %s is not one that this test resolves", p.Type)
}

func (p parameter) check(text string) error {
	if p.AllowedPattern != "" && !regexp.MustCompile(p.AllowedPattern).MatchString(text) {
		return fmt.Errorf("%q does not match %s", text, p.AllowedPattern)
	}
	if p.MaxLength != nil && len(text) > *p.MaxLength {
		return fmt.Errorf("%d characters, and %d are allowed", len(text), *p.MaxLength)
	}
	if p.AllowedValues != nil && !slices.Contains(p.AllowedValues, text) {
		return fmt.Errorf("%q is none of %q", text, p.AllowedValues)
	}
	return nil
}

// resource returns the resolved properties of a resource, or nil if its condition is false.
func (t *template) resource(name string) (map[string]any, error) {
	var r struct {
		Condition  string    `yaml:"Condition"`
		Properties yaml.Node `yaml:"Properties"`
	}
	node, found := t.resources[name]
	if !found {
		return nil, fmt.Errorf("there is no resource %s", name)
	}
	if err := node.Decode(&r); err != nil {
		return nil, err
	}
	if r.Condition != "" {
		if created, err := t.condition(r.Condition); err != nil || !created {
			return nil, err
		}
	}
	value, err := t.resolve(&r.Properties)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	properties, isMap := value.(map[string]any)
	if !isMap {
		return nil, fmt.Errorf("the properties of %s are %T", name, value)
	}
	return properties, nil
}

func (t *template) condition(name string) (bool, error) {
	node, found := t.conditions[name]
	if !found {
		return false, fmt.Errorf("there is no condition %s", name)
	}
	value, err := t.resolve(&node)
	if err != nil {
		return false, err
	}
	b, isBool := value.(bool)
	if !isBool {
		return false, fmt.Errorf("the condition %s is %v", name, value)
	}
	return b, nil
}

// resolve returns a node's value: a string, a bool of a condition, []any or map[string]any.
func (t *template) resolve(node *yaml.Node) (any, error) {
	if strings.HasPrefix(node.Tag, "!") && !strings.HasPrefix(node.Tag, "!!") {
		return t.function(node)
	}
	switch node.Kind {
	case yaml.ScalarNode:
		return node.Value, nil
	case yaml.SequenceNode:
		return t.list(node)
	case yaml.MappingNode:
		// In a condition, the name of another one; a policy's Condition is no text.
		if len(node.Content) == 2 && node.Content[0].Value == "Condition" && node.Content[1].Tag == "!!str" {
			return t.condition(node.Content[1].Value)
		}
		m := map[string]any{}
		for i := 0; i < len(node.Content); i += 2 {
			key, value := node.Content[i].Value, node.Content[i+1]
			if strings.HasPrefix(key, "Fn::") || key == "Ref" {
				return nil, fmt.Errorf("line %d: the long form %s is not one that this test resolves", node.Line, key)
			}
			resolved, err := t.resolve(value)
			if err != nil {
				return nil, err
			}
			if resolved != (noValue{}) {
				m[key] = resolved
			}
		}
		return m, nil
	}
	return nil, fmt.Errorf("line %d: not a value", node.Line)
}

func (t *template) list(node *yaml.Node) ([]any, error) {
	all := []any{}
	for _, one := range node.Content {
		value, err := t.resolve(one)
		if err != nil {
			return nil, err
		}
		if _, left := value.(noValue); !left {
			all = append(all, value)
		}
	}
	return all, nil
}

func (t *template) function(node *yaml.Node) (any, error) {
	switch node.Tag {
	case "!Ref":
		return t.ref(node.Value)
	case "!Sub":
		var failure error
		text := regexp.MustCompile(`\$\{([^}]+)\}`).ReplaceAllStringFunc(node.Value, func(s string) string {
			value, err := t.ref(s[2 : len(s)-1])
			text, isText := value.(string)
			if err != nil || !isText {
				failure = fmt.Errorf("line %d: %s is not a text: %v", node.Line, s, err)
			}
			return text
		})
		return text, failure
	case "!If":
		// Only the branch that is taken is resolved, as CloudFormation does.
		yes, err := t.condition(node.Content[0].Value)
		if err != nil {
			return nil, err
		}
		if yes {
			return t.resolve(node.Content[1])
		}
		return t.resolve(node.Content[2])
	}
	args, err := t.list(node)
	if err != nil {
		return nil, err
	}
	switch node.Tag {
	case "!Equals":
		return args[0] == args[1], nil
	case "!Not":
		return args[0] == false, nil
	case "!And":
		return !slices.Contains(args, any(false)), nil
	case "!Or":
		return slices.Contains(args, any(true)), nil
	case "!Join":
		parts, isList := args[1].([]any)
		separator, isText := args[0].(string)
		if !isList || !isText {
			return nil, fmt.Errorf("line %d: not a separator and a list", node.Line)
		}
		var texts []string
		for _, p := range parts {
			texts = append(texts, fmt.Sprint(p))
		}
		return strings.Join(texts, separator), nil
	}
	return nil, fmt.Errorf("line %d: %s is not a function that this test resolves", node.Line, node.Tag)
}

func (t *template) ref(name string) (any, error) {
	switch name {
	case "AWS::NoValue":
		return noValue{}, nil
	case "AWS::Partition":
		return t.partition, nil
	case "AWS::AccountId":
		return t.account, nil
	}
	if value, found := t.parameters[name]; found {
		return value, nil
	}
	// Of a resource, the only one that is referred to: the provider, whose reference is its ARN.
	properties, err := t.resource(name)
	if err != nil {
		return nil, err
	}
	url, isText := properties["Url"].(string)
	if !isText {
		return nil, fmt.Errorf("%s is not a resource whose reference this test knows", name)
	}
	return "arn:" + t.partition + ":iam::" + t.account + ":oidc-provider/" + strings.TrimPrefix(url, "https://"), nil
}

// readParameters reads a parameters file of the form that create-stack and deploy take.
func readParameters(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ ParameterKey, ParameterValue string }
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	values := map[string]string{}
	for _, p := range list {
		values[p.ParameterKey] = p.ParameterValue
	}
	if len(values) != len(list) || len(list) == 0 {
		t.Fatalf("%s: a parameter is there twice, or none", path)
	}
	return values
}
