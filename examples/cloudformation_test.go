package examples_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/generate"
	"github.com/org/hubspoke-chain/internal/policy"
)

const (
	hubTemplate   = "cloudformation/hub.yaml"
	spokeTemplate = "cloudformation/spoke.yaml"
)

// stack resolves a template and returns its role's properties.
func stack(template, partition, account string, parameters map[string]string) (map[string]any, error) {
	s, err := readTemplate(template, partition, account, parameters)
	if err != nil {
		return nil, err
	}
	if template == hubTemplate {
		return s.resource("Hub")
	}
	return s.resource("Spoke")
}

// mustStack is stack with what has to work.
func mustStack(t *testing.T, template, partition, account string, parameters map[string]string) map[string]any {
	t.Helper()
	role, err := stack(template, partition, account, parameters)
	if err != nil {
		t.Fatal(err)
	}
	return role
}

func trustOf(t *testing.T, role map[string]any) []byte {
	t.Helper()
	return mustJSON(t, role["AssumeRolePolicyDocument"])
}

func permissionsOf(t *testing.T, role map[string]any) []byte {
	t.Helper()
	policies, isList := role["Policies"].([]any)
	if !isList || len(policies) != 1 {
		t.Fatalf("the role has the inline policies %v, want one", role["Policies"])
	}
	inline, isObject := policies[0].(map[string]any)
	if !isObject {
		t.Fatalf("the role's inline policy is %v", policies[0])
	}
	return mustJSON(t, inline["PolicyDocument"])
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestCloudFormation deploys the templates with the parameter files.
func TestCloudFormation(t *testing.T) {
	t.Parallel()
	role := func(template, account, file string) map[string]any {
		return mustStack(t, template, "aws", account, readParameters(t, "cloudformation/"+file))
	}
	hub := role(hubTemplate, hubAccount, "hub.json")
	roles := map[string]map[string]any{
		stagingRole:    role(spokeTemplate, stagingAccount, "staging.json"),
		productionRole: role(spokeTemplate, productionAccount, "production.json"),
		sharedRole:     role(spokeTemplate, sharedAccount, "shared-services.json"),
	}
	for arn, r := range roles {
		if !strings.HasSuffix(arn, ":role/"+fmt.Sprint(r["RoleName"])) {
			t.Errorf("the role %s is named %v", arn, r["RoleName"])
		}
	}
	deployed{
		hubTrust: trustOf(t, hub), hubPermissions: permissionsOf(t, hub),
		staging: trustOf(t, roles[stagingRole]), production: trustOf(t, roles[productionRole]), shared: trustOf(t, roles[sharedRole]),
	}.check(t)
}

// TestCloudFormationHub goes through the hub's parameters.
func TestCloudFormationHub(t *testing.T) {
	t.Parallel()
	base := map[string]string{"Subjects": "repo:octo-org@1234567/octo-repo@89012345:environment:staging"}
	trust := generate.HubTrust{AccountID: hubAccount, Repositories: repositories, Environments: []string{"staging"}}
	tagged := generate.HubPermissions{Tags: []chain.Tag{{Key: "hubspoke", Value: "spoke"}}}
	for name, c := range map[string]struct {
		partition   string
		set         map[string]string
		trust       func(*generate.HubTrust)
		permissions generate.HubPermissions
	}{
		"by tag":        {"aws", nil, nil, tagged},
		"by another":    {"aws", map[string]string{"SpokeTag": "a/b"}, nil, generate.HubPermissions{Tags: []chain.Tag{{Key: "hubspoke", Value: "a/b"}}}},
		"own provider":  {"aws", map[string]string{"CreateProvider": "false"}, nil, tagged},
		"one spoke":     {"aws", map[string]string{"Spokes": stagingRole}, nil, generate.HubPermissions{Spokes: []string{stagingRole}}},
		"in China":      {"aws-cn", nil, func(h *generate.HubTrust) { h.Partition = "aws-cn" }, generate.HubPermissions{Tags: tagged.Tags, Partition: "aws-cn"}},
		"two in a list": {"aws", map[string]string{"Spokes": stagingRole + ", " + productionRole}, nil, generate.HubPermissions{Spokes: []string{stagingRole, productionRole}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := trust
			if c.trust != nil {
				c.trust(&want)
			}
			role := mustStack(t, hubTemplate, c.partition, hubAccount, merged(base, c.set))
			checkDocument(t, "the trust policy", trustOf(t, role), want, policy.Trust, strings.Replace(hubRole, "aws", c.partition, 1))
			checkDocument(t, "the permissions", permissionsOf(t, role), c.permissions, policy.Identity, "")
		})
	}
}

// TestCloudFormationSpoke goes through the spoke's parameters, alone and together.
func TestCloudFormationSpoke(t *testing.T) {
	t.Parallel()
	base := map[string]string{"HubRole": hubRole, "RoleName": "deploy-staging"}
	const subject = "repo:octo-org@1234567/octo-repo@89012345:environment:staging"
	for mask := range 16 {
		set, want := map[string]string{}, generate.SpokeTrust{HubRole: hubRole}
		if mask&1 != 0 {
			set["SessionTags"], want.SkipTags = "false", true
		}
		if mask&2 != 0 {
			set["SourceIdentity"], want.SkipSourceIdentity = "false", true
		}
		if mask&4 != 0 {
			set["ExternalId"], want.ExternalID = "7f3c:deploy", "7f3c:deploy"
		}
		if mask&8 != 0 {
			set["Subjects"], want.Subjects = subject, []string{subject}
		}
		role := mustStack(t, spokeTemplate, "aws", stagingAccount, merged(base, set))
		checkDocument(t, fmt.Sprintf("with %v, the trust policy", set), trustOf(t, role), want, policy.Trust, stagingRole)
	}
	plain := mustStack(t, spokeTemplate, "aws", stagingAccount, base)
	for _, property := range []string{"ManagedPolicyArns", "PermissionsBoundary"} {
		if value, there := plain[property]; there {
			t.Errorf("without a value for it, the role has the property %s: %v", property, value)
		}
	}
	const boundary, managed = "arn:aws:iam::222222222222:policy/boundary", "arn:aws:iam::aws:policy/ReadOnlyAccess"
	full := mustStack(t, spokeTemplate, "aws", stagingAccount, merged(base, map[string]string{
		"PermissionsBoundary": boundary, "ManagedPolicyArns": managed, "MaxSessionDuration": "7200", "SpokeTag": "a",
	}))
	for property, want := range map[string]string{
		"PermissionsBoundary": boundary, "ManagedPolicyArns": "[" + managed + "]", "MaxSessionDuration": "7200", "Tags": "[map[Key:hubspoke Value:a]]",
	} {
		if got := fmt.Sprint(full[property]); got != want {
			t.Errorf("the role's %s is %s, want %s", property, got, want)
		}
	}
}

// TestCloudFormationRefuses checks that the templates' rules reject parameters that would make a role too permissive.
func TestCloudFormationRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ template, parameter, value string }{
		{hubTemplate, "Subjects", "repo:octo-org/octo-repo:*"},
		{hubTemplate, "Subjects", "repo:octo-org-*/octo-repo-*:environment:production"},
		{hubTemplate, "Subjects", "repo:octo-org/octo-repo:environment:staging,*"},
		{hubTemplate, "Subjects", "repo:octo-org/octo-repo:environment:prod?"},
		{hubTemplate, "Subjects", "repo:octo-org/octo-repo:environment:${aws:username}"},
		{hubTemplate, "Subjects", ""},
		{hubTemplate, "Spokes", "*"},
		{hubTemplate, "Spokes", "arn:aws:iam::222222222222:role/*"},
		{hubTemplate, "Spokes", "arn:aws:iam::222222222222:root"},
		{hubTemplate, "SpokeTag", ""},
		{hubTemplate, "SpokeTag", "*"},
		{spokeTemplate, "HubRole", "*"},
		{spokeTemplate, "HubRole", "arn:aws:iam::123456789012:root"},
		{spokeTemplate, "HubRole", "arn:aws:iam::123456789012:role/*"},
		{spokeTemplate, "Subjects", "repo:octo-org/*:environment:production"},
		{spokeTemplate, "ExternalId", "a"},
		{spokeTemplate, "ExternalId", strings.Repeat("a", 1225)},
		{spokeTemplate, "SessionTags", "no"},
		{spokeTemplate, "MaxSessionDuration", "900"},
	} {
		base := map[string]string{"Subjects": "repo:octo-org/octo-repo:environment:staging"}
		if c.template == spokeTemplate {
			base = map[string]string{"HubRole": hubRole, "RoleName": "deploy-staging"}
		}
		if _, err := stack(c.template, "aws", hubAccount, base); err != nil {
			t.Fatal(err)
		}
		if role, err := stack(c.template, "aws", hubAccount, merged(base, map[string]string{c.parameter: c.value})); err == nil {
			t.Errorf("%s takes %q for %s:\n%s", c.template, c.value, c.parameter, mustJSON(t, role))
		}
	}
}

// merged returns base overridden by set.
func merged(base, set map[string]string) map[string]string {
	all := maps.Clone(base)
	maps.Copy(all, set)
	return all
}
