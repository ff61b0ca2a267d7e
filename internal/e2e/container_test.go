//go:build docker

package e2e

import (
	"context"
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

func TestHop(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		job     string
		with    map[string]string
		session string // the spoke's
		tagged  bool   // session tags arrive at AWS
		oldTemp bool
	}{
		"tagged":         {job: "staging", session: stagingSession, tagged: true},
		"legacy subject": {job: "legacy", session: stagingSession, tagged: true},
		"skip tagging": {
			job: "staging", session: untaggedSession,
			with: map[string]string{"role-to-assume": untaggedRole, "role-skip-session-tagging": "true"},
		},
		"hyphenated inputs": {
			job: "staging", session: strings.Replace(stagingSession, sessionName, "a-b.c", 1), tagged: true,
			with: map[string]string{"role-session-name": "a-b.c"},
		},
		"old runner": {job: "staging", session: stagingSession, tagged: true, oldTemp: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.job, lab.Options{})
			step := s.start(t, c.with)
			box := container(t)
			box.OldTemp = c.oldTemp
			result := s.end(t, step, box, 0)

			want := []string{
				"AWS_ACCESS_KEY_ID", "AWS_CREDENTIAL_EXPIRATION", "AWS_DEFAULT_REGION", "AWS_REGION",
				"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
			}
			if got := names(result.Env); !slices.Equal(got, want) {
				t.Errorf("exported %q, want %q", got, want)
			}
			if got := value(result.Output, "authenticated-arn"); got != c.session {
				t.Errorf("the output authenticated-arn is %q, want %q", got, c.session)
			}
			account := strings.Split(c.session, ":")[4]
			if got := value(result.Output, "aws-account-id"); got != account {
				t.Errorf("the output aws-account-id is %q, want %q", got, account)
			}
			if !strings.Contains(result.Summary, account) {
				t.Errorf("the job summary does not name account %s:\n%s", account, result.Summary)
			}
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
				got := value(result.Env, name)
				if !slices.Contains(s.lab.Secrets(), got) || !s.runner.Masks.Has(got) {
					t.Errorf("%s was not issued by the lab, or is not masked", name)
				}
			}
			s.checkHub(t, result)

			events := s.lab.Events()
			request := fmt.Sprint(events[len(events)-1].RequestParameters)
			if tagged := strings.Contains(request, "octo-org/octo-repo"); tagged != c.tagged {
				t.Errorf("session tags sent: %t, want %t: %s", tagged, c.tagged, request)
			}
			if got := s.callerIdentity(t); got != c.session {
				t.Errorf("the AWS CLI is %q, want %q", got, c.session)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		job   string
		with  map[string]string
		error string // in the annotation
	}{
		"by the hub":    {"feature", nil, "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		"by the spoke":  {"staging", map[string]string{"role-to-assume": untaggedRole}, "sts:TagSession on resource: "},
		"by the inputs": {"staging", map[string]string{"role-duration-seconds": "12"}, "role-duration-seconds: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.job, lab.Options{})
			step := s.start(t, c.with)
			result := s.end(t, step, container(t), 1)
			checkFailure(t, step, result, c.error)
		})
	}
}

// checkFailure checks that the step failed with one error and exported nothing.
func checkFailure(t *testing.T, step *runner.Step, result runner.Result, want string) {
	t.Helper()
	annotations := step.Log.Annotations()
	if len(annotations) != 1 || annotations[0].Level != "error" || !strings.Contains(annotations[0].Message, want) {
		t.Errorf("the annotations are %q, want one error with %q", annotations, want)
	}
	if len(result.Env)+len(result.Output)+len(result.State)+len(result.Path) > 0 {
		t.Errorf("the failed step exported %q, set %q", names(result.Env), names(result.Output))
	}
}

// TestSpokes has two spokes in one step: one token, one hub session, and a request for each.
func TestSpokes(t *testing.T) {
	t.Parallel()
	s := newScene(t, "staging", lab.Options{})
	step := s.start(t, map[string]string{
		"role-to-assume": "", "spokes": "staging = " + stagingRole + "\nproduction = " + productionRole + " eu-central-1",
	})
	result := s.end(t, step, container(t), 0)
	s.checkFolders(t)
	want := []string{"AWS_CONFIG_FILE", "AWS_CREDENTIAL_EXPIRATION", "AWS_SDK_LOAD_CONFIG", "AWS_SHARED_CREDENTIALS_FILE", "HUBSPOKE_CHAIN_CLEAN_UP"}
	if got := names(result.Env); !slices.Equal(got, want) {
		t.Errorf("exported %q, want %q", got, want)
	}
	counts := s.lab.Counts()
	if got := counts["issuer"].Requests + counts["sts"].Requests; got != 4 {
		t.Errorf("%d requests for two spokes, want 4", got)
	}
	s.finish(t)
}

// TestCancel cancels the step at its most delicate moment, when it has the hub's credentials and waits for
// the spoke's, and looks at the container before that. Nothing is left then, and the post stage is not run.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]map[string]string{"variables": nil, "profile": {"auto-refresh": "true"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "staging", lab.Options{})
			s.lab.Fail(lab.Fault{Service: "sts", Action: "AssumeRole", Kind: "hang", Times: -1})
			step := s.start(t, with)
			box := container(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var (
				status int
				stderr string
				err    error
			)
			done := make(chan struct{})
			go func() {
				defer close(done)
				status, stderr, err = step.RunContainer(ctx, box)
			}()
			for s.lab.Counts()["sts"].Requests < 2 {
				select {
				case <-done:
					t.Fatalf("the step ended before it was cancelled: %v, %s\n%s", err, stderr, step.Log.Shown())
				case <-time.After(10 * time.Millisecond):
				}
			}
			s.inspect(t, box.Name)
			if made := s.folders(t); len(made) != len(with) {
				t.Errorf("the step has made %q by then", made)
			}

			cancelled := time.Now()
			cancel()
			<-done
			// The runner follows its SIGINT up with SIGTERM after 7.5 s and kills after 10 (ProcessInvoker.cs); on the
			// first signal already the step has to end.
			if took := time.Since(cancelled); took > 5*time.Second {
				t.Errorf("the step ended %s after it was cancelled", took)
			}
			if err != nil {
				t.Fatal(err)
			}
			checkFailure(t, step, s.check(t, step, status, stderr, 1), "interrupt")
			if left := must(t, "docker", "ps", "--all", "--quiet", "--filter", "name="+box.Name); left != "" {
				t.Errorf("the container %s is still there", left)
			}
			if logs := s.finish(t); len(logs) > 0 {
				t.Errorf("post steps ran: %q", logs)
			}
		})
	}
}

// inspect looks at the running container and at all the machine's processes.
func (s *scene) inspect(t *testing.T, name string) {
	t.Helper()
	var container struct {
		Path   string
		Args   []string
		Config struct{ Env []string }
		Mounts []struct{ Source, Destination string }
	}
	if err := json.Unmarshal([]byte(must(t, "docker", "inspect", "--format", "{{json .}}", name)), &container); err != nil {
		t.Fatal(err)
	}
	// The runner translates a host path to the container's in a variable and not in an argument, which is why
	// the action takes it from there.
	want := []string{"action", "--host-temp=" + s.runner.Temp}
	if container.Path != "/hubspoke-chain" || !slices.Equal(container.Args, want) {
		t.Errorf("the container runs %s %q, want %q", container.Path, container.Args, want)
	}
	for _, want := range []string{
		"INPUT_HOST-TEMP=/github/runner_temp", "INPUT_ROLE-TO-ASSUME=" + stagingRole,
		"HOME=/github/home", "GITHUB_ACTIONS=true",
	} {
		if !slices.Contains(container.Config.Env, want) {
			t.Errorf("the container's environment lacks %s", want)
		}
	}
	if len(container.Mounts) != 5 {
		t.Errorf("the container has the mounts %v, want 5", container.Mounts)
	}

	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatalf("no process in /proc: %v", err)
	}
	for _, line := range lines {
		text, err := os.ReadFile(line)
		if err != nil { // the process has ended
			continue
		}
		for _, secret := range s.lab.Secrets() {
			if strings.Contains(string(text), secret) {
				t.Errorf("a secret is in the arguments of a process: %s", strings.SplitN(string(text), "\x00", 2)[0])
			}
		}
	}
}
