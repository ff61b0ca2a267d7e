package generate

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

var octo = Repository{"octo-org", "octo-repo", "1234567", "89012345"}

const hubRole = "arn:aws:iam::123456789012:role/github-actions-hub"

// hubDocument is a hub's trust policy in which all is default but the issuer and the condition.
func hubDocument(issuer, sid, equals string) string {
	return `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "` + sid + `",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::123456789012:oidc-provider/` + issuer + `"
      },
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringEquals": {
` + equals + `
        }
      }
    }
  ]
}
`
}

type constructor interface{ Document() ([]byte, error) }

func TestDocument(t *testing.T) {
	t.Parallel()
	const one = "DeployJobsOfOneRepository"
	tests := map[string]struct {
		from constructor
		want string
	}{
		"hub, a ref": {HubTrust{AccountID: "123456789012", Repositories: []Repository{octo}, Refs: []string{"refs/heads/main"}},
			hubDocument(policy.GitHubIssuer, one, `          "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
          "token.actions.githubusercontent.com:sub": "repo:octo-org@1234567/octo-repo@89012345:ref:refs/heads/main"`)},
		"hub, all of it": {HubTrust{AccountID: "123456789012", Audience: "https://example.com/<a>&b", Form: Both, PullRequest: true,
			Issuer:       Issuer{Enterprise: "octo-inc"},
			Repositories: []Repository{octo, {"octo-org", "b.c", "1234567", "7"}},
			Environments: []string{"Production:V1"}, Refs: []string{"refs/tags/v1"},
			Claims: []Claim{{"repository_id", "89012345"}, {"actor", "octocat"}, {"actor", "dependabot[bot]"},
				{"job_workflow_ref", "octo-org/w/.github/workflows/d.yml@refs/heads/a@b"}}},
			hubDocument(policy.GitHubIssuer+"/octo-inc", "DeployJobsOfSeveralRepositories", `          "token.actions.githubusercontent.com/octo-inc:actor": [
            "octocat",
            "dependabot[bot]"
          ],
          "token.actions.githubusercontent.com/octo-inc:aud": "https://example.com/<a>&b",
          "token.actions.githubusercontent.com/octo-inc:job_workflow_ref": "octo-org/w/.github/workflows/d.yml@refs/heads/a@b",
          "token.actions.githubusercontent.com/octo-inc:repository_id": "89012345",
          "token.actions.githubusercontent.com/octo-inc:sub": [
            "repo:octo-org@1234567/octo-repo@89012345:environment:Production%3AV1",
            "repo:octo-org@1234567/octo-repo@89012345:ref:refs/tags/v1",
            "repo:octo-org@1234567/octo-repo@89012345:pull_request",
            "repo:octo-org@1234567/b.c@7:environment:Production%3AV1",
            "repo:octo-org@1234567/b.c@7:ref:refs/tags/v1",
            "repo:octo-org@1234567/b.c@7:pull_request",
            "repo:octo-org/octo-repo:environment:Production%3AV1",
            "repo:octo-org/octo-repo:ref:refs/tags/v1",
            "repo:octo-org/octo-repo:pull_request",
            "repo:octo-org/b.c:environment:Production%3AV1",
            "repo:octo-org/b.c:ref:refs/tags/v1",
            "repo:octo-org/b.c:pull_request"
          ]`)},
		"hub, legacy in spite of the ids": {HubTrust{AccountID: "123456789012", Form: Legacy, Repositories: []Repository{octo}, PullRequest: true},
			hubDocument(policy.GitHubIssuer, one, `          "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
          "token.actions.githubusercontent.com:sub": "repo:octo-org/octo-repo:pull_request"`)},
		"hub, data residency": {HubTrust{AccountID: "123456789012", Issuer: Issuer{GHECom: "octo"}, Repositories: []Repository{octo},
			Environments: []string{"Größe <1> & \"2\""}, Claims: []Claim{{"environment", "Größe <1> & \"2\""}}},
			hubDocument("token.actions.octo.ghe.com", one, `          "token.actions.octo.ghe.com:aud": "sts.amazonaws.com",
          "token.actions.octo.ghe.com:environment": "Größe <1> & \"2\"",
          "token.actions.octo.ghe.com:sub": "repo:octo-org@1234567/octo-repo@89012345:environment:Größe <1> & \"2\""`)},
		"hub, data residency with a slug": {HubTrust{AccountID: "123456789012", Issuer: Issuer{GHECom: "octo", Enterprise: "inc"},
			Repositories: []Repository{octo}, PullRequest: true},
			hubDocument("token.actions.octo.ghe.com/inc", one, `          "token.actions.octo.ghe.com/inc:aud": "sts.amazonaws.com",
          "token.actions.octo.ghe.com/inc:sub": "repo:octo-org@1234567/octo-repo@89012345:pull_request"`)},
		"hub, server": {HubTrust{AccountID: "123456789012", Issuer: Issuer{GHES: "github.example.com"},
			Repositories: []Repository{{Owner: "octo_inc", Name: "_"}}, Environments: []string{"p", "p q"}},
			hubDocument("github.example.com/_services/token", one, `          "github.example.com/_services/token:aud": "sts.amazonaws.com",
          "github.example.com/_services/token:sub": [
            "repo:octo_inc/_:environment:p",
            "repo:octo_inc/_:environment:p q"
          ]`)},
		"hub, China": {HubTrust{Partition: "aws-cn", AccountID: "123456789012", Repositories: []Repository{octo}, PullRequest: true},
			strings.ReplaceAll(hubDocument(policy.GitHubIssuer, one, `          "token.actions.githubusercontent.com:aud": "sts.amazonaws.com.cn",
          "token.actions.githubusercontent.com:sub": "repo:octo-org@1234567/octo-repo@89012345:pull_request"`), "arn:aws:", "arn:aws-cn:")},

		"permissions, a role with a path": {HubPermissions{Spokes: []string{"arn:aws-us-gov:iam::222222222222:role/a*b/$?/{x}/spoke"}, SkipSourceIdentity: true}, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "HopToTheSpokes",
      "Effect": "Allow",
      "Action": [
        "sts:AssumeRole",
        "sts:TagSession"
      ],
      "Resource": "arn:aws-us-gov:iam::222222222222:role/a${*}b/${$}${?}/{x}/spoke"
    }
  ]
}
`},
		"permissions, a tag": {HubPermissions{Tags: []chain.Tag{{Key: "hubspoke", Value: "spoke"}}, SkipTags: true, SkipSourceIdentity: true}, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "HopToTaggedSpokes",
      "Effect": "Allow",
      "Action": "sts:AssumeRole",
      "Resource": "arn:aws:iam::*:role/*",
      "Condition": {
        "StringEquals": {
          "iam:ResourceTag/hubspoke": "spoke"
        }
      }
    }
  ]
}
`},
		"permissions, tags in accounts": {HubPermissions{Tags: []chain.Tag{{Key: "stage", Value: "test"}, {Key: "hub", Value: ""}, {Key: "stage", Value: "prod"}}, Partition: "aws-cn",
			AccountIDs: []string{"333333333333", "222222222222"}, Path: "/de*ploy/"}, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "HopToTaggedSpokes",
      "Effect": "Allow",
      "Action": [
        "sts:AssumeRole",
        "sts:TagSession",
        "sts:SetSourceIdentity"
      ],
      "Resource": [
        "arn:aws-cn:iam::333333333333:role/de${*}ploy/*",
        "arn:aws-cn:iam::222222222222:role/de${*}ploy/*"
      ],
      "Condition": {
        "StringEquals": {
          "iam:ResourceTag/hub": "",
          "iam:ResourceTag/stage": [
            "test",
            "prod"
          ]
        }
      }
    }
  ]
}
`},

		"spoke, pinned": {SpokeTrust{HubRole: hubRole, SkipTags: true, Subjects: []string{"repo:octo-org/octo-repo:environment:a", "repo:octo-org/octo-repo:pull_request"}}, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "TheHubRoleWithoutTags",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:role/github-actions-hub"
      },
      "Action": [
        "sts:AssumeRole",
        "sts:SetSourceIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
          "token.actions.githubusercontent.com:sub": [
            "repo:octo-org/octo-repo:environment:a",
            "repo:octo-org/octo-repo:pull_request"
          ]
        }
      }
    }
  ]
}
`},
		"spoke, external id and tags": {SpokeTrust{HubRole: hubRole, ExternalID: "secret:1", Issuer: Issuer{GHES: "ghe.example.com"}, Audience: "x",
			Subjects: []string{"repo:octo-org/octo-repo:pull_request"}, RequireTags: []chain.Tag{{Key: "Team", Value: "red"}, {Key: "Team", Value: "blue"}}}, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "TheHubRole",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:role/github-actions-hub"
      },
      "Action": "sts:AssumeRole",
      "Condition": {
        "StringEquals": {
          "aws:RequestTag/Team": [
            "red",
            "blue"
          ],
          "ghe.example.com/_services/token:aud": "x",
          "ghe.example.com/_services/token:sub": "repo:octo-org/octo-repo:pull_request",
          "sts:ExternalId": "secret:1"
        }
      }
    },
    {
      "Sid": "WhatTheHubRoleSends",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:role/github-actions-hub"
      },
      "Action": [
        "sts:TagSession",
        "sts:SetSourceIdentity"
      ],
      "Condition": {
        "StringEquals": {
          "ghe.example.com/_services/token:aud": "x",
          "ghe.example.com/_services/token:sub": "repo:octo-org/octo-repo:pull_request"
        }
      }
    }
  ]
}
`},
		"spoke, external id alone": {SpokeTrust{HubRole: hubRole, ExternalID: "secret:1", SkipTags: true, SkipSourceIdentity: true}, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "TheHubRoleWithoutTags",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:role/github-actions-hub"
      },
      "Action": "sts:AssumeRole",
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": "secret:1"
        }
      }
    }
  ]
}
`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.from.Document()
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if !json.Valid(got) {
				t.Error("not JSON")
			}
		})
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	hub := func(change func(*HubTrust)) HubTrust {
		h := HubTrust{AccountID: "123456789012", Repositories: []Repository{octo}, Environments: []string{"e"}}
		change(&h)
		return h
	}
	claim := func(name, value string) HubTrust { return hub(func(h *HubTrust) { h.Claims = []Claim{{name, value}} }) }
	env := func(name string) HubTrust { return hub(func(h *HubTrust) { h.Environments = []string{name} }) }
	ref := func(name string) HubTrust { return hub(func(h *HubTrust) { h.Refs = []string{name} }) }
	repo := func(r Repository) HubTrust { return hub(func(h *HubTrust) { h.Repositories = []Repository{r} }) }
	issuer := func(i Issuer) HubTrust {
		return hub(func(h *HubTrust) { h.Issuer, h.Form = i, Legacy })
	}
	spoke := func(change func(*SpokeTrust)) SpokeTrust {
		s := SpokeTrust{HubRole: hubRole}
		change(&s)
		return s
	}
	tag := func(tags ...chain.Tag) HubPermissions { return HubPermissions{Tags: tags} }
	const refForm = " is not the full name of a branch or tag, refs/heads/NAME or refs/tags/NAME"
	const tagWords = " is not KEY=VALUE with a key of 1 to 128 and a value of up to 256 letters, digits, spaces and _.:/=+-@"
	const wildcard = ": values are compared exactly, without wildcards and variables"
	const control = " contains a control character or one above U+00FF, which IAM rejects in a policy"
	const workflow = " is not OWNER/REPO/.github/workflows/FILE.yml@REF, where REF is the full name of a branch or tag, or a commit"
	e255, many := strings.Repeat("é", 255), make([]string, 40)
	for i := range many {
		many[i] = strings.Repeat("x", 20) + strconv.Itoa(10+i)
	}
	var spokes, pins []string
	for _, id := range many {
		spokes = append(spokes, "arn:aws:iam::222222222222:role/"+strings.Repeat("deep/", 50)+id)
		pins = append(pins, "repo:o/r:environment:"+id)
	}
	tests := map[string]struct {
		from constructor
		want string
	}{
		"hub, nothing": {HubTrust{}, "hub-account-id: is missing: the 12 digits of an account\n" +
			"repository: is missing: OWNER/REPO, or OWNER@OWNER-ID/REPO@REPO-ID\n" +
			"environment: is missing: give at least one environment, or a ref, or pull-request"},
		"hub, several problems": {HubTrust{Partition: "aws-eu", AccountID: "12345", Repositories: []Repository{octo, octo}, Environments: []string{"a", "b", "a"},
			Refs: []string{"refs/heads/a", "refs/heads/a"}, Claims: []Claim{{"ref", "refs/heads/a"}, {"ref", "refs/heads/a"}}},
			`partition: "aws-eu" is not one of aws, aws-cn, aws-us-gov, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f, aws-eusc` + "\n" +
				`hub-account-id: "12345" is not the 12 digits of an account` + "\n" +
				`repository: duplicate "octo-org/octo-repo"` + "\n" +
				`environment: duplicate "a"` + "\n" + `ref: duplicate "refs/heads/a"` + "\n" + `claim: duplicate "ref=refs/heads/a"`},
		"hub, one repository in two spellings": {hub(func(h *HubTrust) {
			h.Repositories = []Repository{octo, {"Octo-Org", "octo-repo", "1234567", "89012345"}}
		}), `repository: duplicate "octo-org/octo-repo"`},

		"audience with a space":    {hub(func(h *HubTrust) { h.Audience = "a b" }), `audience: "a b" is not 1 to 255 printable ASCII characters without a space`},
		"audience with a wildcard": {hub(func(h *HubTrust) { h.Audience = "sts.*" }), `audience: "sts.*" contains "*"` + wildcard},
		"ids missing": {repo(Repository{Owner: "octo-org", Name: "octo-repo", OwnerID: "1"}),
			"form: immutable requires repository-owner-id and repository-id of octo-org/octo-repo: run " +
				"gh api repos/octo-org/octo-repo --jq '.owner.id, .id'; or choose legacy, which also allows whoever takes over the name later"},
		"ids no numbers": {repo(Repository{"o", "r", "0", "*"}), `repository-owner-id: "0" is not a number` + "\n" + `repository-id: "*" is not a number`},
		"hyphen form": {repo(Repository{"octo-org-1234567", "octo-repo-89012345", "1234567", "89012345"}),
			`repository: "octo-org-1234567/octo-repo-89012345" contains its ID: GitHub withdrew that form of subjects; write OWNER/REPO and give the IDs separately`},
		"owner of two ids": {hub(func(h *HubTrust) { h.Repositories = []Repository{octo, {"Octo-Org", "other", "7654321", "1"}} }),
			"repository: Octo-Org has two IDs, 1234567 and 7654321: an owner has one"},
		"owner with a wildcard": {repo(Repository{"octo-*", "r", "1", "2"}), `repository: "octo-*/r" is not OWNER/REPO by GitHub's rules for names`},
		"owner with an id":      {repo(Repository{"o@1", "r@2", "1", "2"}), `repository: "o@1/r@2" is not OWNER/REPO by GitHub's rules for names`},
		"repository of dots":    {repo(Repository{"o", "..", "1", "2"}), `repository: "o/.." is not OWNER/REPO by GitHub's rules for names`},
		"unknown form":          {hub(func(h *HubTrust) { h.Form = "hyphen" }), `form: "hyphen" is not legacy, immutable or both`},
		"immutable on a server": {hub(func(h *HubTrust) { h.Form, h.Issuer = Both, Issuer{GHES: "a.example"} }),
			`form: "both" is not available: GitHub Enterprise Server has legacy subjects only`},

		"environment empty":          {env(""), `environment: "" is not the name of an environment: 1 to 255 characters, no space at either end`},
		"environment of 255":         {env(e255), ""},
		"environment too long":       {env(e255 + "e"), `environment: "` + e255 + `e" is not the name of an environment: 1 to 255 characters, no space at either end`},
		"environment with a space":   {env("e "), `environment: "e " is not the name of an environment: 1 to 255 characters, no space at either end`},
		"environment with a star":    {env("prod-*"), `environment: "prod-*" contains "*"` + wildcard},
		"environment with a mark":    {env("prod?"), `environment: "prod?" contains "?"` + wildcard},
		"environment with a dollar":  {env("${aws:userid}"), `environment: "${aws:userid}" contains "$"` + wildcard},
		"environment with a newline": {env("a\nb"), `environment: "a\nb"` + control},
		"environment beyond Latin-1": {env("生产"), `environment: "生产"` + control},
		"environment no UTF-8":       {env("a\xffb"), `environment: "a\xffb"` + control},
		"ref short":                  {ref("main"), `ref: "main"` + refForm},
		"ref of a pull request":      {ref("refs/pull/1/merge"), `ref: "refs/pull/1/merge"` + refForm},
		"ref with a wildcard":        {ref("refs/heads/*"), `ref: "refs/heads/*"` + refForm},
		"ref with a dollar":          {ref("refs/heads/$a"), `ref: "refs/heads/$a" contains "$"` + wildcard},
		"ref with a colon":           {ref("refs/heads/a:b"), `ref: "refs/heads/a:b"` + refForm},
		"ref with dots":              {ref("refs/heads/a..b"), `ref: "refs/heads/a..b"` + refForm},
		"ref locked":                 {ref("refs/tags/a.lock/b"), `ref: "refs/tags/a.lock/b"` + refForm},
		"ref empty":                  {ref("refs/tags/"), `ref: "refs/tags/"` + refForm},

		"claim unknown": {claim("event_name", "push"), `claim: "event_name" is not a claim that IAM can compare: ` +
			"actor, actor_id, enterprise_id, environment, job_workflow_ref, ref, repository, repository_id, repository_owner_id, workflow"},
		"claim of no number":        {claim("repository_id", "1*"), `claim: repository_id: "1*" is not a number`},
		"claim of no login":         {claim("actor", "octo*"), `claim: actor: "octo*" is not the login of a user or app`},
		"claim of no repository":    {claim("repository", "o@1/r@2"), `claim: repository: "o@1/r@2" is not OWNER/REPO`},
		"claim of no environment":   {claim("environment", "*"), `claim: "*" contains "*"` + wildcard},
		"claim of no ref":           {claim("ref", "main"), `claim: "main"` + refForm},
		"claim of no workflow file": {claim("job_workflow_ref", "o/r/deploy.yml@refs/heads/main"), `claim: job_workflow_ref: "o/r/deploy.yml@refs/heads/main"` + workflow},
		"claim of any ref":          {claim("job_workflow_ref", "o/r/.github/workflows/d.yml@*"), `claim: job_workflow_ref: "o/r/.github/workflows/d.yml@*"` + workflow},
		"claim of any file":         {claim("job_workflow_ref", "o/r/.github/workflows/*.yml@refs/heads/main"), `claim: "o/r/.github/workflows/*.yml@refs/heads/main" contains "*"` + wildcard},
		"claim of a commit":         {claim("job_workflow_ref", "o/r/.github/workflows/d.yaml@6dcb09b5b57875f334f61aebed695e2e4193db5e"), ""},
		"claim of no workflow":      {claim("workflow", ""), `claim: workflow: "" is not the name of a workflow`},
		"claim of any workflow":     {claim("workflow", "d*"), `claim: "d*" contains "*"` + wildcard},
		"claim on a server": {hub(func(h *HubTrust) { h.Issuer, h.Claims = Issuer{GHES: "a.example"}, []Claim{{"ref", "refs/heads/a"}} }),
			`claim: "ref": of the issuer a.example/_services/token, IAM can compare sub, aud and amr only`},
		"claim of a slug with data residency": {hub(func(h *HubTrust) {
			h.Issuer, h.Claims = Issuer{GHECom: "a", Enterprise: "b"}, []Claim{{"ref", "refs/heads/a"}}
		}),
			`claim: "ref": of the issuer token.actions.a.ghe.com/b, IAM can compare sub, aud and amr only`},

		"slug":              {issuer(Issuer{Enterprise: "a/b"}), `enterprise: "a/b" is not the slug of an enterprise: letters, digits and hyphens`},
		"subdomain":         {issuer(Issuer{GHECom: "a.b"}), `ghe-com: "a.b" is not the SUBDOMAIN of SUBDOMAIN.ghe.com: lowercase letters, digits and hyphens`},
		"host with a port":  {issuer(Issuer{GHES: "a.example:8443"}), `ghes: "a.example:8443" is not a host name in lowercase, without https:// and port`},
		"host of the cloud": {issuer(Issuer{GHES: "octo.ghe.com"}), `ghes: "octo.ghe.com" is not a GitHub Enterprise Server: for github.com, omit the flag; for SUBDOMAIN.ghe.com, use ghe-com`},
		"host and slug":     {issuer(Issuer{GHES: "a.example", Enterprise: "b"}), `ghes: cannot be combined with enterprise or ghe-com: a GitHub Enterprise Server has its own issuer`},

		"hub, too long": {hub(func(h *HubTrust) { h.Environments = many[:30] }),
			"the trust policy has 2713 characters without white space, and IAM's limit is 2048: 21 of the 30 subjects fit"},

		"permissions, nothing": {HubPermissions{}, "role-to-assume: is missing: give the ARN of a spoke, or a role-tag that the spokes have"},
		"permissions, both": {HubPermissions{Spokes: []string{hubRole}, Tags: []chain.Tag{{Key: "a", Value: "b"}}},
			"role-tag: cannot be combined with role-to-assume: give the spokes by ARN or by tag"},
		"permissions, what goes with tags": {HubPermissions{Spokes: []string{hubRole}, Partition: "aws", AccountIDs: []string{"222222222222"}, Path: "/a/"},
			"account-id: requires role-tag: the ARN of a spoke already contains it\n" +
				"partition: requires role-tag: the ARN of a spoke already contains it\n" +
				"role-path: requires role-tag: the ARN of a spoke already contains it"},
		"permissions, ARNs": {HubPermissions{Spokes: []string{"", "arn:aws:iam::222222222222:role/*", "arn:aws:sts::222222222222:assumed-role/a/b", "arn:aws-x:iam::222222222222:role/a", hubRole, hubRole}},
			"role-to-assume: duplicate \"arn:aws:iam::123456789012:role/github-actions-hub\"\n" +
				"role-to-assume: is missing: arn:PARTITION:iam::ACCOUNT:role/NAME\n" +
				"role-to-assume: \"arn:aws:iam::222222222222:role/*\" is not the ARN of a role, arn:PARTITION:iam::ACCOUNT:role/NAME\n" +
				"role-to-assume: \"arn:aws:sts::222222222222:assumed-role/a/b\" is not the ARN of a role, arn:PARTITION:iam::ACCOUNT:role/NAME\n" +
				"role-to-assume: the partition of \"arn:aws-x:iam::222222222222:role/a\" is not one of aws, aws-cn, aws-us-gov, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f, aws-eusc"},
		"permissions, partitions": {HubPermissions{Spokes: []string{hubRole, "arn:aws-cn:iam::222222222222:role/a"}},
			`role-to-assume: "arn:aws-cn:iam::222222222222:role/a" is in another partition than "arn:aws:iam::123456789012:role/github-actions-hub": a session cannot cross partitions`},
		"permissions, accounts and path": {HubPermissions{Tags: []chain.Tag{{Key: "a", Value: "b"}}, AccountIDs: []string{"*", "222222222222", "222222222222"}, Path: "deploy", Partition: "x"},
			`partition: "x" is not one of aws, aws-cn, aws-us-gov, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f, aws-eusc` + "\n" +
				`account-id: duplicate "222222222222"` + "\n" + `account-id: "*" is not the 12 digits of an account` + "\n" +
				`role-path: "deploy" is not the path of a role, which begins and ends with / and has up to 512 printable characters`},
		"permissions, too long": {HubPermissions{Spokes: spokes}, "the identity-based policy has 12402 characters without white space, and IAM's limit is 10240: 32 of the 40 roles fit"},

		"tag without a key":    {tag(chain.Tag{Key: "", Value: "v"}), `role-tag: "=v"` + tagWords},
		"tag with a wildcard":  {tag(chain.Tag{Key: "k", Value: "v*"}), `role-tag: "k=v*"` + tagWords},
		"tag of AWS":           {tag(chain.Tag{Key: "AWS:k", Value: "v"}), `role-tag: "AWS:k=v" begins with aws:, which AWS reserves`},
		"tag in two spellings": {tag(chain.Tag{Key: "Key", Value: "v"}, chain.Tag{Key: "key", Value: "w"}), `role-tag: "Key" and "key" are the same key: IAM ignores case`},
		"tag twice":            {tag(chain.Tag{Key: "k", Value: "v"}, chain.Tag{Key: "k", Value: "v"}), `role-tag: duplicate "k=v"`},
		"tag beyond Latin-1":   {tag(chain.Tag{Key: "k", Value: "生产"}), `role-tag: "k=生产"` + control},
		"tag required, none sent": {spoke(func(s *SpokeTrust) { s.SkipTags, s.RequireTags = true, []chain.Tag{{Key: "k", Value: "v"}} }),
			"require-tag: cannot be combined with role-skip-session-tagging: a session without tags has no required tag"},

		"spoke, nothing":         {SpokeTrust{}, "hub-role-to-assume: is missing: arn:PARTITION:iam::ACCOUNT:role/NAME"},
		"spoke, account":         {SpokeTrust{HubRole: "arn:aws:iam::123456789012:root"}, `hub-role-to-assume: "arn:aws:iam::123456789012:root" is not the ARN of a role, arn:PARTITION:iam::ACCOUNT:role/NAME`},
		"spoke, wildcard":        {SpokeTrust{HubRole: "arn:aws:iam::123456789012:role/*/hub"}, `hub-role-to-assume: "arn:aws:iam::123456789012:role/*/hub" contains a wildcard, which IAM rejects in a principal`},
		"spoke, external id":     {spoke(func(s *SpokeTrust) { s.ExternalID = "x" }), `role-external-id: "x" is not 2 to 1224 of the characters [\w+=,.@:/-]`},
		"spoke, subject any":     {spoke(func(s *SpokeTrust) { s.Subjects = []string{"repo:o/r:*"} }), `pin-subject: "repo:o/r:*" contains "*"` + wildcard},
		"spoke, subject of none": {spoke(func(s *SpokeTrust) { s.Subjects = []string{"repo:o/r"} }), `pin-subject: "repo:o/r" is not the subject of a token, repo:OWNER/REPO:... or repo:OWNER@OWNER-ID/REPO@REPO-ID:...`},
		"spoke, subject's owner": {spoke(func(s *SpokeTrust) { s.Subjects = []string{"repo:o*/r:x"} }), `pin-subject: "repo:o*/r:x" is not the subject of a token, repo:OWNER/REPO:... or repo:OWNER@OWNER-ID/REPO@REPO-ID:...`},
		"spoke, audience alone":  {spoke(func(s *SpokeTrust) { s.Audience = "x" }), "pin-subject: is missing: the issuer and the audience are those of a pinned subject"},
		"spoke, too long":        {spoke(func(s *SpokeTrust) { s.Subjects = pins }), "the trust policy has 2194 characters without white space, and IAM's limit is 2048: 36 of the 40 subjects fit"},
		"spoke, external id too long": {spoke(func(s *SpokeTrust) {
			s.ExternalID, s.RequireTags = strings.Repeat("x", 1224), []chain.Tag{{Key: strings.Repeat("k", 128), Value: strings.Repeat("v", 256)}, {Key: "a", Value: strings.Repeat("v", 256)}}
		}), "the trust policy has 2303 characters without white space, and IAM's limit is 2048"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := test.from.Document()
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if _, ok := err.(Problems); !ok || err.Error() != test.want {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
			if text != nil {
				t.Errorf("and wrote %s", text)
			}
		})
	}
}

// TestRoom checks the number that an error reports to fit against what does fit.
func TestRoom(t *testing.T) {
	t.Parallel()
	for n := 1; n < 60; n++ {
		h := HubTrust{AccountID: "123456789012", Repositories: []Repository{octo}}
		for i := range n {
			h.Environments = append(h.Environments, strconv.Itoa(i))
		}
		_, err := h.Document()
		if err == nil {
			continue
		}
		_, message, _ := strings.Cut(err.Error(), ": ")
		if want := fmt.Sprintf("%d of the %d subjects fit", n-1, n); n < 20 || message != want {
			t.Errorf("got %v, want %s", err, want)
		}
		return
	}
	t.Error("59 subjects are not too many")
}

func TestParseRepository(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]Repository{
		"octo-org/octo-repo":                  {Owner: "octo-org", Name: "octo-repo"},
		"octo-org@1234567/octo-repo@89012345": octo,
		"octo_inc/.github":                    {Owner: "octo_inc", Name: ".github"},
	} {
		got, err := ParseRepository(written)
		if err != nil || !reflect.DeepEqual(got, want) || got.String() != written {
			t.Errorf("%s: got %+v, %v", written, got, err)
		}
	}
	for _, written := range []string{"", "octo-org", "/r", "o/", "o/r/x", "o@1/r", "o/r@2", "o@a/r@b", "o@01/r@2", "-o/r", "o/.", "o/..", "o/r:x", "o*/r", "o/ r", "o/r\n", strings.Repeat("o", 40) + "/r"} {
		if got, err := ParseRepository(written); err == nil || err.Error() != strconv.Quote(written)+" is not OWNER/REPO or OWNER@OWNER-ID/REPO@REPO-ID" {
			t.Errorf("%q: got %+v, %v", written, got, err)
		}
	}
}
