//go:build docker

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/lab"
)

// used is the step of a user's workflow that uses the action, from which act would fetch it.
const used = "- uses: org/hubspoke-chain@v1\n        with:\n"

// hop is a hop that the lab has seen.
type hop struct {
	role   string // the spoke's ARN
	tagged bool
}

// TestWorkflows runs the example workflows under act, all but those of the harness and but for three things: the action is the checkout at ./ and
// asks the lab's STS, and the step that installs Terraform, which act cannot fetch, is left out for the
// Terraform of this machine. What the workflows call is made here, and asks the AWS CLI who it is.
//
// act has one job's token for the whole workflow, that of the lab's job for staging. The lab's spokes trust
// the hub role and not the environment behind it.
//
// It is not parallel: act gives every action at ./ the same image name.
func TestWorkflows(t *testing.T) {
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Fatal("terraform is not on the PATH; install it from https://developer.hashicorp.com/terraform/install")
	}
	tests := map[string]struct {
		event string
		hops  []hop
	}{
		"deploy.yml":       {"push", []hop{{stagingRole, true}, {productionRole, true}}},
		"matrix.yml":       {"push", []hop{{stagingRole, true}, {productionRole, true}}},
		"rechain.yml":      {"workflow_dispatch", []hop{{productionRole, true}, {productionRole, true}, {productionRole, true}}},
		"skip-tagging.yml": {"workflow_dispatch", []hop{{untaggedRole, false}}},
	}
	files, err := filepath.Glob(filepath.Join(checkout, "examples", "workflows", "*.yml"))
	if err != nil || len(files) != len(tests)+len(harnessed) {
		t.Fatalf("the examples are %q, of which %d are tested here and %q by the harness: %v", files, len(tests), harnessed, err)
	}
	t.Cleanup(func() { must(t, "docker", "image", "rm", "act-dockeraction:latest") }) // act's name for an action at ./
	for file, c := range tests {
		t.Run(file, func(t *testing.T) {
			l, servers := startLab(t, lab.Options{})
			repository := copyCheckout(t)
			write := func(name, text string) {
				path := filepath.Join(repository, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			const who = "aws sts get-caller-identity"
			for _, script := range []string{"migrate", "verify", "clean-up", "deploy"} {
				write("scripts/"+script+".sh", "#!/bin/sh\n"+who+"\n")
			}
			write("infrastructure/main.tf", fmt.Sprintf("resource \"terraform_data\" \"deployed\" {\n  provisioner \"local-exec\" {\n    command = %q\n  }\n}\n", who))
			write("workflow.yml", inLab(t, file))

			log := act(t, l, servers, repository, c.event)
			if got := hops(t, l); !slices.Equal(got, c.hops) {
				t.Errorf("the lab saw the hops %v, want %v", got, c.hops)
			}
			for _, h := range c.hops {
				session := strings.TrimSuffix(session(h.role), sessionName) // act has a run id of its own
				if got, want := strings.Count(log, `"Arn": "`+session), count(c.hops, h); got != want {
					t.Errorf("the AWS CLI was %s... %d times, want %d", session, got, want)
				}
			}
			if t.Failed() {
				t.Logf("act's log:\n%s", log)
			}
		})
	}
}

func count(hops []hop, one hop) (n int) {
	for _, h := range hops {
		if h == one {
			n++
		}
	}
	return n
}

// inLab gives an example workflow as it runs here.
func inLab(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(checkout, "examples", "workflows", file))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), used) {
		t.Fatalf("%s has no step\n%s", file, used)
	}
	text := strings.ReplaceAll(string(content), used, "- uses: ./\n        with:\n          sts-endpoint: ${{ env.AWS_ENDPOINT_URL_STS }}\n")
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "uses: hashicorp/setup-terraform@") }), "\n")
}

// act runs workflow.yml of the repository with its host as the runner and gives the log, in which no secret of
// the lab may be.
func act(t *testing.T, l *lab.Lab, servers *lab.Servers, repository, event string) string {
	t.Helper()
	home := t.TempDir()
	cache := filepath.Join(home, "act") // act writes the command files below it, and tells the container their host paths
	job := requestEnv(t, l, servers, "staging")
	// As in TestAct: nothing of this machine's user, and the request token not among act's arguments.
	environ := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CACHE_HOME=" + home, "AWS_ENDPOINT_URL_STS=" + servers.STSURL,
		"TF_CLI_CONFIG_FILE=/dev/null", "CHECKPOINT_DISABLE=1",
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + job["ACTIONS_ID_TOKEN_REQUEST_URL"],
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + job["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
	}
	if engine, set := os.LookupEnv("DOCKER_HOST"); set {
		environ = append(environ, "DOCKER_HOST="+engine)
	}
	command := exec.CommandContext(t.Context(), "act", event, "-W", "workflow.yml", "-P", "ubuntu-latest=-self-hosted",
		"--container-options", "--network host --label "+run+" -v "+cache+":"+cache,
		"--container-daemon-socket", "-", "--no-cache-server")
	command.Dir, command.Env = repository, environ
	printed, err := command.CombinedOutput()
	log := string(printed)
	if err != nil {
		t.Errorf("act: %v", err)
	}
	for _, secret := range l.Secrets() {
		if strings.Contains(log, secret) {
			t.Error("act's log shows a secret")
			log = strings.ReplaceAll(log, secret, "(a secret)")
		}
	}
	return log
}

// hops gives the hops that the lab has let through, in their order: each with a hub session of its own, and
// as the hub's account has recorded it.
func hops(t *testing.T, l *lab.Lab) (all []hop) {
	t.Helper()
	hubs := 0
	for _, e := range l.Events() {
		switch {
		case e.ErrorCode != "":
			t.Errorf("%s was refused: %s: %s", e.EventName, e.ErrorCode, e.ErrorMessage)
		case e.EventName == "AssumeRoleWithWebIdentity":
			hubs++
		case e.EventName == "AssumeRole" && e.RecipientAccountID == strings.Split(hubRole, ":")[4]:
			role, _ := e.RequestParameters["roleArn"].(string)
			_, tagged := e.RequestParameters["tags"]
			all = append(all, hop{role, tagged})
		}
	}
	if hubs != len(all) {
		t.Errorf("the lab saw %d hub sessions for %d hops", hubs, len(all))
	}
	return all
}
