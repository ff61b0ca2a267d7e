//go:build tools

package examples_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/generate"
	"github.com/org/hubspoke-chain/internal/policy"
)

// TestTerraform renders the policies of the modules' provider-less parts and compares them.
func TestTerraform(t *testing.T) {
	t.Parallel()
	mustRun(t, "terraform", nil, "terraform", "fmt", "-check", "-recursive", "-diff")
	const subject = "repo:octo-org@1234567/octo-repo@89012345:environment:staging"
	hub := func(set map[string]any) map[string]any {
		all := map[string]any{"source": "./modules/hub/policies", "account_id": hubAccount, "subjects": []string{subject}}
		maps.Copy(all, set)
		return all
	}
	spoke := func(set map[string]any) map[string]any {
		all := map[string]any{"source": "./modules/spoke/policies", "hub_role": hubRole}
		maps.Copy(all, set)
		return all
	}
	calls := map[string]map[string]any{
		"hub": hub(map[string]any{"spokes": hubPolicy.Spokes, "subjects": []string{
			subject, strings.Replace(subject, "staging", "production", 1),
			"repo:octo-org/octo-repo:environment:staging", "repo:octo-org/octo-repo:environment:production",
		}}),
		"staging":    spoke(nil),
		"production": spoke(map[string]any{"subjects": production.Subjects}),
		"shared":     spoke(map[string]any{"session_tags": false, "source_identity": false}),

		"hub_tagged": hub(map[string]any{"spoke_tags": map[string]string{"hubspoke": "spoke", "Team": "payments"}}),
		"hub_china":  hub(map[string]any{"partition": "aws-cn"}),
		"hub_slug":   hub(map[string]any{"issuer": "token.actions.githubusercontent.com/acme", "audience": "aws"}),
	}
	trust := generate.HubTrust{AccountID: hubAccount, Repositories: repositories, Environments: []string{"staging"}}
	china, slug := trust, trust
	china.Partition = "aws-cn"
	slug.Issuer, slug.Audience = generate.Issuer{Enterprise: "acme"}, "aws"
	spokes := map[string]generate.SpokeTrust{}
	for mask := range 16 {
		set, want := map[string]any{}, generate.SpokeTrust{HubRole: hubRole}
		if mask&1 != 0 {
			set["session_tags"], want.SkipTags = false, true
		}
		if mask&2 != 0 {
			set["source_identity"], want.SkipSourceIdentity = false, true
		}
		if mask&4 != 0 {
			set["external_id"], want.ExternalID = "7f3c:deploy", "7f3c:deploy"
		}
		if mask&8 != 0 {
			set["subjects"], want.Subjects = []string{subject}, []string{subject}
		}
		name := fmt.Sprintf("spoke_%d", mask)
		calls[name], spokes[name] = spoke(set), want
	}

	rendered := render(t, calls)
	deployed{
		hubTrust: rendered["hub.trust"], hubPermissions: rendered["hub.permissions"],
		staging: rendered["staging.trust"], production: rendered["production.trust"], shared: rendered["shared.trust"],
	}.check(t)
	tags := []chain.Tag{{Key: "Team", Value: "payments"}, {Key: "hubspoke", Value: "spoke"}}
	checkDocument(t, "by tags, the permissions", rendered["hub_tagged.permissions"], generate.HubPermissions{Tags: tags}, policy.Identity, "")
	checkDocument(t, "in China, the permissions", rendered["hub_china.permissions"], generate.HubPermissions{Tags: tags[1:], Partition: "aws-cn"}, policy.Identity, "")
	checkDocument(t, "in China, the trust policy", rendered["hub_china.trust"], china, policy.Trust, strings.Replace(hubRole, "aws", "aws-cn", 1))
	checkDocument(t, "with a slug, the trust policy", rendered["hub_slug.trust"], slug, policy.Trust, hubRole)
	for name, want := range spokes {
		checkDocument(t, fmt.Sprintf("with %v, the trust policy", calls[name]), rendered[name+".trust"], want, policy.Trust, stagingRole)
	}
}

// render returns the outputs trust and permissions of the module calls, by CALL.OUTPUT.
func render(t *testing.T, calls map[string]map[string]any) map[string][]byte {
	t.Helper()
	dir := copyModules(t)
	outputs := map[string]any{}
	for name, call := range calls {
		outputs[name] = map[string]any{"value": "${module." + name + "}"}
		if call["source"] != "./modules/hub/policies" && call["source"] != "./modules/spoke/policies" {
			t.Fatalf("the module call %s has the source %v", name, call["source"])
		}
	}
	config := mustJSON(t, map[string]any{"module": calls, "output": outputs})
	if err := os.WriteFile(filepath.Join(dir, "main.tf.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-backend=false", "-input=false"}, {"validate"}, {"apply", "-auto-approve", "-input=false"}} {
		mustRun(t, dir, nil, "terraform", append(args, "-no-color")...)
	}
	var values map[string]struct{ Value map[string]string }
	if err := json.Unmarshal(mustRun(t, dir, nil, "terraform", "output", "-json"), &values); err != nil {
		t.Fatal(err)
	}
	rendered := map[string][]byte{}
	for name, module := range values {
		for output, text := range module.Value {
			rendered[name+"."+output] = []byte(text)
		}
	}
	return rendered
}

// copyModules copies the modules to a separate directory, because Terraform writes files next to them.
func copyModules(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "modules"), os.DirFS("terraform/modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTerraformRefuses checks that the modules' validations reject values that would make a role too permissive.
func TestTerraformRefuses(t *testing.T) {
	t.Parallel()
	dir := copyModules(t)
	bases := map[string]map[string]any{
		"hub":   {"account_id": hubAccount, "subjects": []string{"repo:octo-org/octo-repo:environment:staging"}},
		"spoke": {"hub_role": hubRole},
	}
	plan := func(module string, set map[string]any) error {
		values := maps.Clone(bases[module])
		maps.Copy(values, set)
		file := filepath.Join(t.TempDir(), "values.tfvars.json")
		if err := os.WriteFile(file, mustJSON(t, values), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := program(filepath.Join(dir, "modules", module, "policies"), nil, "terraform", "plan", "-input=false", "-no-color", "-var-file="+file)
		return err
	}
	for module := range bases {
		mustRun(t, filepath.Join(dir, "modules", module, "policies"), nil, "terraform", "init", "-backend=false", "-input=false")
		if err := plan(module, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		module, variable string
		value            any
	}{
		{"hub", "subjects", []string{"repo:octo-org/octo-repo:*"}},
		{"hub", "subjects", []string{"repo:octo-org-*/octo-repo-*:environment:production"}},
		{"hub", "subjects", []string{}},
		{"hub", "spokes", []string{"*"}},
		{"hub", "spokes", []string{"arn:aws:iam::222222222222:role/*"}},
		{"hub", "spoke_tags", map[string]string{}},
		{"hub", "spoke_tags", map[string]string{"hubspoke": "*"}},
		{"hub", "account_id", "*"},
		{"hub", "audience", "*"},
		{"hub", "issuer", "https://token.actions.githubusercontent.com"},
		{"spoke", "hub_role", "arn:aws:iam::123456789012:root"},
		{"spoke", "hub_role", "*"},
		{"spoke", "subjects", []string{"repo:octo-org/*:environment:production"}},
		{"spoke", "external_id", "a"},
		{"spoke", "external_id", strings.Repeat("a", 1225)},
	} {
		err := plan(c.module, map[string]any{c.variable: c.value})
		if err == nil || !strings.Contains(err.Error(), "Invalid value for variable") {
			t.Errorf("%s takes %v for %s, or fails for another reason: %v", c.module, c.value, c.variable, err)
		}
	}
}
