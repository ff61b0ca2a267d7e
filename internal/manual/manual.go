// Package manual writes the commands of a program as Markdown and as man pages, from the same tree as the program's
// help. Only tests import it, so that it is not part of any program.
package manual

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
)

// Markdown returns a section on a program: its description, a table of its commands, and each command.
func Markdown(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", root.Name(), prose(root.Long))
	b.WriteString("| Command | Description |\n|---|---|\n")
	for _, c := range cli.Leaves(root) {
		anchor := strings.ReplaceAll(c.CommandPath(), " ", "-")
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", cli.Path(c), anchor, escape(c.Short))
	}
	fmt.Fprintf(&b, "\n%s\n", exits(root))
	for _, c := range cli.Leaves(root) {
		fmt.Fprintf(&b, "\n### %s\n\n```\n%s\n```\n\n%s\n", c.CommandPath(), cli.Usage(c), prose(c.Long))
		if flags := cli.Flags(c); len(flags) > 0 {
			b.WriteString("\n| Flag | Description |\n|---|---|\n")
			for _, f := range flags {
				name := strings.ReplaceAll(strings.TrimSpace(f.Name+" "+f.Value), "|", `\|`)
				fmt.Fprintf(&b, "| `%s` | %s |\n", name, escape(f.Usage))
			}
		}
		fmt.Fprintf(&b, "\n```sh\n%s\n```\n\n%s\n", c.Example, exits(c))
	}
	b.WriteString("\n")
	return b.String()
}

func exits(c *cobra.Command) string {
	var parts []string
	for line := range strings.SplitSeq(cli.Exits(c), "\n") {
		status, meaning, _ := strings.Cut(line, "  ")
		parts = append(parts, fmt.Sprintf("`%s` %s", status, escape(meaning)))
	}
	return "Exit status: " + strings.Join(parts, "; ") + "."
}

// prose returns a description as Markdown: lines that begin with a space become blocks of code.
func prose(long string) string {
	var b strings.Builder
	code := false
	lines := strings.Split(cli.Wrap(long, 120), "\n")
	for i, line := range lines {
		indented := strings.HasPrefix(line, " ")
		if indented != code && (indented || line != "") {
			b.WriteString("```\n")
			if code = indented; !code {
				b.WriteString("\n")
			}
		}
		switch {
		case indented:
			b.WriteString(strings.TrimPrefix(line, "  ") + "\n")
		case line == "" && i+1 < len(lines) && code:
		case strings.HasPrefix(line, "- "): // no list
			b.WriteString(`\` + escape(line) + "\n")
		default:
			b.WriteString(escape(line) + "\n")
		}
	}
	if code {
		b.WriteString("```\n")
	}
	return strings.TrimSpace(b.String())
}

var escape = strings.NewReplacer(`\`, `\\`, "*", `\*`, "<", "&lt;", "|", `\|`, "`", "\\`").Replace
