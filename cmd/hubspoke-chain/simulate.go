package main

import (
	"errors"
	"flag"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/policy"
)

func simulateCommand() *cobra.Command {
	var x simulateFlags
	var format, expect, cases string
	c := &cobra.Command{
		Use:   "simulate",
		Short: "show whether policies allow a hop, and why",
		Long: `Decide as IAM does, with the policies in the given files only. --hub-trust simulates the call into the hub,
--spoke-trust the call into the spoke, and both the whole hop. A file is a policy as it is deployed, or the output of aws
iam get-role, which also provides the ARN; - is standard input. Describe the token by its claims: all in --claims, single
ones in --claim, or with --repository and the environment or ref, of which the subject is made as GitHub makes it. The hop
sends what the action sends: its session tags, and the session policy that narrows the hub's session to the spoke. A tag
whose claim is not given has the value "simulated". Condition keys that depend on the network, the organization or the
spoke's tags are absent unless --context sets them. Not checked: whether roles and OIDC provider exist, the provider's
audiences, durations, the size of the tags, resource control policies.

--cases reads a JSON list. A case is an object with name, expect, and any flags of this command, which are applied after
those of the command line; a repeatable flag is a list, or an object for NAME=VALUE:

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
			"0  allowed, or as expected with --expect and --cases\n" +
			"1  refused, or not as expected\n" +
			"2  bad command line or invalid input"},
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			files := &fileReader{in: c.InOrStdin()}
			if cases != "" {
				if expect != "" {
					return cli.UsageError{Err: errors.New("--expect goes without --cases, where each case has its own")}
				}
				return runCases(x, cases, files, format, c.OutOrStdout())
			}
			r, err := x.simulate(files)
			if err != nil {
				return err
			}
			text := r.text()
			if format == "json" {
				text = toJSON(r)
			}
			if err := show(c.OutOrStdout(), text); err != nil {
				return err
			}
			if r.outcome() != expect && (expect != "" || !r.Allowed) {
				return cli.Status(1)
			}
			return nil
		},
	}
	flags := c.Flags()
	cli.Choice(flags, &format, "format", "text", []string{"text", "json"}, "format of the report")
	cli.Choice(flags, &expect, "expect", "", []string{"allowed", "refused"}, "the outcome to exit with status 0 for")
	flags.StringVar(&cases, "cases", "", "JSON `FILE` of cases, each with the outcome that is expected")
	goFlags := flag.NewFlagSet("", flag.ContinueOnError)
	x.declare(goFlags)
	flags.AddGoFlagSet(goFlags)
	return c
}

// simulateFlags are the flags that say what is tried; a case of --cases may have each of them.
type simulateFlags struct {
	hubTrust, spokeTrust, boundary              string
	hubPermissions, scps                        []string
	hubRole, spokeRole                          string
	claimsFile, subject, audience, issuer       string
	repository, environment, ref                string
	pullRequest, skipTagging                    bool
	sessionName, sourceIdentity, externalID     string
	claims, tags, transitiveTagKeys, conditions []string
}

// declare gives each flag the value that its field has, so that a copy can be set further.
func (x *simulateFlags) declare(flags *flag.FlagSet) {
	text := func(field *string, name, usage string) { flags.StringVar(field, name, *field, usage) }
	text(&x.hubTrust, "hub-trust", "trust policy of the hub role: `FILE`")
	goListVar(flags, &x.hubPermissions, "hub-permissions",
		"permission policy of the hub role: `FILE` (default one that allows everything); repeatable")
	text(&x.boundary, "boundary", "permissions boundary of the hub role: `FILE`")
	goListVar(flags, &x.scps, "scp", "service control policy of the hub's account: `FILE`; repeatable")
	text(&x.spokeTrust, "spoke-trust", "trust policy of the spoke role: `FILE`")
	text(&x.hubRole, "hub-role-to-assume", "`ARN` of the hub role; get-role's output in --hub-trust tells it too")
	text(&x.spokeRole, "role-to-assume", "`ARN` of the spoke role; get-role's output in --spoke-trust tells it too")
	text(&x.claimsFile, "claims", "the token's claims, a JSON object in `FILE`")
	goListVar(flags, &x.claims, "claim", "a claim of the token, `NAME=VALUE`; repeatable")
	text(&x.subject, "subject", "the token's sub: `SUBJECT`")
	text(&x.audience, "audience",
		"the token's aud: `AUDIENCE` (default sts.amazonaws.com; sts.amazonaws.com.cn in aws-cn)")
	text(&x.issuer, "issuer", "the token's iss: `URL` (default https://"+policy.Issuer{}.String()+")")
	text(&x.repository, "repository", "`OWNER/REPO` that the job is of, or OWNER@OWNER-ID/REPO@REPO-ID")
	text(&x.environment, "environment", "`NAME` of the environment that the job names")
	text(&x.ref, "ref", "branch or tag of the run, refs/heads/NAME or refs/tags/NAME: `REF`")
	flags.BoolVar(&x.pullRequest, "pull-request", x.pullRequest, "the run is of a pull request")
	text(&x.sessionName, "role-session-name", "`NAME` of both sessions (default gh-RUN-ATTEMPT, from the claims)")
	flags.BoolVar(&x.skipTagging, "role-skip-session-tagging", x.skipTagging, "send no session tags")
	goListVar(flags, &x.tags, "tag",
		"a session tag, `KEY=VALUE`: one of custom-tags, or the value of one that the action sends; repeatable")
	goListVar(flags, &x.transitiveTagKeys, "transitive-tag-key", "`KEY` of a session tag to make transitive; repeatable")
	text(&x.sourceIdentity, "source-identity", "source identity that the step sets: `NAME`")
	text(&x.externalID, "role-external-id", "external `ID` that the step sends")
	goListVar(flags, &x.conditions, "context",
		"a condition key and its value, `KEY=VALUE`; aws:Principal... at the spoke only; repeatable")
}

// simulate tries the hops.
func (x simulateFlags) simulate(files *fileReader) (*report, error) {
	w, err := x.read(files)
	if err != nil {
		return nil, err
	}
	r := &report{Allowed: true}
	now := time.Now()
	session := policy.RoleSession{Role: w.hub, Name: w.name, Issued: now}
	if w.claims.Text("sub") != "" {
		issuer := strings.TrimPrefix(w.claims.Text("iss"), "https://")
		hub := policy.Call{
			Token: &policy.Token{Issuer: issuer, Provider: providerARN(w.hub.ARN, issuer), Claims: w.claims},
			Role:  w.hub, SessionName: w.name, Time: now, Context: policy.Context{},
		}
		for key, values := range w.context {
			if !strings.HasPrefix(key, "aws:principal") {
				hub.Context[key] = values
			}
		}
		if w.hubTrust != nil {
			r.add(w, "hub", hub, hub.Authorize(policy.Policies{Trust: w.hubTrust}))
		}
		session = hub.Session()
	}
	if w.spokeSide.Trust != nil {
		spoke := policy.Call{
			Caller: &session, Role: w.spoke, SessionName: w.name, Tags: w.tags, TransitiveTagKeys: w.transitive,
			SourceIdentity: x.sourceIdentity, ExternalID: x.externalID, Time: now, Context: w.context,
		}
		r.add(w, "spoke", spoke, spoke.Authorize(w.spokeSide))
	}
	return r, nil
}

func providerARN(role, issuer string) string {
	fields := strings.SplitN(role, ":", 6)
	return strings.Join(fields[:5], ":") + ":oidc-provider/" + issuer
}

// goListVar declares a flag that may be given several times.
func goListVar(flags *flag.FlagSet, list *[]string, name, usage string) {
	flags.Func(name, usage, func(value string) error {
		*list = append(*list, value)
		return nil
	})
}
