package action

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/hop"
)

// TestUnlikeSpokes walks to roles whose names have little in common. AWS packs the policy that narrows the hub's
// session, and has less room for what packs badly; the lab's measure of it is its own.
func TestUnlikeSpokes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 12, 45, 200} {
		name := func(i int) string { return fmt.Sprintf("%x-deploy-%x", uint32(i+1)*2654435761, uint32(i+7)*2246822519) }
		l := manyAccounts(t, n, name)
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
		for i := range n {
			env["INPUT_SPOKES"] += fmt.Sprintf("p%d = arn:aws:iam::3%011d:role/%s\n", i, i, name(i))
		}
		for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"} {
			env[name] = filepath.Join(temp, name)
			if err := os.WriteFile(env[name], nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var log strings.Builder
		if status := Run(t.Context(), &log, func(name string) string { return env[name] }, Options{HostTemp: temp}); status != 0 {
			t.Fatalf("%d spokes: status %d:\n%s", n, status, log.String())
		}
		good := fmt.Sprintf("these %d spokes only", n)
		if n > 12 {
			good = fmt.Sprintf("patterns that hold these %d spokes", n)
		}
		if !strings.Contains(log.String(), good) {
			t.Errorf("%d spokes: the log does not say %q:\n%s", n, good, log.String())
		}
	}
}

// TestNarrowed has policies that name the spokes, and those that AWS's limits widen: of one spoke too, where its name is
// long and AWS has less room for the policy than it says.
func TestNarrowed(t *testing.T) {
	t.Parallel()
	role := func(account, path string) spoke {
		arn, err := hop.ParseRoleARN("arn:aws:iam::" + account + ":role/" + path)
		if err != nil {
			t.Fatal(err)
		}
		return spoke{role: arn}
	}
	long := strings.Repeat("teams/", 60)
	for _, c := range []struct {
		spokes []spoke
		room   int
		want   string
	}{
		{[]spoke{role("111111111111", "deploy")}, 512, "this spoke only"},
		{[]spoke{role("111111111111", "a+b@c,d=e/deploy")}, 512, "this spoke only"},
		{[]spoke{role("111111111111", long+"deploy")}, hop.MaxPolicy, "this spoke only"},
		{[]spoke{role("111111111111", long+"deploy")}, 512, "a pattern that holds this spoke"},
		{[]spoke{role("111111111111", "deploy"), role("222222222222", "deploy")}, hop.MaxPolicy, "these 2 spokes only"},
		{[]spoke{role("111111111111", long+"a"), role("222222222222", long+"b")}, 512, "patterns that hold these 2 spokes"},
	} {
		s := step{in: inputs{spokes: c.spokes}}
		policy := hop.HubPolicy(s.hopSpokes(), c.room)
		if got := s.narrowed(policy); got != c.want {
			t.Errorf("%s: %q, want %q", policy, got, c.want)
		}
	}
}
