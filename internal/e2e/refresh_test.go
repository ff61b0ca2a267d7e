//go:build docker

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// TestAutoRefresh has steps on the host, of a runner that is not root, use the AWS CLI for longer than three sessions.
func TestAutoRefresh(t *testing.T) {
	t.Parallel()
	s := newScene(t, "staging", short())
	stop := s.watch(t)
	s.end(t, s.start(t, map[string]string{"auto-refresh": "true"}), container(t), 0)
	began := time.Now()
	s.checkFolders(t)
	seconds := int((3*shortLife + 3*time.Second).Seconds())
	for range 3 {
		log := s.runScript(t, s.withTools(fmt.Sprintf(`end=$(($(date +%%s) + %d))
while [ "$(date +%%s)" -lt "$end" ]; do
  aws sts get-caller-identity --query Arn --output text
done`, seconds/3)))
		if rest := strings.ReplaceAll(log, stagingSession+"\n", ""); log == "" || rest != "" {
			t.Errorf("the AWS CLI printed %q", log)
		}
		s.checkFolders(t)
	}
	took := time.Since(began)
	logs := s.finish(t)
	stop()
	if len(logs) != 1 {
		t.Errorf("%d post steps ran: %q", len(logs), logs)
	}
	s.checkHops(t, took)
}

// answer is what a credential process prints.
type answer struct {
	Version                                    int
	AccessKeyID, SecretAccessKey, SessionToken string
	Expiration                                 time.Time
}

// ask is a script that runs the profile's process and saves its output in the workspace, which every kind of step
// has. The output is not masked after the first session.
const ask = `sh -c "$(sed -n 's/credential_process = //p' "$AWS_CONFIG_FILE")" >"$GITHUB_WORKSPACE/answer"`

// answer returns the output that ask saved.
func (s *scene) answer(t *testing.T) answer {
	t.Helper()
	file := filepath.Join(s.runner.Workspace, "answer")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("the process printed %q: %v", text, err)
	}
	secrets := s.lab.Secrets()
	for _, secret := range []string{a.AccessKeyID, a.SecretAccessKey, a.SessionToken} {
		if !slices.Contains(secrets, secret) {
			t.Errorf("the process printed a credential that AWS did not give")
		}
	}
	if a.Version != 1 || !time.Now().Before(a.Expiration) {
		t.Errorf("the process printed version %d, valid until %s", a.Version, a.Expiration)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	return a
}

// askInScript runs ask in a run: step.
func (s *scene) askInScript(t *testing.T) answer {
	t.Helper()
	s.runScript(t, s.asRunner(ask))
	return s.answer(t)
}

// askInAction runs ask in another container action, whose image has a shell.
func (s *scene) askInAction(t *testing.T) answer {
	t.Helper()
	var action runner.Action
	action.Runs.Entrypoint, action.Runs.Args = "/bin/sh", []string{"-ec", ask}
	step, err := s.runner.Start(action, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	box := container(t)
	box.Image = goImage
	s.end(t, step, box, 0)
	return s.answer(t)
}

// TestLaterSteps runs the process of one profile in each kind of later step. The steps see the folder under different
// paths, and all get the session of the action's hop.
func TestLaterSteps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ inContainer, oldTemp bool }{
		"host":                     {},
		"container":                {inContainer: true},
		"old runner":               {oldTemp: true},
		"old runner and container": {inContainer: true, oldTemp: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "staging", lab.Options{})
			if c.inContainer {
				s.startContainer(t)
			}
			box := container(t)
			box.OldTemp = c.oldTemp
			step := s.start(t, map[string]string{"auto-refresh": "true"})
			s.end(t, step, box, 0)
			s.checkFolders(t)
			const notice = "this runner does not mount its temp directory into containers (before v2.329)"
			if got := strings.Contains(step.Log.Shown(), "Notice: "+notice); got != c.oldTemp {
				t.Errorf("the log has the notice: %t, want %t:\n%s", got, c.oldTemp, step.Log.Shown())
			}
			answers := []answer{s.askInScript(t)}
			if !c.oldTemp { // where the notice says that it does not work
				answers = append(answers, s.askInAction(t), s.askInScript(t))
			}
			for _, a := range answers {
				if a != answers[0] {
					t.Errorf("the process returned two different sessions")
				}
			}
			if u := s.usage(t); u.hubs != 1 || u.spokes != 1 {
				t.Errorf("AWS gave %d hub sessions and %d of the spoke, want one each", u.hubs, u.spokes)
			}
			if logs := s.finish(t); len(logs) != 1 {
				t.Errorf("%d post steps ran: %q", len(logs), logs)
			}
		})
	}
}

// TestRenewers renews one session alternately as root in a container and as the runner's user. Each must be able to
// replace the other's files.
func TestRenewers(t *testing.T) {
	t.Parallel()
	s := newScene(t, "staging", short())
	s.end(t, s.start(t, map[string]string{"auto-refresh": "true"}), container(t), 0)
	keys := map[string]bool{}
	turns := []func(*testing.T) answer{s.askInScript, s.askInAction, s.askInScript, s.askInAction}
	for _, ask := range turns {
		time.Sleep(shortLife * 3 / 4) // less than a third is left
		keys[ask(t).AccessKeyID] = true
		s.checkFolders(t)
	}
	if len(keys) != len(turns) {
		t.Errorf("%d turns had %d sessions", len(turns), len(keys))
	}
	if u := s.usage(t); u.hubs != u.spokes || u.spokes != 1+len(turns) {
		t.Errorf("AWS gave %d hub sessions and %d of the spoke, want %d each", u.hubs, u.spokes, 1+len(turns))
	}
	s.finish(t)
}
