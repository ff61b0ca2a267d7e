package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// printer lays out the demo for a terminal.
type printer struct {
	out     io.Writer
	colored bool
	width   int // columns; no line is longer
	full    bool
}

// Widths of the output. A pipe has defaultWidth, and so has a terminal that is wide: longer lines are hard to read.
const (
	defaultWidth = 80
	minWidth     = 40
)

// newPrinter returns a printer for out. Colors follow no-color.org.
func newPrinter(out io.Writer, getenv func(string) string, full bool) printer {
	p := printer{out: out, width: defaultWidth, full: full}
	if columns, err := strconv.Atoi(getenv("COLUMNS")); err == nil {
		p.width = columns
	}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.colored = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
			p.width = columns
		}
	}
	p.width = min(max(p.width, minWidth), defaultWidth)
	return p
}

func (p printer) style(code, text string) string {
	if !p.colored {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p printer) say(text string) {
	for _, line := range wrap(text, 0, p.width) {
		fmt.Fprintln(p.out, line)
	}
}

// point prints a text after a check mark.
func (p printer) point(text string) {
	for i, line := range wrap(text, 0, p.width-4) {
		mark := " "
		if i == 0 {
			mark = p.style("32", "✓")
		}
		fmt.Fprintf(p.out, "  %s %s\n", mark, line)
	}
}

func (p printer) heading(text string) {
	fmt.Fprintln(p.out)
	for _, line := range wrap(text, 0, p.width) {
		fmt.Fprintln(p.out, p.style("1", line))
	}
}

// part prints a text under its name, with a rule at its left.
func (p printer) part(name, text string) {
	if p.full {
		fmt.Fprintln(p.out)
	}
	fmt.Fprintf(p.out, "  %s\n", p.style("36", name))
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		failed := strings.HasPrefix(line, "Error: ")
		for _, piece := range wrap(line, hanging(line), p.width-4) {
			if failed {
				piece = p.style("31", piece)
			}
			fmt.Fprintln(p.out, strings.TrimRight(fmt.Sprintf("  %s %s", p.style("2", "│"), piece), " "))
		}
	}
}

var (
	columns = regexp.MustCompile(`^ *\S+  +`)           // a log line, "  hub      arn:..."
	item    = regexp.MustCompile(`^ *([0-9]+\.|[-*]) `) // a list item
)

// hanging returns the indent of the lines after the first when a line is wrapped.
func hanging(line string) int {
	for _, begin := range []*regexp.Regexp{columns, item} {
		if match := begin.FindString(line); match != "" && utf8.RuneCountInString(match) <= minWidth/2 {
			return utf8.RuneCountInString(match)
		}
	}
	return min(minWidth/2, len(line)-len(strings.TrimLeft(line, " "))+2)
}

// wrap breaks a line at spaces into lines of at most width runes, those after the first with an indent. A longer word is
// broken after punctuation, or anywhere as a last resort. Only spaces are lost.
func wrap(line string, indent, width int) (lines []string) {
	rest, prefix, kept := []rune(strings.TrimRight(line, " ")), "", indent // a break before kept would be no progress
	for len(rest) > width {
		at := width
		if n := lastIndex(rest[:width+1], " "); n > kept {
			at = n
		} else if n := lastIndex(rest[:width], "/:,=&@"); n > kept {
			at = n + 1
		}
		lines = append(lines, strings.TrimRight(prefix+string(rest[:at]), " "))
		for rest = rest[at:]; rest[0] == ' '; { // the line does not end in a space
			rest = rest[1:]
		}
		if prefix == "" {
			prefix, kept, width = strings.Repeat(" ", indent), 0, width-indent
		}
	}
	return append(lines, prefix+string(rest))
}

// lastIndex returns the index of the last rune that is one of those in set, or -1.
func lastIndex(text []rune, set string) int {
	for i := len(text) - 1; i >= 0; i-- {
		if strings.ContainsRune(set, text[i]) {
			return i
		}
	}
	return -1
}
