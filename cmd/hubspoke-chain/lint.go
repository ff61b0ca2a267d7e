package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/lint"
)

// maxLinted bounds a file that is read. The roles of a large account, as aws iam
// get-account-authorization-details prints them, are some megabytes.
const maxLinted = 32 << 20 // bytes

func lintCommand() cli.Command {
	return cli.Command{
		Name:     "lint",
		Summary:  "find what is wrong with the policies of a hub and its spokes",
		Operands: "FILE...",
		About: `A FILE is a policy document as it is deployed, or what the AWS CLI prints: aws iam get-role, list-roles,
get-role-policy, get-policy-version or get-account-authorization-details, or aws organizations
describe-policy. - is stdin. Give the files of both sides together, and what one of them lacks for
the hop is found too.

A finding is an error (allows an outsider, or cannot work), a warning (allows more than it seems to,
or works only in some cases) or a note. Notes are shown when --severity is note.

Exit status: 0 when there is nothing as bad as --severity, 1 when there is, 2 when a file cannot be
read.`,
		Examples: []string{
			"hubspoke-chain lint hub-trust.json hub-permissions.json spoke-trust.json",
			"aws iam get-role --role-name github-actions-hub | hubspoke-chain lint --format github -",
			"hubspoke-chain lint --format sarif --severity error hub-trust.json > lint.sarif",
			"hubspoke-chain lint --explain subject-wildcard-organization",
		},
		Setup: func(flags *flag.FlagSet) func(context.Context, []string, cli.Streams) error {
			format := flags.String("format", "text", "how findings are written: `text|json|sarif|github`")
			kind := flags.String("kind", "", "what the documents are for, where a file does not tell: `"+words(lint.Kinds)+"`\n"+
				"(default trust for a document with principals, else permissions, an inline policy)")
			severity := flags.String("severity", string(lint.Warning), "the least that fails: `"+words(lint.Severities)+"`")
			explain := flags.String("explain", "", "say what a `RULE` is for, and look at no file")
			rules := flags.Bool("rules", false, "list all rules, and look at no file")
			return func(_ context.Context, operands []string, s cli.Streams) error {
				if *rules || *explain != "" {
					if len(operands) > 0 {
						return cli.UsageError{Err: fmt.Errorf("unexpected argument %q: --rules and --explain look at no file", operands[0])}
					}
					return explainRules(s.Out, *explain)
				}
				if len(operands) == 0 {
					return cli.UsageError{Err: errors.New("there is no FILE to look at (- is stdin)")}
				}
				files, err := readLinted(operands, s.In)
				if err != nil {
					return err
				}
				return writeFindings(s.Out, *format, lint.Severity(*severity), lint.Lint(lint.Kind(*kind), files...))
			}
		},
	}
}

// words are the choices of a flag, as package cli reads them.
func words[T ~string](all []T) string {
	var texts []string
	for _, one := range all {
		texts = append(texts, string(one))
	}
	return strings.Join(texts, "|")
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
