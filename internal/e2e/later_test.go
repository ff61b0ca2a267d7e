//go:build docker

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// What comes behind the step in its job.

// startContainer starts a container for the job.
func (s *scene) startContainer(t *testing.T) {
	t.Helper()
	box := container(t)
	if err := s.runner.StartContainer(t.Context(), runner.JobContainer{
		Image: goImage, Name: box.Name + "_job", Label: run, Options: box.Options, Environ: box.Environ,
	}); err != nil {
		t.Fatal(err)
	}
	s.inContainer = true
}

// asRunner runs a script as the runner's user on the host, without supplementary groups. In the job's container it
// runs as root.
func (s *scene) asRunner(script string) string {
	return s.as("", script)
}

// withTools is asRunner for what uses the AWS CLI, which may be installed where the runner's user does not get to:
// the user may read everything. Writing and running is as before.
func (s *scene) withTools(script string) string {
	const readAll = "--inh-caps +dac_read_search --ambient-caps +dac_read_search "
	return s.as(readAll, "export AWS_MAX_ATTEMPTS=1 # a retry would hide a failure\n"+script)
}

func (s *scene) as(options, script string) string {
	if s.runner.Owner == 0 || s.inContainer {
		return script
	}
	user := fmt.Sprintf("setpriv --reuid %[1]d --regid %[1]d --clear-groups %[2]s", s.runner.Owner, options)
	return `[ "$(id -u)" -ne 0 ] || exec ` + user + ` sh -e "$0"` + "\n" + script
}

// script starts a run: step.
func (s *scene) script(t *testing.T, text string) *runner.Step {
	t.Helper()
	step, err := s.runner.StartScript(text)
	if err != nil {
		t.Fatal(err)
	}
	return step
}

// environ is what the runner has itself and host steps inherit.
func (s *scene) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(s.runner.Temp, "_github_home"), "AWS_EC2_METADATA_DISABLED=true"}
}

// runScript runs a run: step to its end and returns its log.
func (s *scene) runScript(t *testing.T, text string) string {
	t.Helper()
	return s.endScript(t, s.script(t, text), 0)
}

func (s *scene) endScript(t *testing.T, step *runner.Step, want int) string {
	t.Helper()
	status, _, err := step.RunScript(t.Context(), s.environ())
	if err != nil || status != want {
		t.Fatalf("the script ended with status %d, not %d, %v:\n%s", status, want, err, step.Log.Shown())
	}
	if _, err := step.End(); err != nil {
		t.Fatal(err)
	}
	return step.Log.Shown()
}

// folders are those that the action has made for later steps.
func (s *scene) folders(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, dir := range []string{"", "_github_home"} {
		found, err := filepath.Glob(filepath.Join(s.runner.Temp, dir, "hubspoke-chain-*"))
		if err != nil {
			t.Error(err)
		}
		all = append(all, found...)
	}
	return all
}

// checkFolders checks that only the runner's user can access the files in the folders.
func (s *scene) checkFolders(t *testing.T) {
	t.Helper()
	files := 0
	for _, folder := range s.folders(t) {
		if err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			want := fs.FileMode(0o600)
			switch {
			case entry.IsDir():
				want = fs.ModeDir | 0o700
			case entry.Name() == "hubspoke-chain":
				want = 0o700
			}
			owner, isStat := info.Sys().(*syscall.Stat_t)
			if !isStat || int(owner.Uid) != s.uid() || info.Mode() != want {
				t.Errorf("%s is %s of user %v, want %s of %d", path, info.Mode(), owner, want, s.uid())
			}
			files++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if files == 0 {
		t.Error("the step left no files")
	}
}

// uid is that of the runner's user.
func (s *scene) uid() int {
	if s.runner.Owner != 0 {
		return s.runner.Owner
	}
	return os.Getuid()
}

// finish ends the job and returns the output of each post step. It checks that no files of the action and no secrets
// remain in the runner's temp directory. Exported keys are an exception: they are in the runner's own command files.
func (s *scene) finish(t *testing.T) []string {
	t.Helper()
	ended, err := s.runner.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var logs []string
	for _, post := range ended {
		if post.Status != 0 || post.Stderr != "" || len(post.Log.Annotations()) > 0 {
			t.Errorf("a post step ended with status %d and wrote to stderr %q:\n%s", post.Status, post.Stderr, post.Log.Shown())
		}
		logs = append(logs, post.Log.Shown())
	}
	if left := s.folders(t); len(left) > 0 {
		t.Errorf("the job has ended and left %q", left)
	}
	if s.runner.Env["AWS_ACCESS_KEY_ID"] != "" {
		return logs
	}
	if err := filepath.WalkDir(s.runner.Temp, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, secret := range s.lab.Secrets() {
			if strings.Contains(string(text), secret) {
				t.Errorf("the job has ended, and %s holds a secret", path)
			}
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	return logs
}

// watch checks the job's temp directory every millisecond for files that users other than the owner can read, until the
// returned function is called.
func (s *scene) watch(t *testing.T) (stop func()) {
	t.Helper()
	ending, ended := make(chan struct{}), make(chan struct{})
	seen, looks := map[string]bool{}, 0
	go func() {
		defer close(ended)
		for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
			select {
			case <-ending:
				tick.Stop()
				return
			default:
			}
			looks++
			for _, folder := range s.folders(t) {
				// What goes while it is looked at is no error.
				_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, _ error) error {
					info, err := os.Lstat(path)
					if err != nil {
						return nil
					}
					seen[path] = true
					if info.Mode().Perm()&0o077 != 0 {
						t.Errorf("%s had mode %s", path, info.Mode())
					}
					return nil
				})
			}
		}
	}()
	return func() {
		t.Helper()
		close(ending)
		<-ended
		t.Logf("looked %d times and saw %d files", looks, len(seen))
		if len(seen) < 7 { // the folder, two files, the program, the chain, its cache and its lock
			t.Errorf("the watcher has seen only %d files", len(seen))
		}
	}
}

// usage is what the lab has seen.
type usage struct {
	hubs, spokes int      // sessions given out
	callers      int      // GetCallerIdentity that was answered
	keys         []string // with which these were signed, each once
}

// usage returns the calls that the lab recorded. It fails if the lab denied one.
func (s *scene) usage(t *testing.T) usage {
	t.Helper()
	var u usage
	for _, e := range s.lab.Events() {
		switch {
		case e.ErrorCode != "":
			t.Errorf("%s was refused: %s: %s", e.EventName, e.ErrorCode, e.ErrorMessage)
		case e.EventName == "AssumeRoleWithWebIdentity":
			u.hubs++
		case e.EventName == "AssumeRole" && e.RecipientAccountID == strings.Split(hubRole, ":")[4]:
			u.spokes++ // the spoke's account has a record of it as well
		case e.EventName == "GetCallerIdentity":
			u.callers++
			if !slices.Contains(u.keys, e.UserIdentity.AccessKeyID) {
				u.keys = append(u.keys, e.UserIdentity.AccessKeyID)
			}
		}
	}
	// A call with credentials that have expired is in no account's record.
	if got, want := s.lab.Counts()["sts"].Requests, u.hubs+u.spokes+u.callers; got != want {
		t.Errorf("STS received %d requests, want %d", got, want)
	}
	return u
}

// checkHops checks that each session was walked for once, in a job of this long.
func (s *scene) checkHops(t *testing.T, took time.Duration) {
	t.Helper()
	u := s.usage(t)
	t.Logf("%d calls with %d of %d sessions in %s", u.callers, len(u.keys), u.spokes, took)
	if u.hubs != u.spokes || len(u.keys) > u.spokes {
		t.Errorf("%d hub sessions for %d of the spoke, of which %d were used", u.hubs, u.spokes, len(u.keys))
	}
	// A session is good for whole seconds and is renewed when a third of it is left.
	if most := int(took/((shortLife-time.Second)*2/3)) + 1; u.spokes > most {
		t.Errorf("%d sessions in %s, want %d at most", u.spokes, took, most)
	}
	if took < 3*shortLife || len(u.keys) < 4 {
		t.Errorf("%s and %d sessions in use, want three lifetimes or more, and so four sessions", took, len(u.keys))
	}
}

// shortLife is how long sessions last where a test is to see them end.
const shortLife = 8 * time.Second

// short are the lab's options for that.
func short() lab.Options { return lab.Options{SessionLifetime: shortLife} }
