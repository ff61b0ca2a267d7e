//go:build docker

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/lab"
)

// TestAct runs a workflow that uses the checkout as its action under act, with its host as the runner.
func TestAct(t *testing.T) {
	t.Parallel()
	l, servers := startLab(t, lab.Options{})
	repository := copyCheckout(t)
	home := t.TempDir()
	cache := filepath.Join(home, "act") // act writes the command files below it, and passes their host paths to the container

	job := requestEnv(t, l, servers, "staging")
	// An empty home and cache, so that no configuration of this machine's user takes part. With the host as the runner,
	// act hands its own environment to the steps; by --env, the request token would be in act's arguments for
	// all to see.
	environ := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CACHE_HOME=" + home, "LAB_STS_URL=" + servers.STSURL,
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + job["ACTIONS_ID_TOKEN_REQUEST_URL"],
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + job["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
	}
	if engine, set := os.LookupEnv("DOCKER_HOST"); set {
		environ = append(environ, "DOCKER_HOST="+engine)
	}
	act := exec.CommandContext(t.Context(), "act",
		"push", "-W", "internal/e2e/testdata/act.yml", "-P", "ubuntu-latest=-self-hosted",
		"--container-options", "--network host --label "+run+" -v "+cache+":"+cache,
		"--container-daemon-socket", "-", // no socket in the container
		"--no-cache-server",
	)
	act.Dir, act.Env = repository, environ
	t.Cleanup(func() { must(t, "docker", "image", "rm", "act-dockeraction:latest") }) // act's name for an action at ./
	printed, err := act.CombinedOutput()
	log := string(printed)
	if err != nil {
		t.Errorf("act: %v", err)
	}
	session := strings.TrimSuffix(stagingSession, sessionName) // act has its own run ID
	for _, want := range []string{"spoke    " + session, "caller is " + session, "<*** *** ***>"} {
		if !strings.Contains(log, want) {
			t.Errorf("act's log lacks %q", want)
		}
	}
	secrets := l.Secrets()
	if len(secrets) != 8 { // the request token, the ID token, three of the hub and three of the spoke
		t.Errorf("the lab gave out %d secrets, want 8", len(secrets))
	}
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("act's log shows a secret")
			log = strings.ReplaceAll(log, secret, "(a secret)")
		}
	}
	if t.Failed() {
		t.Logf("act's log:\n%s", log)
	}
}

// copyCheckout makes a git repository of the checkout's files as they are now, committed or not.
//
// act passes no build arguments, so where GO_IMAGE is another image than the Dockerfile's own, the copy's
// Dockerfile names that one as the default. To tag a stand-in as golang:... instead would leave
// the Dockerfile alone, but for a while, and for good if the test is killed, every build on the machine
// would take the stand-in for the real image.
func copyCheckout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := must(t, "git", "-C", checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for file := range strings.SplitSeq(strings.Trim(files, "\x00"), "\x00") {
		from, to := filepath.Join(checkout, file), filepath.Join(dir, file)
		info, err := os.Stat(from)
		if os.IsNotExist(err) { // deleted, and git does not know yet
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if file == "Dockerfile" {
			content = []byte(withGoImage(t, string(content)))
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"remote", "add", "origin", "https://github.com/octo-org/octo-repo.git"}, // act takes the repository's name from it
		{"add", "--all"},
		{
			"-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "-c", "commit.gpgsign=false",
			"commit", "--quiet", "--message=Everything",
		},
	} {
		must(t, "git", append([]string{"-C", dir}, args...)...)
	}
	return dir
}

// withGoImage replaces the default of GO_IMAGE, which is what --build-arg GO_IMAGE does.
func withGoImage(t *testing.T, dockerfile string) string {
	t.Helper()
	lines := strings.Split(dockerfile, "\n")
	isDefault := func(line string) bool { return strings.HasPrefix(line, "ARG GO_IMAGE=") }
	at := slices.IndexFunc(lines, isDefault)
	if at < 0 || slices.ContainsFunc(lines[at+1:], isDefault) {
		t.Fatal("the Dockerfile has not exactly one line ARG GO_IMAGE=")
	}
	lines[at] = "ARG GO_IMAGE=" + goImage
	return strings.Join(lines, "\n")
}
