package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/generate"
)

// policyCommands are the commands that write the policies of a hub and its spokes.
func policyCommands() []cli.Command {
	return []cli.Command{hubTrust(), hubPermissions(), spokeTrust()}
}

func hubTrust() cli.Command {
	return cli.Command{
		Name:    "policy hub-trust",
		Summary: "write the hub role's trust policy: which jobs of GitHub Actions may assume it",
		About: `The policy compares the subject of a job's token with StringEquals. It lets in the repositories,
environments and refs that are given, and nobody else: there is no wildcard, not even one within a
repository. Letters count with their case, so write owner, repository and environment as GitHub
shows them. A job that names an environment has a subject of that environment, whatever its ref;
--ref is for jobs without one.

A repository's subjects have one of two forms. In the immutable one (repositories made, renamed or
transferred since July 2026, or opted in) the ids of owner and repository stand beside their names;
  gh api repos/OWNER/REPO --jq '.owner.id, .id'
prints them. --form both is for the time of the change. A legacy subject names the repository only:
whoever gets the name after you have given it up gets its subjects too.

--pull-request lets in the runs of every pull request from a branch of the repository, whatever code
it brings. --claim asks for more, and the token must meet all claims that are given; the same claim
several times is a choice. AWS compares these claims, and no others:` + "\n" +
			strings.Join(chain.ClaimNames[:5], ", ") + ",\n" + strings.Join(chain.ClaimNames[5:], ", ") + `.

  aws iam create-role --role-name ROLE --assume-role-policy-document file://hub-trust.json`,
		Examples: []string{
			"hubspoke-chain policy hub-trust --hub-account-id 123456789012 --repository octo-org/octo-repo" +
				" --repository-owner-id 1234567 --repository-id 89012345 --form both --environment staging --environment production",
			"hubspoke-chain policy hub-trust --hub-account-id 123456789012 --repository octo-org@1234567/octo-repo@89012345" +
				" --ref refs/heads/main --claim job_workflow_ref=octo-org/workflows/.github/workflows/deploy.yml@refs/tags/v1",
			"hubspoke-chain policy hub-trust --hub-account-id 123456789012 --ghes github.example.com --repository octo-org/octo-repo --environment production",
		},
		Setup: func(flags *flag.FlagSet) func(context.Context, []string, cli.Streams) error {
			var h generate.HubTrust
			var problems generate.Problems
			var ownerID, repositoryID, form string
			var repositories, claims []string
			flags.StringVar(&h.AccountID, "hub-account-id", "", "the hub's account, 12 digits: `ID`")
			flags.StringVar(&h.Partition, "partition", "", "the hub's partition, `"+strings.Join(generate.Partitions, "|")+"` (default aws)")
			listVar(flags, &repositories, "repository", "`OWNER/REPO`, or OWNER@OWNER-ID/REPO@REPO-ID; repeatable")
			flags.StringVar(&ownerID, "repository-owner-id", "", "`ID` of the owner, with a single --repository OWNER/REPO")
			flags.StringVar(&repositoryID, "repository-id", "", "`ID` of the repository, with a single --repository OWNER/REPO")
			flags.StringVar(&form, "form", "", "`legacy|immutable|both`: the form of the subjects (default immutable; legacy with --ghes)")
			listVar(flags, &h.Environments, "environment", "`NAME` of an environment of the repositories; repeatable")
			listVar(flags, &h.Refs, "ref", "a branch or tag, refs/heads/NAME or refs/tags/NAME: `REF`; repeatable")
			flags.BoolVar(&h.PullRequest, "pull-request", false, "let runs of pull requests in")
			listVar(flags, &claims, "claim", "a claim that the token must have besides, `NAME=VALUE`; repeatable")
			issuerVar(flags, &h.Issuer)
			flags.StringVar(&h.Audience, "audience", "", "`AUDIENCE` of the tokens (default sts.amazonaws.com; sts.amazonaws.com.cn in aws-cn)")
			return func(_ context.Context, _ []string, s cli.Streams) error {
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
				return printDocument(s, h.Document, problems)
			}
		},
	}
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

func hubPermissions() cli.Command {
	return cli.Command{
		Name:    "policy hub-permissions",
		Summary: "write the hub role's permission policy: to which spokes it may hop",
		About: `Spokes are named by their ARNs, or by tags that they carry. A hop takes three actions on the spoke
when it sends session tags and a source identity, and across accounts the hub's permission policy
needs all of them as well as the spoke's trust policy.

With --role-tag, the spokes are all roles, of the accounts and below the path given, that have every
key with one of its values. Whoever may tag a role can then make it a spoke, provided that its trust
policy names the hub.

  aws iam put-role-policy --role-name ROLE --policy-name hop --policy-document file://hub-permissions.json`,
		Examples: []string{
			"hubspoke-chain policy hub-permissions --role-to-assume arn:aws:iam::222222222222:role/deploy-staging" +
				" --role-to-assume arn:aws:iam::333333333333:role/deploy-production --role-to-assume arn:aws:iam::444444444444:role/shared-services",
			"hubspoke-chain policy hub-permissions --role-tag hubspoke=spoke --account-id 222222222222 --account-id 333333333333 --role-path /deploy/",
		},
		Setup: func(flags *flag.FlagSet) func(context.Context, []string, cli.Streams) error {
			var p generate.HubPermissions
			var tags []string
			listVar(flags, &p.Spokes, "role-to-assume", "`ARN` of a spoke role; repeatable")
			listVar(flags, &tags, "role-tag", "a tag that spokes have, `KEY=VALUE`; repeatable")
			listVar(flags, &p.AccountIDs, "account-id", "with --role-tag, an account of spokes, 12 digits: `ID` (default any); repeatable")
			flags.StringVar(&p.Path, "role-path", "", "with --role-tag, the `PATH` of the spokes and what is below it, /deploy/ for example (default any)")
			flags.StringVar(&p.Partition, "partition", "", "with --role-tag, the spokes' partition, `"+strings.Join(generate.Partitions, "|")+"` (default aws)")
			skipVars(flags, &p.SkipTags, &p.SkipSourceIdentity)
			return func(_ context.Context, _ []string, s cli.Streams) error {
				var problems generate.Problems
				p.Tags, problems = parseTags("role-tag", tags)
				return printDocument(s, p.Document, problems)
			}
		},
	}
}

func spokeTrust() cli.Command {
	return cli.Command{
		Name:    "policy spoke-trust",
		Summary: "write a spoke role's trust policy: the hub role, and what it must bring",
		About: `The policy names the hub role by its ARN. IAM keeps the role's unique id in its place, so that a hub
role which is deleted and made again is not trusted until the policy is saved anew.

--pin-subject takes only those sessions of the hub that were made for a token with one of the given
subjects: a staging job cannot hop to production then, though it comes through the same hub. It
compares sub and aud, the claims that stay condition keys in the hub's session. AWS documents that;
it has not been tried on AWS itself. Should it not hold, the spoke refuses everyone, so try it on one.

--require-tag wants a session tag. The holder of the hub's session chooses the tags that it sends:
they keep mistakes out, and are no proof of anything. Keys and values are compared with their case.

  aws iam create-role --role-name ROLE --assume-role-policy-document file://spoke-trust.json`,
		Examples: []string{
			"hubspoke-chain policy spoke-trust --hub-role-to-assume arn:aws:iam::123456789012:role/github-actions-hub",
			"hubspoke-chain policy spoke-trust --hub-role-to-assume arn:aws:iam::123456789012:role/github-actions-hub" +
				" --role-skip-session-tagging --skip-source-identity",
			"hubspoke-chain policy spoke-trust --hub-role-to-assume arn:aws:iam::123456789012:role/github-actions-hub" +
				" --pin-subject repo:octo-org@1234567/octo-repo@89012345:environment:production",
		},
		Setup: func(flags *flag.FlagSet) func(context.Context, []string, cli.Streams) error {
			var t generate.SpokeTrust
			var tags []string
			flags.StringVar(&t.HubRole, "hub-role-to-assume", "", "`ARN` of the hub role")
			skipVars(flags, &t.SkipTags, &t.SkipSourceIdentity)
			flags.StringVar(&t.ExternalID, "role-external-id", "", "external `ID` that the hop must send, 2 to 1224 characters")
			listVar(flags, &t.Subjects, "pin-subject", "`SUBJECT` of the token behind the hub's session; repeatable")
			issuerVar(flags, &t.Issuer)
			flags.StringVar(&t.Audience, "audience", "", "`AUDIENCE` of the token behind the hub's session (default sts.amazonaws.com; sts.amazonaws.com.cn in aws-cn)")
			listVar(flags, &tags, "require-tag", "a session tag that the hop must send, `KEY=VALUE`; repeatable")
			return func(_ context.Context, _ []string, s cli.Streams) error {
				var problems generate.Problems
				t.RequireTags, problems = parseTags("require-tag", tags)
				return printDocument(s, t.Document, problems)
			}
		},
	}
}

func issuerVar(flags *flag.FlagSet, i *generate.Issuer) {
	flags.StringVar(&i.Enterprise, "enterprise", "", "`SLUG` of the enterprise, when it has the issuer token.actions.githubusercontent.com/SLUG")
	flags.StringVar(&i.GHECom, "ghe-com", "", "`SUBDOMAIN` of SUBDOMAIN.ghe.com")
	flags.StringVar(&i.GHES, "ghes", "", "`HOST` of a GitHub Enterprise Server")
}

func skipVars(flags *flag.FlagSet, tags, sourceIdentity *bool) {
	flags.BoolVar(tags, "role-skip-session-tagging", false, "without sts:TagSession, for hops that send no tags")
	flags.BoolVar(sourceIdentity, "skip-source-identity", false, "without sts:SetSourceIdentity, for hops that set none")
}

// listVar declares a flag that may be given several times.
func listVar(flags *flag.FlagSet, list *[]string, name, usage string) {
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
func printDocument(s cli.Streams, document func() ([]byte, error), unread generate.Problems) error {
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
	_, err = s.Out.Write(text)
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
