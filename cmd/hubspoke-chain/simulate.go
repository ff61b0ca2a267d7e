package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/simulate"
)

func simulateCommand() *cobra.Command {
	var in simulate.Input
	var format, expect, cases string
	c := &cobra.Command{
		Use:   "simulate",
		Short: "show whether policies allow a hop, and why",
		Long: `Decide as IAM does, with the policies in the given files only. --hub-trust simulates the call into the hub,
--spoke-trust the call into the spoke, and both the whole hop. A file is a policy as it is deployed, or the output of aws
iam get-role, which also provides the ARN; - is standard input. Describe the token by its claims: all in --claims, single
ones in --claim, or with --repository and the environment or ref. The simulated step sends what the action sends: its
session tags, and the session policy that restricts the hub's session to the spoke. Not checked: whether the roles and
the OIDC provider exist, the provider's audiences, durations, the size of the tags, resource control policies.

--cases checks a JSON list of cases. A case is an object with name, expect, and any flags of this command, which are
applied after those of the command line; a repeatable flag is a list, or an object for NAME=VALUE:

  [{"name": "staging deploys", "environment": "staging", "expect": "allowed"},
   {"name": "another workflow", "claim": {"workflow": "test"},
    "tag": ["Team=red"], "expect": "refused"}]`,
		Example: `hubspoke-chain simulate --hub-trust hub-trust.json \
    --hub-permissions hub-permissions.json --spoke-trust spoke-trust.json \
    --hub-role-to-assume arn:aws:iam::123456789012:role/github-actions-hub \
    --role-to-assume arn:aws:iam::222222222222:role/deploy-staging \
    --repository octo-org@1234567/octo-repo@89012345 --environment staging

hubspoke-chain simulate --hub-trust hub-trust.json \
    --hub-role-to-assume arn:aws:iam::123456789012:role/github-actions-hub \
    --subject repo:octo-org/octo-repo:pull_request --expect refused`,
		Annotations: map[string]string{cli.ExitStatus: "" +
			"0  allowed, or as expected with --expect or --cases\n" +
			"1  refused, or not as expected\n" +
			"2  bad command line or invalid input"},
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if cases != "" && expect != "" {
				return cli.UsageError{Err: errors.New("--expect cannot be combined with --cases: each case has its own")}
			}
			return runSimulate(in, &simulate.Files{Stdin: c.InOrStdin()}, cases, expect, format, c.OutOrStdout())
		},
	}
	flags := c.Flags()
	cli.Choice(flags, &format, "format", "text", []string{"text", "json"}, "format of the report")
	cli.Choice(flags, &expect, "expect", "", []string{"allowed", "refused"}, "outcome to exit with status 0 for")
	flags.StringVar(&cases, "cases", "", "JSON `FILE` of cases, each with its expected outcome")
	simulateFlags(flags, &in)
	return c
}

func simulateFlags(flags *pflag.FlagSet, in *simulate.Input) {
	flags.StringVar(&in.HubTrust, "hub-trust", "", "`FILE` with the trust policy of the hub role")
	listVar(flags, &in.HubPermissions, "hub-permissions",
		"`FILE` with a permission policy of the hub role (default one that allows everything); repeatable")
	flags.StringVar(&in.Boundary, "boundary", "", "`FILE` with the permissions boundary of the hub role")
	listVar(flags, &in.SCPs, "scp", "`FILE` with a service control policy of the hub's account; repeatable")
	flags.StringVar(&in.SpokeTrust, "spoke-trust", "", "`FILE` with the trust policy of the spoke role")
	flags.StringVar(&in.HubRole, "hub-role-to-assume", "", "`ARN` of the hub role (default from get-role's output in --hub-trust)")
	flags.StringVar(&in.SpokeRole, "role-to-assume", "", "`ARN` of the spoke role (default from get-role's output in --spoke-trust)")
	flags.StringVar(&in.ClaimsFile, "claims", "", "`FILE` with the token's claims, a JSON object")
	listVar(flags, &in.Claims, "claim", "claim of the token, `NAME=VALUE`; repeatable")
	flags.StringVar(&in.Subject, "subject", "", "sub of the token: `SUBJECT` (default the one that GitHub composes of the repository and environment or ref)")
	flags.StringVar(&in.Audience, "audience", "", "aud of the token: `AUDIENCE` (default sts.amazonaws.com; sts.amazonaws.com.cn in aws-cn)")
	flags.StringVar(&in.Issuer, "issuer", "", "iss of the token: `URL` (default https://token.actions.githubusercontent.com)")
	flags.StringVar(&in.Repository, "repository", "", "repository of the job: `OWNER/REPO`, or OWNER@OWNER-ID/REPO@REPO-ID for immutable subjects")
	flags.StringVar(&in.Environment, "environment", "", "`NAME` of the job's environment")
	flags.StringVar(&in.Ref, "ref", "", "branch or tag of the run, refs/heads/NAME or refs/tags/NAME: `REF`")
	flags.BoolVar(&in.PullRequest, "pull-request", false, "the run is of a pull request")
	flags.StringVar(&in.SessionName, "role-session-name", "", "`NAME` of both sessions (default gh-RUN-ATTEMPT, from the claims)")
	flags.BoolVar(&in.SkipTagging, "role-skip-session-tagging", false, "send no session tags")
	listVar(flags, &in.Tags, "tag", "session tag, `KEY=VALUE`: one of custom-tags, or the value of one of the action's own, "+
		"which is \"simulated\" where no claim provides it; repeatable")
	listVar(flags, &in.TransitiveTagKeys, "transitive-tag-key", "`KEY` of a session tag to mark as transitive; repeatable")
	flags.StringVar(&in.SourceIdentity, "source-identity", "", "source identity that the step sets: `NAME`")
	flags.StringVar(&in.ExternalID, "role-external-id", "", "external `ID` that the step sends")
	listVar(flags, &in.Context, "context", "condition key and its value, `KEY=VALUE`; repeatable. Keys that depend on the network, the "+
		"organization (aws:SourceIp, aws:PrincipalOrgID) or the spoke's tags are absent by default; aws:Principal... at the spoke only")
}

// runSimulate writes the report of one simulation, or of a file of cases. The outcome sets the exit status.
func runSimulate(in simulate.Input, files *simulate.Files, cases, expect, format string, out io.Writer) error {
	var report interface {
		Text() string
		JSON() string
	}
	var expected bool
	if cases != "" {
		results, err := simulate.RunCases(in, cases, files)
		if err != nil {
			return usage(err)
		}
		report, expected = results, results.AsExpected()
	} else {
		result, err := simulate.Run(in, files)
		if err != nil {
			return usage(err)
		}
		report, expected = result, result.Outcome() == expect || expect == "" && result.Allowed
	}
	text := report.Text()
	if format == "json" {
		text = report.JSON()
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if !expected {
		return cli.Status(1)
	}
	return nil
}

// usage makes an invalid input a usage error, which points to the help.
func usage(err error) error {
	var invalid *simulate.InputError
	if errors.As(err, &invalid) {
		return cli.UsageError{Err: err}
	}
	return err
}
