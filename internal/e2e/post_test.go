//go:build docker

package e2e

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/lab"
)

// TestPost ends jobs in every way and looks at what the post stage does.
func TestPost(t *testing.T) {
	t.Parallel()
	profile := map[string]string{"aws-profile": "deploy"}
	for name, c := range map[string]struct {
		job   string              // of the lab
		uses  []map[string]string // the inputs of the steps that use the action
		fails bool                // these steps
		later func(*testing.T, *scene)
		posts int
	}{
		"success":           {"staging", []map[string]string{profile}, false, succeed, 1},
		"later step failed": {"staging", []map[string]string{profile}, false, fail, 1},
		"cancelled":         {"staging", []map[string]string{profile}, false, cancel, 1},
		"two uses": {
			"staging", []map[string]string{profile, {"aws-profile": "other", "auto-refresh": "true"}}, false, succeed, 2,
		},
		// Nothing to remove: no container is started.
		"no profile":      {"staging", []map[string]string{nil}, false, succeed, 0},
		"the step failed": {"feature", []map[string]string{{"auto-refresh": "true"}}, true, succeed, 0},
		"it failed twice": {"feature", []map[string]string{profile, {"auto-refresh": "true"}}, true, fail, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.job, lab.Options{})
			status := 0
			if c.fails {
				status = 1
			}
			var want []string // the last step's post comes first
			for _, with := range c.uses {
				before := s.folders(t)
				s.end(t, s.start(t, with), container(t), status)
				made := slices.DeleteFunc(s.folders(t), func(folder string) bool { return slices.Contains(before, folder) })
				if len(made) > 1 || c.fails && len(made) > 0 {
					t.Fatalf("the step made %q", made)
				}
				for _, folder := range made {
					want = append([]string{"removed the AWS profiles of this job: " + filepath.Base(folder) + "\n"}, want...)
				}
			}
			c.later(t, s)
			if logs := s.finish(t); !slices.Equal(logs, want) || len(logs) != c.posts {
				t.Errorf("the post steps printed %q, want %q", logs, want)
			}
		})
	}
}

func succeed(t *testing.T, s *scene) { s.runScript(t, "true") }

func fail(t *testing.T, s *scene) { s.endScript(t, s.script(t, "exit 3"), 3) }

// cancel cancels the job while a later step runs.
func cancel(t *testing.T, s *scene) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	if _, _, err := s.script(t, "exec sleep 60").RunScript(ctx, s.environ()); err != nil || time.Since(began) > 30*time.Second {
		t.Errorf("the script ended %s after its start: %v", time.Since(began), err)
	}
}
