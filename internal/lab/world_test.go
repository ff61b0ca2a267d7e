package lab_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
)

// TestReadWorld has worlds that are wrong, and says where.
func TestReadWorld(t *testing.T) {
	t.Parallel()
	change := func(old, text string) map[string]string {
		return map[string]string{"world.json": replaced(t, "world.json", old, text)}
	}
	staging := `"roles": [{ "name": "deploy-staging", "trust": "spoke-trust.json"`
	for want, files := range map[string]map[string]string{
		`lab/world.json: invalid character 'x' looking for beginning of value`:                                                                      {"world.json": "x"},
		`lab/world.json: there is something behind the world's closing brace`:                                                                       change(`"jobs": {`, `"jobs": {}} {"jobs": {`),
		`lab/world.json: unknown field "colour"`:                                                                                                    change(`"name": "hub",`, `"name": "hub", "colour": "red",`),
		`lab/world.json: accounts: there is none`:                                                                                                   {"world.json": "{}"},
		`lab/world.json: regions[0]: "moon" is not the name of a region`:                                                                            change("us-east-1", "moon"),
		`lab/world.json: accounts[0].id: "1234" is not 12 digits`:                                                                                   change(`"123456789012"`, `"1234"`),
		`lab/world.json: accounts[2].id: 222222222222 is there twice`:                                                                               change("333333333333", "222222222222"),
		`lab/world.json: accounts[0].oidcProviders[0].url: "http://token.actions.githubusercontent.com" is not an https URL without port and query`: change("https://", "http://"),
		`lab/world.json: accounts[0].oidcProviders[0].clientIds[0]: 0 characters, and IAM takes 1 to 255`:                                           change("sts.amazonaws.com", ""),
		`lab/world.json: accounts[1].roles[0].name: "deploy staging" is not the name of a role`:                                                     change("deploy-staging", "deploy staging"),
		`lab/world.json: accounts[1].roles[0].maxSessionDuration: 60 is not within 3600 to 43200 seconds`:                                           change(staging, staging+`, "maxSessionDuration": 60`),
		`lab/world.json: accounts[1].roles[0].path: "x" is not the path of a role`:                                                                  change(staging, staging+`, "path": "x"`),
		`lab/world.json: accounts[1].roles[0].tags: duplicate key "team"`:                                                                           change(staging, staging+`, "tags": {"Team": "a", "team": "b"}`),
		`lab/world.json: accounts[1].roles[0].trust: no file is named`:                                                                              change(staging, `"roles": [{ "name": "deploy-staging"`),
		`lab/world.json: accounts[1].roles[0].trust: open lab/none.json: file does not exist`:                                                       change(staging, strings.Replace(staging, "spoke-trust", "none", 1)),
		`lab/world.json: jobs[staging].subject: "new" is neither legacy nor immutable`: change(`"staging": {
      "subject": "immutable"`, `"staging": {
      "subject": "new"`),
		`lab/world.json: ` + stagingRole + `: the trust policy's line 8: Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:role/nobody"`: {
			"spoke-trust.json": replaced(t, "spoke-trust.json", hubRole, "arn:aws:iam::123456789012:role/nobody")},
	} {
		_, err := lab.ReadWorld(overlay(t, files), "lab/world.json")
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	// The texts of these are package policy's; here it counts that they name the file.
	for name, text := range map[string]string{
		"hub-trust.json":       replaced(t, "hub-trust.json", "token.actions.githubusercontent.com:sub", "token.actions.githubusercontent.com:ref"),
		"hub-permissions.json": `{"Version":"2012-10-17"`,
		"spoke-trust.json":     replaced(t, "spoke-trust.json", "role/github-actions-hub", "role/*"),
	} {
		_, err := lab.ReadWorld(overlay(t, map[string]string{name: text}), "lab/world.json")
		if err == nil || !strings.HasPrefix(err.Error(), "lab/world.json: accounts[") || !strings.Contains(err.Error(), ": "+name+": line ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := lab.ReadWorld(examples.Lab, "lab/none.json"); err == nil || err.Error() != "reading the world: open lab/none.json: file does not exist" {
		t.Error(err)
	}
}

func TestWorldLists(t *testing.T) {
	t.Parallel()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := world.Jobs(); !slices.Equal(got, []string{"feature", "legacy", "production", "staging"}) {
		t.Errorf("jobs %v", got)
	}
	if got := world.Roles(); !slices.Equal(got, []string{hubRole, stagingRole, productionRole, sharedRole}) {
		t.Errorf("roles %v", got)
	}
	_, err = lab.New(world, lab.Options{}).Job("none")
	if want := `the world has no job "none"; it has feature, legacy, production, staging`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestLogsHoldNoSecret asks for everything, good and bad, and reads what was logged.
func TestLogsHoldNoSecret(t *testing.T) {
	t.Parallel()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	l := lab.New(world, lab.Options{Log: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, fmt.Sprintf(format, args...))
	}})
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer servers.Close()
	s := stage{l, servers, t}
	requestToken(t, s.RequestEnv(s.IssuerURL, s.job("staging")), audience)
	hub := s.hub("staging")
	if _, err := s.client(hub).AssumeRole(t.Context(), spokeInput(stagingRole)); err != nil {
		t.Fatal(err)
	}
	bad := webInput(s.mint(s.job("staging")) + strings.Repeat("x", 20000))
	bad.RoleSessionName = hub.SessionToken
	if _, err := s.client(nil).AssumeRoleWithWebIdentity(t.Context(), bad); err == nil {
		t.Fatal("too long a token is taken")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(lines) != 4 {
		t.Errorf("%d lines for 4 requests: %q", len(lines), lines)
	}
	for _, line := range lines {
		for _, secret := range s.Secrets() {
			if strings.Contains(line, secret) {
				t.Errorf("a secret is in %.100s", line)
			}
		}
	}
}
