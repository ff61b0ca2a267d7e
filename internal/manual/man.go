package manual

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
)

// ManPages returns the man pages of a program by file name: one for the program and one for each command. They depend
// on the commands and the version only.
func ManPages(root *cobra.Command, version string) map[string]string {
	pages := map[string]string{}
	all := append([]*cobra.Command{root}, cli.Leaves(root)...)
	for _, c := range all {
		var also []string
		for _, other := range all {
			if other != c && (c == root || other == root) {
				also = append(also, fmt.Sprintf(".BR %s (1)", roff(manName(other))))
			}
		}
		pages[manName(c)+".1"] = manPage(c, version, strings.Join(also, ",\n"))
	}
	return pages
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func manPage(c *cobra.Command, version, also string) string {
	var b strings.Builder
	section := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&b, ".SH %s\n%s\n", title, text)
		}
	}
	fmt.Fprintf(&b, ".TH \"%s\" 1 \"\" \"%s %s\" \"\"\n", strings.ToUpper(roff(manName(c))), roff(c.Root().Name()), roff(version))
	section("NAME", roff(manName(c))+` \- `+roff(c.Short))
	section("SYNOPSIS", literal(cli.Usage(c)))
	section("DESCRIPTION", described(c.Long))
	var list strings.Builder
	if c.HasSubCommands() {
		for _, leaf := range cli.Leaves(c) {
			fmt.Fprintf(&list, ".TP\n.B %s\n%s\n", roff(cli.Path(leaf)), roff(leaf.Short))
		}
		section("COMMANDS", strings.TrimSpace(list.String()))
		list.Reset()
	}
	for _, f := range cli.Flags(c) {
		fmt.Fprintf(&list, ".TP\n.BI \"%s \" \"%s\"\n%s\n", roff(f.Name), roff(f.Value), roff(f.Usage))
	}
	section("OPTIONS", strings.TrimSpace(list.String()))
	if c.Example != "" {
		section("EXAMPLES", literal(c.Example))
	}
	list.Reset()
	for line := range strings.SplitSeq(cli.Exits(c), "\n") {
		status, meaning, _ := strings.Cut(line, "  ")
		fmt.Fprintf(&list, ".TP\n.B %s\n%s\n", status, roff(meaning))
	}
	section("EXIT STATUS", strings.TrimSpace(list.String()))
	section("SEE ALSO", also)
	return b.String()
}

// described sets paragraphs, and lines that begin with a space as they are.
func described(long string) string {
	var b strings.Builder
	for i, paragraph := range strings.Split(cli.Wrap(long, 120), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, " ") {
			b.WriteString(literal(paragraph) + "\n")
		} else {
			b.WriteString(roff(paragraph) + "\n")
		}
	}
	return strings.TrimSpace(b.String())
}

func literal(text string) string { return ".nf\n" + roff(text) + "\n.fi" }

// roff escapes text for roff: backslashes, hyphens that are no dashes, and what would be a request at a line's start.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(text)
	for _, control := range []string{".", "'"} {
		if strings.HasPrefix(text, control) {
			text = `\&` + text
		}
		text = strings.ReplaceAll(text, "\n"+control, "\n"+`\&`+control)
	}
	return text
}
