package runner

import (
	"bytes"
	"strings"
)

// Log receives what a step prints, on one stream, and stores it as the runner shows it.
type Log struct {
	masks       *Masks
	pending     []byte
	lines       []string
	raw         []string
	annotations []Annotation
	commands    []Command
}

// Annotation is an error, a warning or a notice.
type Annotation struct {
	Level   string // error, warning or notice
	Title   string // not masked: the runner masks only the message
	Message string // masked, at most 4096 characters
}

// Limits of annotations (ExecutionContext.cs).
const (
	maxMessage     = 4096 // characters of a message
	maxAnnotations = 10   // of each level in a step
)

// Write processes the step's output as it arrives.
func (l *Log) Write(p []byte) (int, error) {
	l.pending = append(l.pending, p...)
	for {
		line, rest, found := bytes.Cut(l.pending, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.line(string(line))
		l.pending = rest
	}
}

func (l *Log) flush() {
	if len(l.pending) > 0 {
		l.line(string(l.pending))
		l.pending = nil
	}
}

// line processes one line. A mask takes effect from the next line on, and is not shown itself.
func (l *Log) line(line string) {
	l.raw = append(l.raw, line)
	c, found := parseCommand(line)
	if !found {
		l.show(line)
		return
	}
	l.commands = append(l.commands, c)
	switch c.Name {
	case "add-mask":
		l.masks.Add(c.Data)
	case "error", "warning", "notice":
		l.annotate(c)
	case "group":
		l.show("▼ " + c.Data)
	case "debug", "endgroup", "echo":
	default:
		l.show(line)
	}
}

func (l *Log) annotate(c Command) {
	message := l.masks.Hide(c.Data)
	l.show(strings.ToUpper(c.Name[:1]) + c.Name[1:] + ": " + c.Data)
	n := 0
	for _, a := range l.annotations {
		if a.Level == c.Name {
			n++
		}
	}
	if n >= maxAnnotations {
		return
	}
	if runes := []rune(message); len(runes) > maxMessage {
		message = string(runes[:maxMessage])
	}
	l.annotations = append(l.annotations, Annotation{c.Name, c.Properties["title"], message})
}

func (l *Log) show(line string) { l.lines = append(l.lines, l.masks.Hide(line)) }

// Shown returns the log as a reader of the job sees it, masked.
func (l *Log) Shown() string {
	l.flush()
	return strings.Join(l.lines, "\n") + "\n"
}

// Raw returns every line as it was printed, including masks. Only tests use it.
func (l *Log) Raw() []string {
	l.flush()
	return l.raw
}

// Commands returns the workflow commands that the step issued, in order.
func (l *Log) Commands() []Command {
	l.flush()
	return l.commands
}

// Annotations returns the annotations that the run's page shows.
func (l *Log) Annotations() []Annotation {
	l.flush()
	return l.annotations
}
