package runner

import (
	"fmt"
	"strings"
)

// Pair is a name and its value in a command file.
type Pair struct{ Name, Value string }

// ParseCommandFile parses the text of GITHUB_ENV, GITHUB_OUTPUT or GITHUB_STATE by the runner's grammar
// (EnvFileKeyValuePairs in FileCommandManager.cs): NAME=VALUE on one line, or NAME<<DELIMITER, lines, and a line
// that is exactly DELIMITER. Nothing is trimmed, and a carriage return is part of its line. With an error it still
// returns the pairs before the invalid line, because the runner has already applied them.
func ParseCommandFile(text string) ([]Pair, error) {
	var pairs []Pair
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		if line == "" {
			continue
		}
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case heredoc >= 0 && (equals < 0 || heredoc < equals):
			name, delimiter := line[:heredoc], line[heredoc+2:]
			if name == "" || delimiter == "" {
				return pairs, fmt.Errorf("invalid format %q: name and delimiter must not be empty", line)
			}
			value, rest, err := untilDelimiter(text, delimiter)
			if err != nil {
				return pairs, err
			}
			pairs, text = append(pairs, Pair{name, value}), rest
		case equals == 0:
			return pairs, fmt.Errorf("invalid format %q: the name is empty", line)
		case equals > 0:
			pairs = append(pairs, Pair{line[:equals], line[equals+1:]})
		default:
			return pairs, fmt.Errorf("invalid format %q", line)
		}
	}
	return pairs, nil
}

// untilDelimiter returns the lines before the delimiter, without the line end before it, and the text after it.
func untilDelimiter(text, delimiter string) (value, rest string, err error) {
	for at := 0; ; {
		line, after, more := strings.Cut(text[at:], "\n")
		if line == delimiter {
			return strings.TrimSuffix(text[:at], "\n"), after, nil
		}
		if !more {
			return "", "", fmt.Errorf("invalid value: matching delimiter not found %q", delimiter)
		}
		at += len(line) + 1
	}
}
