package lint

import (
	"slices"
	"strings"
)

// Rule is one thing that is looked for.
type Rule struct {
	Name     string   `json:"name"` // in kebab case
	Severity Severity `json:"severity"`
	Why      string   `json:"why"` // one sentence
	Fix      string   `json:"fix"` // what to do, where a finding does not say it more exactly
	Doc      string   `json:"doc"` // URL of the page that it rests on
}

// Rules are all rules, by name.
func Rules() []Rule { return slices.Clone(rules) }

// Explain finds a rule by its name.
func Explain(name string) (Rule, bool) {
	i, found := slices.BinarySearchFunc(rules, name, func(r Rule, name string) int { return strings.Compare(r.Name, name) })
	if !found {
		return Rule{}, false
	}
	return rules[i], true
}

// Pages of the documentation.
const (
	iamGuide   = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
	operators  = iamGuide + "reference_policies_elements_condition_operators.html"
	multiple   = iamGuide + "reference_policies_condition-single-vs-multi-valued-context-keys.html"
	principals = iamGuide + "reference_policies_elements_principal.html"
	stsKeys    = iamGuide + "reference_policies_iam-condition-keys.html"
	globalKeys = iamGuide + "reference_policies_condition-keys.html"
	identifier = iamGuide + "reference_identifiers.html"
	resources  = iamGuide + "reference_policies_elements_resource.html"
	grammar    = iamGuide + "reference_policies_grammar.html"
	oidcRole   = iamGuide + "id_roles_create_for-idp_oidc.html"
	stsActions = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html"
	assumeAPI  = "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"
	githubOIDC = "https://docs.github.com/en/actions/reference/security/oidc"
)

const exactSubjects = "list the exact subjects under StringEquals, repo:OWNER@OWNER-ID/REPO@REPO-ID:environment:NAME for example; " +
	"`hubspoke-chain policy hub-trust` writes them"

var rules = []Rule{
	{"action-mismatch", Error,
		"A token is traded with sts:AssumeRoleWithWebIdentity and a session hops with sts:AssumeRole; a statement with the other one never applies.",
		"allow sts:AssumeRoleWithWebIdentity to the provider, and sts:AssumeRole to roles", oidcRole},
	{"audience-missing", Warning,
		"Without a condition on the audience, tokens that a job has minted for another service are good for this role as well.",
		"add \"ISSUER:aud\": \"sts.amazonaws.com\" under StringEquals", oidcRole},
	{"audience-several", Note,
		"Each audience is another purpose that a token may have been minted for.",
		"keep the audience that the action asks for, and drop the others", githubOIDC},
	{"audience-unknown", Note,
		"A job mints tokens for sts.amazonaws.com, or sts.amazonaws.com.cn in China, unless it is told otherwise.",
		"set the action's input audience to the same value, and list it as a client id of the provider", githubOIDC},
	{"claim-not-carried", Error,
		"AWS makes condition keys of ten of GitHub's claims beside sub, aud and amr, and of none of a GitHub Enterprise Server's; a key of any other claim is absent.",
		"use a claim that AWS carries, or put the claim into the subject by customizing it", stsActions},
	{"claim-only-at-hub", Error,
		"Only sub, aud and amr stay condition keys in the hub's session; GitHub's other claims are there for the hop into the hub alone.",
		"ask for the claim in the hub's trust policy, and pin :sub and :aud here", stsKeys},
	{"claim-other-issuer", Error,
		"The condition keys of a token begin with its own issuer, an enterprise's path included.",
		"begin the key with the issuer of the statement's provider", stsKeys},
	{"duplicate-sid", Error,
		"IAM refuses a document in which two statements have the same Sid.",
		"give each statement a Sid of its own, or none", iamGuide + "reference_policies_elements_sid.html"},
	{"externalid-on-tagsession", Warning,
		"AWS lists sts:ExternalId for sts:AssumeRole only; on a statement for sts:TagSession alone it may never be met.",
		"move the condition to the statement that allows sts:AssumeRole", stsActions},
	{"forallvalues-allow", Error,
		"ForAllValues is met by a request that does not have the key at all.",
		"use the operator without ForAllValues; the key has one value", multiple},
	{"key-never-present", Error,
		"A key that the call never has leaves a statement without effect, or a condition that keeps nobody out.",
		"take the condition out, or use a key that the call has: aws:PrincipalArn, aws:PrincipalOrgID or sts:ExternalId at a spoke, claims at the hub", globalKeys},
	{"max-session-duration", Note,
		"A session that was made with another session ends after an hour, whatever the role's maximum.",
		"for longer jobs take the step again; the maximum matters only to those who assume the role without a hub", assumeAPI},
	{"negated-missing-key", Warning,
		"A negated operator, one with IfExists and Null \"true\" are met by a request that lacks the key.",
		"name what may pass in place of what may not, or add \"Null\": {\"KEY\": \"false\"}", operators},
	{"partition-mismatch", Error,
		"Partitions are separate clouds: no role can be assumed, and no provider used, from another one.",
		"write arn:aws, arn:aws-cn or arn:aws-us-gov as the role has it, and the audience of its partition", identifier},
	{"principal-account-root", Warning,
		"To trust an account is to trust whoever may write policies in it.",
		"name the hub role: \"AWS\": \"arn:aws:iam::ACCOUNT:role/NAME\"", principals},
	{"principal-wildcard", Error,
		"* is everyone: every AWS account, and every bearer of a token of a provider of this account.",
		"name the hub role: \"AWS\": \"arn:aws:iam::ACCOUNT:role/NAME\"", principals},
	{"provider-account", Error,
		"STS looks for the provider of a token in the role's own account.",
		"create the provider in the role's account, and name that one", oidcRole},
	{"refused", Error,
		"IAM does not save a document that breaks its grammar.",
		"change what the message names", grammar},
	{"resource-not-role", Error,
		"Only a role can be assumed; a statement for another resource allows nothing.",
		"write arn:aws:iam::ACCOUNT:role/NAME, with the role's path if it has one", resources},
	{"resource-wildcard", Warning,
		"With a pattern, the hub can hop wherever a role trusts it, strangers' accounts included.",
		"list the spokes' ARNs, or add a condition on iam:ResourceTag/KEY", resources},
	{"setsourceidentity-missing", Warning,
		"A source identity has to be allowed on both sides of the hop.",
		"allow sts:SetSourceIdentity where sts:AssumeRole is allowed, or on neither side", iamGuide + "id_credentials_temp_control-access_monitor.html"},
	{"size-limit", Error,
		"AWS refuses a document that is longer than its quota.",
		"drop statements or values, or divide the document between several roles or policies", iamGuide + "reference_iam-quotas.html"},
	{"subject-hyphen-form", Warning,
		"The form repo:OWNER-ID/REPO-ID was announced in spring 2026 and withdrawn; the ids stand behind @.",
		exactSubjects, githubOIDC},
	{"subject-immutable-malformed", Error,
		"An immutable subject has both ids, each in digits behind @.",
		"write repo:OWNER@OWNER-ID/REPO@REPO-ID: and then what the job runs for", githubOIDC},
	{"subject-legacy-only", Note,
		"Since 2026-07-15, repositories that are made, renamed or transferred on github.com have their ids in the subject.",
		"add the immutable subject now, and drop the legacy one after the change", githubOIDC},
	{"subject-missing", Error,
		"All of GitHub's customers share the issuer: without a condition on the subject, any repository's job is let in.",
		exactSubjects, oidcRole},
	{"subject-never-matches", Error,
		"No token of GitHub's has this subject, so the value lets nobody in.",
		"write the subject as GitHub does: the action prints it as oidc-subject", githubOIDC},
	{"subject-wildcard-context", Warning,
		"Every branch, pull request and environment of the repository is let in, reviewed or not.",
		"name the environment, and let its protection rules decide which branches may deploy: repo:OWNER@OWNER-ID/REPO@REPO-ID:environment:NAME", githubOIDC},
	{"subject-wildcard-id", Error,
		"The ids are there because names are given out again; an open id trusts whoever has the name next.",
		exactSubjects, githubOIDC},
	{"subject-wildcard-organisation", Error,
		"Anyone can register an organisation whose name fits a pattern.",
		exactSubjects, oidcRole},
	{"subject-wildcard-repository", Error,
		"Whoever may create a repository in the organisation can then deploy.",
		exactSubjects, githubOIDC},
	{"syntax", Error,
		"The file is not JSON, or not a policy document.",
		"change what the message names", grammar},
	{"tagsession-missing", Warning,
		"Session tags have to be allowed on both sides of the hop, in the hub's permission policy and in the spoke's trust policy.",
		"allow sts:TagSession where sts:AssumeRole is allowed, or hop with role-skip-session-tagging: true", iamGuide + "id_session-tags.html"},
	{"too-many-patterns", Warning,
		"Each pattern is tried against many subjects, and there is a limit to it for one document.",
		exactSubjects, oidcRole},
	{"unknown-operator", Error,
		"IAM refuses a condition operator that it does not know; their names are case-sensitive.",
		"use one of the operators of the IAM User Guide, StringEquals or StringLike for example", operators},
	{"version", Error,
		"Policy variables are replaced only under Version 2012-10-17; without a Version, IAM takes the old one.",
		"write \"Version\": \"2012-10-17\"", iamGuide + "reference_policies_elements_version.html"},
	{"wildcard-under-stringequals", Error,
		"StringEquals compares * and ? as characters, so the pattern matches nothing.",
		"write the exact value; StringLike reads wildcards, if a pattern is what is wanted", operators},
}
