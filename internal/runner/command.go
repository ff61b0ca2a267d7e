package runner

import (
	"strings"
	"unicode"
)

// Command is a workflow command.
type Command struct {
	Name       string // lower case
	Properties map[string]string
	Data       string
}

// parseCommand parses the command in a line of the log (ActionCommand.cs): ::name k=v,k2=v2::data at the start of
// the line after white space, or the legacy ##[name k=v;k2=v2]data anywhere in it.
func parseCommand(line string) (Command, bool) {
	if c, ok := parseV2(line); ok {
		return c, true
	}
	return parseV1(line)
}

func parseV2(line string) (Command, bool) {
	rest, found := strings.CutPrefix(strings.TrimLeftFunc(line, unicode.IsSpace), "::")
	if !found {
		return Command{}, false
	}
	head, data, found := strings.Cut(rest, "::")
	if !found {
		return Command{}, false
	}
	name, properties, _ := strings.Cut(head, " ")
	if !known(name) {
		return Command{}, false
	}
	c := Command{Name: strings.ToLower(name), Properties: map[string]string{}, Data: unescapeData.Replace(data)}
	for property := range strings.SplitSeq(properties, ",") {
		if key, value, found := strings.Cut(strings.TrimSpace(property), "="); found && value != "" {
			c.Properties[key] = unescapeProperty.Replace(value)
		}
	}
	return c, true
}

func parseV1(line string) (Command, bool) {
	_, rest, found := strings.Cut(line, "##[")
	if !found {
		return Command{}, false
	}
	head, data, found := strings.Cut(rest, "]")
	if !found {
		return Command{}, false
	}
	name, properties, _ := strings.Cut(head, " ")
	if !known(name) {
		return Command{}, false
	}
	c := Command{Name: strings.ToLower(name), Properties: map[string]string{}, Data: unescapeLegacy.Replace(data)}
	for property := range strings.SplitSeq(properties, ";") {
		if key, value, found := strings.Cut(strings.TrimSpace(property), "="); found && value != "" {
			c.Properties[key] = unescapeLegacy.Replace(value)
		}
	}
	return c, true
}

// known reports whether the runner has a handler for the command; a line with any other command is text.
func known(name string) bool {
	switch strings.ToLower(name) {
	case "add-mask", "add-matcher", "remove-matcher", "add-path", "set-env", "set-output", "save-state",
		"error", "warning", "notice", "debug", "group", "endgroup", "echo", "internal-set-repo-path", "stop-commands":
		return true
	}
	return false
}

var (
	unescapeData     = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%")
	unescapeProperty = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
	unescapeLegacy   = strings.NewReplacer("%3B", ";", "%0D", "\r", "%0A", "\n", "%5D", "]", "%25", "%")
)
