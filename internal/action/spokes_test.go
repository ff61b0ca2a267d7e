package action

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/lab"
)

// TestUnlikeSpokes assumes roles in separate accounts whose names and paths have little in common, and checks the
// hub sessions that the lab granted: together they are for exactly the spokes, and none is for a pattern.
func TestUnlikeSpokes(t *testing.T) {
	t.Parallel()
	for n, sessions := range map[int]int{1: 1, 2: 1, 200: 0, 500: 0} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			var roles []hop.ARN
			for i := range n {
				roles = append(roles, unlikeRole(t, i))
			}
			l := accountsOf(t, roles)
			log := walkTo(t, l, roles)
			var named []string
			granted, assumed := 0, 0
			for _, event := range l.Events() {
				switch {
				case event.ErrorCode != "":
					if event.ErrorCode != "PackedPolicyTooLarge" || event.EventName != "AssumeRoleWithWebIdentity" {
						t.Errorf("%s: %s", event.EventName, event.ErrorMessage)
					}
				case event.EventName == "AssumeRoleWithWebIdentity":
					granted++
					named = append(named, resourcesOf(t, event.RequestParameters["policy"].(string))...)
				case event.UserIdentity.Type == "AssumedRole": // and not the record of the same call in the spoke's account
					assumed++
				}
			}
			want := make([]string, n)
			for i, role := range roles {
				want[i] = role.String()
			}
			slices.Sort(named)
			slices.Sort(want)
			if !slices.Equal(named, want) {
				t.Errorf("the sessions are for %q, want exactly %q", named, want)
			}
			if assumed != n || sessions > 0 && granted != sessions {
				t.Errorf("%d hub sessions for %d spoke sessions", granted, assumed)
			}
			good := "for this spoke only, in "
			if n > 1 {
				good = fmt.Sprintf("for these %d spokes only, in ", n)
			}
			if granted > 1 {
				good += fmt.Sprintf("%d sessions, in ", granted)
			}
			if strings.Count(log, good) != 1 || strings.Count(log, "  hub ") != 1 {
				t.Errorf("the log does not say %q once:\n%s", good, log)
			}
		})
	}
}

// unlikeRole is a role whose account, path and name are of any kind and length.
func unlikeRole(t *testing.T, i int) hop.ARN {
	t.Helper()
	word := func(seed, n int) string {
		text := ""
		for k := 0; len(text) < n; k++ {
			text += fmt.Sprintf("%x", uint32(seed+k*7919+1)*2654435761)
		}
		return text[:n]
	}
	path := []string{"/", "/ci/", "/" + word(i, 40) + "/", "/teams/" + word(i, 12) + "/"}[i%4]
	arn := fmt.Sprintf("arn:aws:iam::3%011d:role%s%s", (uint64(i)*2654435761)%1e11, path, word(i+7, 1+i%64))
	role, err := hop.ParseRoleARN(arn)
	if err != nil {
		t.Fatal(err)
	}
	return role
}

// walkTo runs a step that assumes the roles, and returns its log.
func walkTo(t *testing.T, l *lab.Lab, roles []hop.ARN) string {
	t.Helper()
	issuer, sts := httptest.NewServer(l.Issuer()), httptest.NewServer(l.STS())
	t.Cleanup(issuer.Close)
	t.Cleanup(sts.Close)
	job, err := l.Job("staging")
	if err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(t.TempDir(), "_temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	env := l.RequestEnv(issuer.URL, job)
	env["INPUT_AWS-REGION"], env["INPUT_HUB-ROLE-TO-ASSUME"], env["INPUT_STS-ENDPOINT"], env["RUNNER_TEMP"] = "us-east-1", hubRole, sts.URL, temp
	for i, role := range roles {
		env["INPUT_SPOKES"] += fmt.Sprintf("p%d = %s\n", i, role)
	}
	for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"} {
		env[name] = filepath.Join(temp, name)
		if err := os.WriteFile(env[name], nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	if status := Run(t.Context(), &log, func(name string) string { return env[name] }, Options{HostTemp: temp}); status != 0 {
		t.Fatalf("status %d:\n%s", status, log.String())
	}
	return log.String()
}

// resourcesOf returns the roles that a hub policy leaves to its session: those of the last statement's NotResource.
func resourcesOf(t *testing.T, text string) []string {
	t.Helper()
	var document struct {
		Statement []struct {
			Effect              string
			NotAction           []string
			NotResource, Action []string
		}
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	statements := document.Statement
	if len(statements) != 3 || statements[1].Effect != "Deny" || len(statements[1].NotAction) != 3 || statements[2].Effect != "Deny" || len(statements[2].Action) != 3 {
		t.Fatalf("not the policy of a hub session: %s", text)
	}
	for _, role := range statements[2].NotResource {
		if strings.ContainsAny(role, "*?$") {
			t.Errorf("%s could stand for other roles", role)
		}
	}
	return statements[2].NotResource
}
