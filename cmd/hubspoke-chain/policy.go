package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/generate"
)

// policyCommand holds the commands that write the policies of a hub and its spokes.
func policyCommand() *cobra.Command {
	c := cli.Group("policy", "write the policies of a hub role and its spoke roles", hubTrust(), hubPermissions(), spokeTrust())
	c.Long = "Write the IAM policies of a hub role and its spoke roles, as JSON on standard output."
	c.Annotations = map[string]string{cli.ExitStatus: cli.Offline}
	return c
}

func hubTrust() *cobra.Command {
	var h generate.HubTrust
	var ownerID, repositoryID, form string
	var repositories, claims []string
	c := &cobra.Command{
		Use:   "hub-trust",
		Short: "write the hub role's trust policy",
		Long: `Print a trust policy for the hub role. It allows the given repositories, environments and refs and nothing
else: it compares the subject of a job's token with StringEquals, without wildcards. Case counts, so write owner,
repository and environment as GitHub shows them. A job that names an environment has that environment in its subject,
whatever its ref; --ref is for jobs without one. Repositories created, renamed or transferred since July 2026, or opted
in, have immutable subjects, which contain the ids of owner and repository. To print the ids and to create the role, run:

  gh api repos/OWNER/REPO --jq '.owner.id, .id'
  aws iam create-role --role-name ROLE \
      --assume-role-policy-document file://hub-trust.json`,
		Example: `hubspoke-chain policy hub-trust --hub-account-id 123456789012 \
    --repository octo-org/octo-repo --repository-owner-id 1234567 \
    --repository-id 89012345 --form both \
    --environment staging --environment production

hubspoke-chain policy hub-trust --hub-account-id 123456789012 \
    --repository octo-org@1234567/octo-repo@89012345 --ref refs/heads/main \
    --claim job_workflow_ref=octo-org/workflows/.github/workflows/deploy.yml@refs/tags/v1

hubspoke-chain policy hub-trust --hub-account-id 123456789012 \
    --ghes github.example.com --repository octo-org/octo-repo \
    --environment production`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var problems generate.Problems
			h.Form = generate.SubjectForm(form)
			for _, written := range repositories {
				r, err := generate.ParseRepository(written)
				if err != nil {
					problems = append(problems, generate.Problem{Field: "repository", Message: err.Error()})
					continue
				}
				h.Repositories = append(h.Repositories, r)
			}
			problems = append(problems, addIDs(h.Repositories, len(repositories), ownerID, repositoryID)...)
			for _, c := range claims {
				name, value, found := strings.Cut(c, "=")
				if !found {
					problems = append(problems, generate.Problem{Field: "claim", Message: fmt.Sprintf("%q is not NAME=VALUE", c)})
					continue
				}
				h.Claims = append(h.Claims, generate.Claim{Name: name, Value: value})
			}
			return printDocument(c.OutOrStdout(), h.Document, problems)
		},
	}
	flags := c.Flags()
	flags.StringVar(&h.AccountID, "hub-account-id", "", "`ID` of the hub's account, 12 digits")
	partitionVar(flags, &h.Partition, "the hub's `PARTITION`")
	listVar(flags, &repositories, "repository", "`OWNER/REPO`, or OWNER@OWNER-ID/REPO@REPO-ID; repeatable")
	flags.StringVar(&ownerID, "repository-owner-id", "", "`ID` of the owner, for a single --repository OWNER/REPO")
	flags.StringVar(&repositoryID, "repository-id", "", "`ID` of the repository, for a single --repository OWNER/REPO")
	cli.Choice(flags, &form, "form", "", []string{"legacy", "immutable", "both"},
		"form of the subjects (default immutable; legacy with --ghes). Use both during the transition. "+
			"A legacy subject contains only names: whoever takes over a name that you gave up has its subjects")
	listVar(flags, &h.Environments, "environment", "`NAME` of an environment of the repositories; repeatable")
	listVar(flags, &h.Refs, "ref", "a branch or tag: `REF` is refs/heads/NAME or refs/tags/NAME; repeatable")
	flags.BoolVar(&h.PullRequest, "pull-request", false,
		"allow runs of every pull request from a branch of the repositories, whatever code it contains")
	listVar(flags, &claims, "claim", "another claim that the token must have, `NAME=VALUE`; repeatable. All names must match, "+
		"with any of their values. AWS supports "+strings.Join(chain.ClaimNames, ", "))
	issuerVar(flags, &h.Issuer)
	flags.StringVar(&h.Audience, "audience", "", "`AUDIENCE` of the tokens (default sts.amazonaws.com; sts.amazonaws.com.cn in aws-cn)")
	return c
}

// addIDs completes a repository whose ids are given by flags of their own.
func addIDs(repositories []generate.Repository, given int, ownerID, repositoryID string) generate.Problems {
	if ownerID == "" && repositoryID == "" {
		return nil
	}
	const apart = "goes with a single --repository OWNER/REPO: write OWNER@OWNER-ID/REPO@REPO-ID for several"
	if given > 1 || len(repositories) == 1 && repositories[0].ID != "" {
		field := "repository-id"
		if repositoryID == "" {
			field = "repository-owner-id"
		}
		return generate.Problems{{Field: field, Message: apart}}
	}
	for i := range repositories {
		repositories[i].OwnerID, repositories[i].ID = ownerID, repositoryID
	}
	return nil
}

func hubPermissions() *cobra.Command {
	var p generate.HubPermissions
	var tags []string
	c := &cobra.Command{
		Use:   "hub-permissions",
		Short: "write the hub role's permission policy",
		Long: `Print a permission policy that allows the hub role to assume the given spoke roles, named by ARN or by tag.
A hop that sends session tags and a source identity takes three actions on the spoke. Across accounts, both this policy
and the spoke's trust policy must allow all three. To attach the policy, run:

  aws iam put-role-policy --role-name ROLE --policy-name hop \
      --policy-document file://hub-permissions.json`,
		Example: `hubspoke-chain policy hub-permissions \
    --role-to-assume arn:aws:iam::222222222222:role/deploy-staging \
    --role-to-assume arn:aws:iam::333333333333:role/deploy-production \
    --role-to-assume arn:aws:iam::444444444444:role/shared-services

hubspoke-chain policy hub-permissions --role-tag hubspoke=spoke \
    --account-id 222222222222 --account-id 333333333333 --role-path /deploy/`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var problems generate.Problems
			p.Tags, problems = parseTags("role-tag", tags)
			return printDocument(c.OutOrStdout(), p.Document, problems)
		},
	}
	flags := c.Flags()
	listVar(flags, &p.Spokes, "role-to-assume", "`ARN` of a spoke role; repeatable")
	listVar(flags, &tags, "role-tag", "instead of ARNs, a tag that the spokes have, `KEY=VALUE`; repeatable. A spoke must have "+
		"all keys, each with one of its values. Anyone who can tag a role can make it a spoke if its trust policy names the hub")
	listVar(flags, &p.AccountIDs, "account-id", "with --role-tag, `ID` of an account that spokes are in (default any); repeatable")
	flags.StringVar(&p.Path, "role-path", "", "with --role-tag, `PATH` that the spokes are in or below, for example /deploy/ (default any)")
	partitionVar(flags, &p.Partition, "with --role-tag, the spokes' `PARTITION`")
	skipVars(flags, &p.SkipTags, &p.SkipSourceIdentity)
	return c
}

func spokeTrust() *cobra.Command {
	var t generate.SpokeTrust
	var tags []string
	c := &cobra.Command{
		Use:   "spoke-trust",
		Short: "write a spoke role's trust policy",
		Long: `Print a trust policy for a spoke role that trusts the hub role by its ARN. IAM stores the hub role's unique
id instead: if you delete the hub role and create it again, save this policy again. To create the role, run:

  aws iam create-role --role-name ROLE \
      --assume-role-policy-document file://spoke-trust.json`,
		Example: `hubspoke-chain policy spoke-trust \
    --hub-role-to-assume arn:aws:iam::123456789012:role/github-actions-hub

hubspoke-chain policy spoke-trust \
    --hub-role-to-assume arn:aws:iam::123456789012:role/github-actions-hub \
    --role-skip-session-tagging --skip-source-identity

hubspoke-chain policy spoke-trust \
    --hub-role-to-assume arn:aws:iam::123456789012:role/github-actions-hub \
    --pin-subject repo:octo-org@1234567/octo-repo@89012345:environment:production`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var problems generate.Problems
			t.RequireTags, problems = parseTags("require-tag", tags)
			return printDocument(c.OutOrStdout(), t.Document, problems)
		},
	}
	flags := c.Flags()
	flags.StringVar(&t.HubRole, "hub-role-to-assume", "", "`ARN` of the hub role")
	skipVars(flags, &t.SkipTags, &t.SkipSourceIdentity)
	flags.StringVar(&t.ExternalID, "role-external-id", "", "external `ID` that the hop must send, 2 to 1224 characters")
	listVar(flags, &t.Subjects, "pin-subject", "trust only hub sessions that were created with a token with this `SUBJECT`; repeatable. "+
		"It keeps a staging job out of production, though both use one hub. The policy compares sub and aud, the claims that "+
		"remain condition keys in the hub's session. AWS documents this, but it has not been tested on AWS: try it on one spoke")
	issuerVar(flags, &t.Issuer)
	flags.StringVar(&t.Audience, "audience", "",
		"`AUDIENCE` of the token behind the hub's session (default sts.amazonaws.com; sts.amazonaws.com.cn in aws-cn)")
	listVar(flags, &tags, "require-tag", "a session tag that the hop must send, `KEY=VALUE`, case-sensitive; repeatable. "+
		"Session tags are self-asserted: they prevent mistakes and prove nothing")
	return c
}

func issuerVar(flags *pflag.FlagSet, i *generate.Issuer) {
	flags.StringVar(&i.Enterprise, "enterprise", "", "`SLUG` of an enterprise whose issuer is token.actions.githubusercontent.com/SLUG")
	flags.StringVar(&i.GHECom, "ghe-com", "", "`SUBDOMAIN` of SUBDOMAIN.ghe.com")
	flags.StringVar(&i.GHES, "ghes", "", "`HOST` of a GitHub Enterprise Server")
}

func skipVars(flags *pflag.FlagSet, tags, sourceIdentity *bool) {
	flags.BoolVar(tags, "role-skip-session-tagging", false, "omit sts:TagSession, for hops that send no session tags")
	flags.BoolVar(sourceIdentity, "skip-source-identity", false, "omit sts:SetSourceIdentity, for hops that set none")
}

func partitionVar(flags *pflag.FlagSet, partition *string, usage string) {
	cli.Choice(flags, partition, "partition", "", generate.Partitions, usage+": "+strings.Join(generate.Partitions, ", ")+" (default aws)")
}

// listVar declares a flag that may be given several times.
func listVar(flags *pflag.FlagSet, list *[]string, name, usage string) {
	flags.Func(name, usage, func(value string) error {
		*list = append(*list, value)
		return nil
	})
}

// parseTags takes a key to end at the first =.
func parseTags(field string, written []string) (tags []chain.Tag, problems generate.Problems) {
	for _, w := range written {
		key, value, found := strings.Cut(w, "=")
		if !found {
			problems = append(problems, generate.Problem{Field: field, Message: fmt.Sprintf("%q is not KEY=VALUE", w)})
			continue
		}
		tags = append(tags, chain.Tag{Key: key, Value: value})
	}
	return tags, problems
}

// printDocument prints a policy, or all that is wrong with the flags: what could not even be read, and what
// the policy cannot be made of. What could not be read is not missing, nor is what would stand in its place.
func printDocument(out io.Writer, document func() ([]byte, error), unread generate.Problems) error {
	text, err := document()
	var problems generate.Problems
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	var lines []error
	for _, p := range append(unread, problems...) {
		given := named(unread, p.Field) || p.Field == "role-to-assume" && named(unread, "role-tag")
		if given && strings.HasPrefix(p.Message, "is missing") {
			continue
		}
		if p.Field != "" {
			p.Field = "--" + p.Field + ": "
		}
		lines = append(lines, errors.New(p.Field+p.Message))
	}
	if lines != nil {
		return cli.UsageError{Err: errors.Join(lines...)}
	}
	_, err = out.Write(text)
	return err
}

func named(problems generate.Problems, field string) bool {
	for _, p := range problems {
		if p.Field == field {
			return true
		}
	}
	return false
}
