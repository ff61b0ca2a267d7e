package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/lint"
)

// maxLinted bounds a file that is read. The roles of a large account, as aws iam
// get-account-authorization-details prints them, are some megabytes.
const maxLinted = 32 << 20 // bytes

func lintCommand() *cobra.Command {
	var format, kind, severity, explain string
	var rules bool
	c := &cobra.Command{
		Use:   "lint FILE...",
		Short: "find mistakes in the policies of a hub and its spokes",
		Long: `Find mistakes in policies. A FILE is a policy document as it is deployed, or the output of aws iam get-role,
list-roles, get-role-policy, get-policy-version or get-account-authorization-details, or of aws organizations
describe-policy; - is standard input. Give the files of hub and spokes together to find what one side lacks as well.
A finding is an error (allows someone that it must not, or cannot work), a warning (allows more than it seems, or works
only in some cases) or a note. Notes are shown with --severity note.`,
		Example: `hubspoke-chain lint hub-trust.json hub-permissions.json spoke-trust.json

aws iam get-role --role-name github-actions-hub |
    hubspoke-chain lint --format github -

hubspoke-chain lint --format sarif --severity error hub-trust.json \
    > lint.sarif

hubspoke-chain lint --explain subject-wildcard-organization`,
		Annotations: map[string]string{cli.ExitStatus: "" +
			"0  no finding of --severity or higher\n" +
			"1  at least one such finding\n" +
			"2  bad command line or unreadable file"},
		RunE: func(c *cobra.Command, names []string) error {
			if rules || explain != "" {
				if len(names) > 0 {
					return cli.UsageError{Err: fmt.Errorf("unexpected argument %q: --rules and --explain read no file", names[0])}
				}
				return explainRules(c.OutOrStdout(), explain)
			}
			if len(names) == 0 {
				return cli.UsageError{Err: errors.New("no FILE given (- is standard input)")}
			}
			files, err := readLinted(names, c.InOrStdin())
			if err != nil {
				return err
			}
			return writeFindings(c.OutOrStdout(), format, lint.Severity(severity), lint.Lint(lint.Kind(kind), files...))
		},
	}
	flags := c.Flags()
	cli.Choice(flags, &format, "format", "text", []string{"text", "json", "sarif", "github"}, "format of the findings")
	cli.Choice(flags, &kind, "kind", "", lint.Kinds, "kind of the documents, where a file does not say "+
		"(default trust for a document with principals, otherwise permissions: an inline policy)")
	cli.Choice(flags, &severity, "severity", string(lint.Warning), lint.Severities, "lowest severity that fails")
	flags.StringVar(&explain, "explain", "", "explain a `RULE`, and read no file")
	flags.BoolVar(&rules, "rules", false, "list all rules, and read no file")
	return c
}

// readLinted reads all files, and says of each that cannot be read why.
func readLinted(names []string, in io.Reader) ([]lint.File, error) {
	var files []lint.File
	var problems []error
	stdin := false
	for _, name := range names {
		var data []byte
		var err error
		switch {
		case name == "-" && stdin:
			err = errors.New("stdin can be read once")
		case name == "-":
			stdin = true
			data, err = io.ReadAll(io.LimitReader(in, maxLinted+1))
			name = "stdin"
		default:
			data, err = readFile(name)
		}
		if err == nil && len(data) > maxLinted {
			err = fmt.Errorf("%q has more than %d bytes", name, maxLinted)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		files = append(files, lint.File{Name: name, Data: data})
	}
	return files, errors.Join(problems...)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxLinted+1))
	return data, errors.Join(err, f.Close())
}

// writeFindings writes those that are to be shown, and fails when one of them is as bad as least.
func writeFindings(out io.Writer, format string, least lint.Severity, all []lint.Finding) error {
	var shown []lint.Finding
	status := cli.Status(0)
	for _, f := range all {
		if f.Severity.AtLeast(least) {
			status = 1
		}
		if f.Severity.AtLeast(lint.Warning) || f.Severity.AtLeast(least) {
			shown = append(shown, f)
		}
	}
	var err error
	switch format {
	case "json":
		err = lint.WriteJSON(out, shown)
	case "sarif":
		err = lint.WriteSARIF(out, semantic(version), shown)
	case "github":
		err = lint.WriteGitHub(out, shown)
	default:
		err = lint.WriteText(out, shown)
	}
	if err != nil {
		return err
	}
	return status
}

// semantic is the version as SARIF wants it; one that was not released has none.
func semantic(version string) string {
	number, released := strings.CutPrefix(version, "v")
	if !released {
		return ""
	}
	return number
}

// explainRules writes one rule, or all of them.
func explainRules(out io.Writer, name string) error {
	rules := lint.Rules()
	if name != "" {
		rule, found := lint.Explain(name)
		if !found {
			return cli.UsageError{Err: fmt.Errorf("--explain: there is no rule %q (--rules lists them)", name)}
		}
		rules = []*lint.Rule{rule}
	}
	return lint.WriteRules(out, rules...)
}
