//go:build tools

// These tests need no engine: they are of what uses the credentials, boto3, the Go SDK, the AWS CLI and
// Terraform, in jobs longer than a session. Where one of these is missing they fail:
//
//	go test -tags tools -count=1 ./internal/e2e/

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// Sessions are short, and what uses them runs longer than two of them.
const (
	sessionLife = 8 * time.Second
	longJob     = 20 * time.Second
)

// longScene is a job whose sessions are short, and the lab behind it.
type longScene struct {
	lab *lab.Lab
	job *runner.Job
}

func newLongScene(t *testing.T) longScene {
	t.Helper()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(world, lab.Options{SessionLifetime: sessionLife})
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	})
	claims, err := l.Job("staging")
	if err != nil {
		t.Fatal(err)
	}
	job, err := runner.NewJob(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(job.Env, l.RequestEnv(servers.IssuerURL, claims))
	job.Env["AWS_ENDPOINT_URL_STS"] = servers.STSURL
	autoRefresh(t, job, servers)
	t.Cleanup(func() {
		ended, err := job.Finish(context.WithoutCancel(t.Context()))
		if err != nil || len(ended) != 1 || ended[0].Status != 0 {
			t.Errorf("the job ended with %v, %v", ended, err)
		}
		if _, err := os.Stat(job.Env["AWS_CONFIG_FILE"]); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the end of the job left the profile's file: %v", err)
		}
	})
	return longScene{l, job}
}

// autoRefresh runs the action as a step of the job with auto-refresh, after which the job has a profile that renews
// itself.
func autoRefresh(t *testing.T, job *runner.Job, servers *lab.Servers) {
	t.Helper()
	action, err := runner.ReadAction("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	step, err := job.Start(action, map[string]string{
		"aws-region": "us-east-1", "hub-role-to-assume": "arn:aws:iam::123456789012:role/github-actions-hub",
		"role-to-assume": "arn:aws:iam::222222222222:role/deploy-staging", "auto-refresh": "true", "sts-endpoint": servers.STSURL,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, _, err := step.Run(t.Context(), built(t, "../..", "./cmd/hubspoke-chain"))
	if err != nil || status != 0 {
		t.Fatalf("the action ended with status %d, %v:\n%s", status, err, step.Log.Shown())
	}
	if _, err := step.End(); err != nil {
		t.Fatal(err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// built builds a program of the module in the directory.
func built(t *testing.T, module, pkg string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-C", module, "-o", file, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	return file
}

// run runs a script as a step of the job and returns its log.
func (s longScene) run(t *testing.T, script string) string {
	t.Helper()
	step, err := s.job.StartScript(script)
	if err != nil {
		t.Fatal(err)
	}
	status, _, err := step.RunScript(t.Context(), []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		"TF_CLI_CONFIG_FILE=/dev/null", "CHECKPOINT_DISABLE=1",
	})
	if err != nil || status != 0 {
		t.Fatalf("%s ended with status %d, %v:\n%s", script, status, err, step.Log.Shown())
	}
	if _, err := step.End(); err != nil {
		t.Fatal(err)
	}
	return step.Log.Shown()
}

// python is the interpreter that moto's server runs on, which has boto3 too.
func python(t *testing.T) string {
	t.Helper()
	server, err := exec.LookPath("moto_server")
	if err != nil {
		t.Fatalf("%v; install moto[server]", err)
	}
	return filepath.Join(filepath.Dir(server), "python3")
}

// TestConsumers has programs that call AWS all the time, for longer than two sessions last.
func TestConsumers(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]func(*testing.T) string{
		"boto3":   func(t *testing.T) string { return python(t) + " " + absolute(t, "testdata/consumers/boto.py") },
		"Go SDK":  func(t *testing.T) string { return built(t, "testdata/goconsumer", ".") },
		"AWS CLI": func(t *testing.T) string { return absolute(t, "testdata/consumers/cli.sh") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLongScene(t)
			out := s.run(t, fmt.Sprintf("%s %g", command(t), longJob.Seconds()))
			var calls, failures int
			if _, err := fmt.Sscanf(out, "%d calls, %d failures\n", &calls, &failures); err != nil || failures > 0 {
				t.Fatalf("it printed %q", out)
			}
			keys := map[string]bool{}
			answered := 0
			for _, e := range s.lab.Events() {
				if e.EventName == "GetCallerIdentity" && e.ErrorCode == "" {
					answered++
					keys[e.UserIdentity.AccessKeyID] = true
				}
			}
			t.Logf("%d calls with %d sessions", calls, len(keys))
			if want := int(longJob/sessionLife) + 1; answered != calls || len(keys) < want {
				t.Errorf("of %d calls AWS answered %d, with %d sessions; want all, with %d or more", calls, answered, len(keys), want)
			}
		})
	}
}

// TestTerraformState has a terraform process that reads its state from S3, works for longer than two sessions, and
// writes it back.
func TestTerraformState(t *testing.T) {
	t.Parallel()
	s := newLongScene(t)
	s3 := startS3(t, s.lab)
	s.job.Env["AWS_ENDPOINT_URL_S3"] = s3.url
	if err := os.CopyFS(s.job.Workspace, os.DirFS("testdata/consumers/terraform")); err != nil {
		t.Fatal(err)
	}
	apply := "terraform apply -auto-approve -input=false -no-color -var=seconds="
	s.run(t, "terraform init -input=false -no-color\n"+apply+"0")
	s3.forget()
	s.run(t, fmt.Sprintf("%s%g", apply, longJob.Seconds()))

	const state, lock = "/state/terraform.tfstate", "/state/terraform.tfstate.tflock"
	read, write := s3.first(t, "GET", state), s3.first(t, "PUT", state)
	locked, unlocked := s3.first(t, "PUT", lock), s3.first(t, "DELETE", lock)
	if read.key == write.key || write.at.Sub(read.at) < 2*sessionLife {
		t.Errorf("the state was read with %s and written with %s, %s later", read.key, write.key, write.at.Sub(read.at))
	}
	if locked.key != read.key || unlocked.key == locked.key {
		t.Errorf("the state was locked with %s, read with %s and unlocked with %s", locked.key, read.key, unlocked.key)
	}
	for _, r := range s3.seen {
		if r.status >= 300 {
			t.Errorf("%s %s was answered with status %d", r.method, r.path, r.status)
		}
	}
	if got, want := s.run(t, "terraform output -raw seconds"), fmt.Sprintf("%g\n", longJob.Seconds()); got != want {
		t.Errorf("the state in S3 has the output %q, want %q", got, want)
	}
}
