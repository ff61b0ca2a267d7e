package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/org/hubspoke-chain/internal/runner"
)

// What comes behind the step in its job.

func (s *scene) lifetime(ts *testscript.TestScript, args []string) {
	lifetime, err := time.ParseDuration(args[0])
	ts.Check(err)
	s.options.SessionLifetime = lifetime
	s.changeWorld(ts, []string{"world.json"})
}

func (s *scene) run(ts *testscript.TestScript, neg bool, file string) {
	step, err := s.runner.StartScript(ts.ReadFile(file))
	ts.Check(err)
	status, _, err := step.RunScript(context.Background(), []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir})
	ts.Check(err)
	_, err = step.End()
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(s.dir, "log"), []byte(plain(step.Log.Shown())), 0o600))
	if neg != (status != 0) {
		ts.Fatalf("the script ended with status %d:\n%s", status, step.Log.Shown())
	}
}

func (s *scene) finish(ts *testscript.TestScript, _ []string) {
	ended, err := s.runner.Finish(context.Background())
	ts.Check(err)
	var log strings.Builder
	for _, post := range ended {
		if post.Status != 0 || post.Stderr != "" {
			ts.Fatalf("a post step ended with status %d:\n%s", post.Status, post.Log.Shown())
		}
		log.WriteString(post.Log.Shown())
	}
	ts.Check(os.WriteFile(filepath.Join(s.dir, "log"), []byte(plain(log.String())), 0o600))
	for _, dir := range []string{s.runner.Temp, filepath.Join(s.runner.Temp, "_github_home")} {
		if left := folders(ts, dir); len(left) > 0 {
			ts.Fatalf("the job has ended and left %q", left)
		}
	}
}

// folders are those that the action made for later steps.
func folders(ts *testscript.TestScript, dir string) []string {
	found, err := filepath.Glob(filepath.Join(dir, "hubspoke-chain-*"))
	ts.Check(err)
	return found
}

// closed checks that only the runner's user can access the files in the folders, and that every credential in them is
// masked. A failed step must leave no files.
func (s *scene) closed(ts *testscript.TestScript, step *runner.Step, status int) {
	left := folders(ts, s.runner.Temp)
	made := slices.DeleteFunc(slices.Clone(left), func(folder string) bool { return slices.Contains(s.folders, folder) })
	s.folders = left
	if status != 0 && len(made) > 0 {
		ts.Fatalf("the step failed and left %q", made)
	}
	raw := strings.Join(step.Log.Raw(), "\n") + "\n"
	for _, folder := range made {
		ts.Check(filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if info.Mode().Perm()&0o077 != 0 {
				ts.Fatalf("%s has mode %v", path, info.Mode())
			}
			if entry.IsDir() || info.Size() > 1<<20 {
				return nil
			}
			for _, secret := range s.lab.Secrets() {
				if text := ts.ReadFile(path); strings.Contains(text, secret) && !s.runner.Masks.Has(secret) && !strings.Contains(raw, "::add-mask::"+secret+"\n") {
					ts.Fatalf("%s contains a secret that was not masked", path)
				}
			}
			return nil
		}))
	}
}
