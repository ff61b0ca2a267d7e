//go:build tools

package examples_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/moto"
	"github.com/org/hubspoke-chain/internal/policy"
)

// motoServer is moto's server on loopback. Like AWS it keeps accounts apart; unlike AWS it checks nothing.
type motoServer struct {
	url    string
	logins map[string]map[string]string // by account
}

// TestMoto has one server for all its parts, which are a new world each.
func TestMoto(t *testing.T) {
	t.Parallel()
	m := startMoto(t)
	for name, part := range map[string]func(*testing.T, motoServer){"stacks": testStacks, "stack set": testStackSet, "scripts": testScripts} {
		m.reset(t)
		t.Run(name, func(t *testing.T) { part(t, m) })
	}
}

func (m motoServer) reset(t *testing.T) {
	t.Helper()
	clear(m.logins)
	answer, err := http.Post(m.url+"/moto-api/reset", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("resetting moto: %s, %v", answer.Status, err)
	}
}

func startMoto(t *testing.T) motoServer {
	t.Helper()
	return motoServer{moto.Start(t), map[string]map[string]string{}}
}

// login returns the environment of the AWS CLI in an account. The default credentials belong to the hub account;
// moto allows assuming a role in another account even if the role does not exist.
func (m motoServer) login(t *testing.T, account string) map[string]string {
	t.Helper()
	if env, known := m.logins[account]; known {
		return env
	}
	env := map[string]string{
		"AWS_ENDPOINT_URL": m.url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
	}
	if account == hubAccount {
		return env
	}
	var answer struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string }
	}
	m.aws(t, env, &answer, "sts", "assume-role", "--role-arn", "arn:aws:iam::"+account+":role/administrator", "--role-session-name", "setup")
	env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = answer.Credentials.AccessKeyId, answer.Credentials.SecretAccessKey
	env["AWS_SESSION_TOKEN"] = answer.Credentials.SessionToken
	m.logins[account] = env
	return env
}

// aws runs the AWS CLI and reads its answer.
func (m motoServer) aws(t *testing.T, env map[string]string, into any, args ...string) {
	t.Helper()
	out := mustRun(t, ".", env, "aws", append(args, "--output", "json")...)
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// role is what IAM has of a role.
type role struct {
	Arn                      string
	MaxSessionDuration       int
	AssumeRolePolicyDocument any
}

func (m motoServer) role(t *testing.T, env map[string]string, name string) role {
	t.Helper()
	var answer struct{ Role role }
	m.aws(t, env, &answer, "iam", "get-role", "--role-name", name)
	answer.Role.AssumeRolePolicyDocument = withoutNull(answer.Role.AssumeRolePolicyDocument)
	return answer.Role
}

func (r role) trust(t *testing.T) []byte {
	t.Helper()
	return mustJSON(t, r.AssumeRolePolicyDocument)
}

// withoutNull removes the null that moto keeps for AWS::NoValue in a list. CloudFormation removes
// the element.
func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = withoutNull(v[key])
		}
	case []any:
		v = slices.DeleteFunc(v, func(one any) bool { return one == nil })
		for i := range v {
			v[i] = withoutNull(v[i])
		}
		return v
	}
	return v
}

func (m motoServer) permissions(t *testing.T, env map[string]string, name string) []byte {
	t.Helper()
	var answer struct{ PolicyDocument any }
	m.aws(t, env, &answer, "iam", "get-role-policy", "--role-name", name, "--policy-name", "hop-to-spokes")
	// Of a stack's role, moto answers with the document as Python writes it.
	if text, isText := answer.PolicyDocument.(string); isText {
		return []byte(strings.ReplaceAll(text, "'", `"`))
	}
	return mustJSON(t, answer.PolicyDocument)
}

// create makes a stack.
func (m motoServer) create(t *testing.T, env map[string]string, template, parameters string) {
	t.Helper()
	var answer struct{ StackId string }
	m.aws(t, env, &answer, "cloudformation", "create-stack", "--stack-name", "hubspoke-chain", "--template-body", "file://"+template,
		"--capabilities", "CAPABILITY_NAMED_IAM", "--parameters", parameters)
}

// testStacks creates the stacks in moto, one for each account, and reads the roles back. moto makes no
// AWS::IAM::OIDCProvider, and attaches no ManagedPolicyArns to a role of a stack: these two it cannot show.
func testStacks(t *testing.T, m motoServer) {
	hub := m.login(t, hubAccount)
	var parameters []map[string]string
	for key, value := range merged(readParameters(t, "cloudformation/hub.json"), map[string]string{"CreateProvider": "false"}) {
		parameters = append(parameters, map[string]string{"ParameterKey": key, "ParameterValue": value})
	}
	m.create(t, hub, hubTemplate, string(mustJSON(t, parameters)))
	trusts := map[string][]byte{}
	for account, names := range map[string][2]string{
		stagingAccount: {"staging.json", "deploy-staging"}, productionAccount: {"production.json", "deploy-production"},
		sharedAccount: {"shared-services.json", "shared-services"},
	} {
		env := m.login(t, account)
		m.create(t, env, spokeTemplate, "file://cloudformation/"+names[0])
		r := m.role(t, env, names[1])
		if want := "arn:aws:iam::" + account + ":role/" + names[1]; r.Arn != want || r.MaxSessionDuration != 3600 {
			t.Errorf("the role is %s for %d s, want %s for 3600", r.Arn, r.MaxSessionDuration, want)
		}
		trusts[account] = r.trust(t)
	}
	deployed{
		hubTrust: m.role(t, hub, "github-actions-hub").trust(t), hubPermissions: m.permissions(t, hub, "github-actions-hub"),
		staging: trusts[stagingAccount], production: trusts[productionAccount], shared: trusts[sharedAccount],
	}.check(t)
}

// testStackSet rolls the spoke out over two accounts and, with other parameters, a third.
func testStackSet(t *testing.T, m motoServer) {
	hub := m.login(t, hubAccount)
	var answer struct{ StackSetId, OperationId string }
	m.aws(t, hub, &answer, "cloudformation", "create-stack-set", "--stack-set-name", "spokes", "--template-body", "file://"+spokeTemplate,
		"--capabilities", "CAPABILITY_NAMED_IAM", "--parameters", "file://cloudformation/staging.json")
	m.aws(t, hub, &answer, "cloudformation", "create-stack-instances", "--stack-set-name", "spokes", "--regions", "us-east-1",
		"--accounts", stagingAccount, "555555555555")
	m.aws(t, hub, &answer, "cloudformation", "create-stack-instances", "--stack-set-name", "spokes", "--regions", "us-east-1",
		"--accounts", productionAccount, "--parameter-overrides", "file://cloudformation/production.json")
	r := m.role(t, m.login(t, productionAccount), "deploy-production")
	checkDocument(t, "in production, the trust policy", r.trust(t), production, policy.Trust, productionRole)
	for _, account := range []string{stagingAccount, "555555555555"} {
		r := m.role(t, m.login(t, account), "deploy-staging")
		checkDocument(t, "in "+account+", the trust policy", r.trust(t), staging, policy.Trust, r.Arn)
	}
}

// testScripts runs the AWS CLI's scripts, each twice, with the policies that hubspoke-chain policy prints.
func testScripts(t *testing.T, m motoServer) {
	dir := t.TempDir()
	write := func(name string, d document) string {
		text, err := d.Document()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const managed = "arn:aws:iam::aws:policy/PowerUserAccess"
	hub := m.login(t, hubAccount)
	trusts := map[string][]byte{}
	for run := range 2 {
		out := mustRun(t, ".", hub, "./cli/hub.sh", "github-actions-hub", write("hub-trust.json", hubTrust), write("hub-permissions.json", hubPolicy))
		if got := strings.TrimSpace(string(out)); got != hubRole {
			t.Fatalf("hub.sh printed %q, want %q", got, hubRole)
		}
		for arn, d := range map[string]document{stagingRole: staging, productionRole: production, sharedRole: shared} {
			account, name := strings.Split(arn, ":")[4], filepath.Base(arn)
			if run > 0 && arn != stagingRole { // one spoke again is enough
				continue
			}
			env := m.login(t, account)
			out := mustRun(t, ".", env, "./cli/spoke.sh", name, write(name+".json", d), managed)
			if got := strings.TrimSpace(string(out)); got != arn {
				t.Fatalf("spoke.sh printed %q, want %q", got, arn)
			}
			trusts[arn] = m.role(t, env, name).trust(t)
			var attached struct{ AttachedPolicies []struct{ PolicyArn string } }
			m.aws(t, env, &attached, "iam", "list-attached-role-policies", "--role-name", name)
			if len(attached.AttachedPolicies) != 1 || attached.AttachedPolicies[0].PolicyArn != managed {
				t.Errorf("%s has the policies %v", name, attached)
			}
		}
	}
	deployed{
		hubTrust: m.role(t, hub, "github-actions-hub").trust(t), hubPermissions: m.permissions(t, hub, "github-actions-hub"),
		staging: trusts[stagingRole], production: trusts[productionRole], shared: trusts[sharedRole],
	}.check(t)
	var provider struct {
		Url          string
		ClientIDList []string
	}
	m.aws(t, hub, &provider, "iam", "get-open-id-connect-provider", "--open-id-connect-provider-arn",
		"arn:aws:iam::"+hubAccount+":oidc-provider/token.actions.githubusercontent.com")
	if provider.Url != "token.actions.githubusercontent.com" || !slices.Equal(provider.ClientIDList, []string{"sts.amazonaws.com"}) {
		t.Errorf("the provider is %v", provider)
	}
	if _, err := program(".", hub, "./cli/hub.sh"); err == nil || !strings.Contains(err.Error(), "hub.sh ROLE-NAME TRUST.json PERMISSIONS.json") {
		t.Errorf("hub.sh without arguments does not say how to use it: %v", err)
	}
}
