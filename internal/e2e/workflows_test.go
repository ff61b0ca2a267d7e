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

// TestWorkflows runs the example workflows under act, except those of the harness. Four things differ from the files: the
// action is the checkout at ./ and calls the lab's STS, the machine's Terraform replaces the step that installs one, the reusable
// workflow is the file of the checkout, and the scripts are written here and print the AWS CLI's identity.
//
// act has one token for the whole workflow, that of the lab's job for staging. The lab's spokes trust the hub role and not
// the environment.
//
// It is not parallel: act uses the same image name for every action at ./.
func TestWorkflows(t *testing.T) {
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Fatal("terraform is not on the PATH; install it from https://developer.hashicorp.com/terraform/install")
	}
	tests := map[string]struct {
		event string
		args  []string // of act
		hops  []hop
	}{
		"call-reusable.yml": {"push", variables(stagingRole), []hop{{stagingRole, true}}},
		"deploy.yml":        {"push", nil, []hop{{stagingRole, true}, {productionRole, true}}},
		"dispatch.yml": {
			"workflow_dispatch", append(variables(productionRole), "--input", "environment=production"), []hop{{productionRole, true}},
		},
		"matrix.yml":       {"push", nil, []hop{{stagingRole, true}, {productionRole, true}}},
		"rechain.yml":      {"workflow_dispatch", nil, []hop{{productionRole, true}, {productionRole, true}, {productionRole, true}}},
		"skip-tagging.yml": {"workflow_dispatch", nil, []hop{{untaggedRole, false}}},
	}
	files, err := filepath.Glob(filepath.Join(checkout, "examples", "workflows", "*.yml"))
	if err != nil || len(files) != len(tests)+len(harnessed)+1 { // reusable.yml is called by another
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
			write(reusable, inLab(t, "reusable.yml"))

			log := act(t, l, servers, repository, c.event, c.args)
			if got := hops(t, l); !slices.Equal(got, c.hops) {
				t.Errorf("the lab saw the hops %v, want %v", got, c.hops)
			}
			for _, h := range c.hops {
				session := strings.TrimSuffix(session(h.role), sessionName) // act has its own run ID
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

// reusable is where the test puts the reusable workflow, which its caller names by repository and version.
const reusable = ".github/workflows/reusable.yml"

// variables are act's arguments for the variables of an environment.
func variables(role string) []string {
	return []string{"--var", "SPOKE_ROLE=" + role, "--var", "AWS_ACCOUNT_ID=" + strings.Split(role, ":")[4]}
}

func count(hops []hop, one hop) (n int) {
	for _, h := range hops {
		if h == one {
			n++
		}
	}
	return n
}

// inLab returns an example workflow as it runs here.
func inLab(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(checkout, "examples", "workflows", file))
	if err != nil {
		t.Fatal(err)
	}
	const called = "octo-org/deployments/" + reusable + "@v1"
	if !strings.Contains(string(content), used) && !strings.Contains(string(content), called) {
		t.Fatalf("%s has neither the step\n%s\nnor %s", file, used, called)
	}
	text := strings.ReplaceAll(string(content), used, "- uses: ./\n        with:\n          sts-endpoint: ${{ env.AWS_ENDPOINT_URL_STS }}\n")
	text = strings.ReplaceAll(text, called, "./"+reusable)
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "uses: hashicorp/setup-terraform@") }), "\n")
}

// act runs workflow.yml of the repository with its host as the runner and returns the log, which must not contain a secret of
// the lab.
func act(t *testing.T, l *lab.Lab, servers *lab.Servers, repository, event string, args []string) string {
	t.Helper()
	home := t.TempDir()
	cache := filepath.Join(home, "act") // act writes the command files below it, and passes their host paths to the container
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
	args = append([]string{
		event, "-W", "workflow.yml", "-P", "ubuntu-latest=-self-hosted",
		"--container-options", "--network host --label " + run + " -v " + cache + ":" + cache,
		"--container-daemon-socket", "-", "--no-cache-server",
	}, args...)
	command := exec.CommandContext(t.Context(), "act", args...)
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

// hops returns the hops that the lab allowed, in order. Each must have a separate hub session that is recorded in the
// hub account.
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
