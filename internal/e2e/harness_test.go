//go:build docker

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/org/hubspoke-chain/internal/lab"
)

// harnessed are the example workflows whose action leaves files for later steps. act has no temp directory of the
// runner for these, so they are run here and not in TestWorkflows.
var harnessed = []string{"auto-refresh.yml", "spokes.yml"}

// workflow is what the harness reads of a workflow.
type workflow struct {
	Jobs map[string]struct {
		Environment string
		Steps       []struct {
			Uses string
			With map[string]string
			Run  string
			Env  map[string]string
		}
	}
}

// example runs the one job of an example workflow, with the lab's job for its environment and these scripts in the
// workspace, and returns the scene and the output of the job's scripts. Other actions are not supported.
func example(t *testing.T, file string, options lab.Options, scripts map[string]string) (*scene, string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, "examples", "workflows", file))
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	if len(w.Jobs) != 1 {
		t.Fatalf("%s has %d jobs, want one", file, len(w.Jobs))
	}
	var s *scene
	var log strings.Builder
	for _, job := range w.Jobs {
		s = newScene(t, job.Environment, options)
		s.write(t, scripts)
		for _, step := range job.Steps {
			switch {
			case strings.HasPrefix(step.Uses, "org/hubspoke-chain@"):
				s.end(t, s.use(t, step.With), container(t), 0)
				s.checkFolders(t)
			case step.Run != "":
				log.WriteString(s.runWith(t, step.Env, step.Run))
			}
		}
	}
	return s, log.String()
}

// write writes scripts into the workspace.
func (s *scene) write(t *testing.T, scripts map[string]string) {
	t.Helper()
	for name, text := range scripts {
		path := filepath.Join(s.runner.Workspace, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh -e\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// runWith runs a run: step with additional variables.
func (s *scene) runWith(t *testing.T, env map[string]string, text string) string {
	t.Helper()
	job := s.runner.Env
	s.runner.Env = maps.Clone(job)
	maps.Copy(s.runner.Env, env)
	step := s.script(t, s.withTools(text))
	s.runner.Env = job
	return s.endScript(t, step, 0)
}

const whoAmI = "aws sts get-caller-identity --query Arn --output text\n"

// TestAutoRefreshExample runs a job that calls AWS all along, for more than three sessions.
func TestAutoRefreshExample(t *testing.T) {
	t.Parallel()
	calls := func(d time.Duration) string {
		return fmt.Sprintf("end=$(($(date +%%s) + %d))\nwhile [ \"$(date +%%s)\" -lt \"$end\" ]; do\n  %sdone\n", int(d.Seconds()), whoAmI)
	}
	began := time.Now()
	s, log := example(t, "auto-refresh.yml", short(), map[string]string{
		"scripts/migrate.sh": calls(3 * shortLife), "scripts/verify.sh": calls(shortLife / 2),
	})
	took := time.Since(began)
	if got, want := strings.Count(log, session(productionRole)), s.usage(t).callers; got != want {
		t.Errorf("%d of %d calls were made by %s:\n%s", got, want, session(productionRole), log)
	}
	s.finish(t)
	s.checkHops(t, took)
}

// TestSpokesExample runs the same script in two accounts, for one hub session.
func TestSpokesExample(t *testing.T) {
	t.Parallel()
	s, log := example(t, "spokes.yml", lab.Options{}, map[string]string{"scripts/deploy.sh": whoAmI + "aws configure get region\n"})
	want := session(stagingRole) + "\nus-east-1\n" + session(productionRole) + "\neu-central-1\n"
	if log != want {
		t.Errorf("the job printed %q, want %q", log, want)
	}
	s.finish(t)
	if u := s.usage(t); u.hubs != 1 || u.spokes != 2 || s.lab.Counts()["issuer"].Requests != 1 {
		t.Errorf("%d tokens, %d hub sessions and %d of spokes, want 1, 1 and 2", s.lab.Counts()["issuer"].Requests, u.hubs, u.spokes)
	}
}

// session is the ARN of the role's session in the lab's jobs.
func session(role string) string {
	return strings.NewReplacer(":iam:", ":sts:", ":role/", ":assumed-role/").Replace(role) + "/" + sessionName
}
