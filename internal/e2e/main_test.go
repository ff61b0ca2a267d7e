//go:build docker

package e2e

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

const checkout = "../.." // the root of the repository, from here

// The hop that is made unless a test says otherwise.
const (
	hubRole         = "arn:aws:iam::123456789012:role/github-actions-hub"
	stagingRole     = "arn:aws:iam::222222222222:role/deploy-staging"
	productionRole  = "arn:aws:iam::333333333333:role/deploy-production"
	untaggedRole    = "arn:aws:iam::444444444444:role/shared-services" // its trust policy lacks sts:TagSession
	sessionName     = "gh-9876543210-1"                                // of the lab's job
	stagingSession  = "arn:aws:sts::222222222222:assumed-role/deploy-staging/" + sessionName
	untaggedSession = "arn:aws:sts::444444444444:assumed-role/shared-services/" + sessionName
)

// Of this run of the tests. The image's tag is as unique as the runner's, and the label is on every
// container, by which those that a failed test leaves behind are found.
var (
	run     = "hubspoke-chain-e2e-" + strings.ToLower(rand.Text()[:8])
	image   = run + ":test"
	goImage string
)

func TestMain(m *testing.M) {
	flag.Parse()
	status, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: error:", err)
		status = 1
	}
	os.Exit(status)
}

func testMain(m *testing.M) (status int, err error) {
	// A release's own image, which scripts/rehearse-release.sh has pulled, in place of one that is built here.
	if given := os.Getenv("HUBSPOKE_IMAGE"); given != "" {
		image = given
		defer func() { err = errors.Join(err, removeContainers()) }()
		return m.Run(), nil
	}
	for program, from := range map[string]string{
		"docker": "a Docker engine and its CLI, from the distribution or https://docs.docker.com/engine/install",
		"act":    "go install github.com/nektos/act@v0.2.89, or .ci/run, which does that and sets the PATH",
		"aws":    "the AWS CLI: apt-get install awscli, for example",
		"git":    "git",
	} {
		if _, err := exec.LookPath(program); err != nil {
			return 0, fmt.Errorf("%s is not on the PATH; install %s", program, from)
		}
	}
	goImage = os.Getenv("GO_IMAGE")
	if goImage == "" {
		if goImage, err = output(exec.Command(filepath.Join(checkout, "scripts", "go-image.sh"))); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	// What the runner runs, but for the build argument. The builder is the CLI's default, which is BuildKit
	// where buildx is installed and else the classic one; act always uses the classic one.
	build := exec.Command("docker", "build", "-t", image, "-f", filepath.Join(checkout, "Dockerfile"),
		"--build-arg", "GO_IMAGE="+goImage, checkout)
	if _, err := output(build); err != nil {
		return 0, err
	}
	fmt.Printf("built %s on %s in %.0f s\n", image, goImage, time.Since(start).Seconds())
	defer func() {
		err = errors.Join(err, removeContainers())
		_, removing := output(exec.Command("docker", "image", "rm", image))
		err = errors.Join(err, removing)
	}()
	return m.Run(), nil
}

// removeContainers removes what a test that failed may have left running.
func removeContainers() error {
	ids, err := output(exec.Command("docker", "ps", "--all", "--quiet", "--filter", "label="+run))
	if err != nil || ids == "" {
		return err
	}
	_, err = output(exec.Command("docker", append([]string{"rm", "--force", "--volumes"}, strings.Fields(ids)...)...))
	return errors.Join(fmt.Errorf("these containers were still there: %s", ids), err)
}

// output runs a command and returns its standard output, trimmed. The error contains both output streams.
func output(command *exec.Cmd) (string, error) {
	var stdout, stderr strings.Builder // a goroutine writes to each
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", command, err, stdout.String(), stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

// must runs a program that must succeed and returns its standard output, trimmed.
func must(t *testing.T, program string, args ...string) string {
	t.Helper()
	text, err := output(exec.Command(program, args...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// startLab starts a separate lab for the test. It listens on loopback only.
func startLab(t testing.TB, options lab.Options) (*lab.Lab, *lab.Servers) {
	t.Helper()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(world, options)
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, servers
}

// requestEnv returns the token request variables that the runner sets for the steps of the job.
func requestEnv(t *testing.T, l *lab.Lab, servers *lab.Servers, job string) map[string]string {
	t.Helper()
	j, err := l.Job(job)
	if err != nil {
		t.Fatal(err)
	}
	return l.RequestEnv(servers.IssuerURL, j)
}

func readAction(t testing.TB) runner.Action {
	t.Helper()
	action, err := runner.ReadAction(filepath.Join(checkout, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return action
}
