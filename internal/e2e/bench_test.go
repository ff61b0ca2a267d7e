//go:build docker

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// BenchmarkContainer runs, in random order, the image on Docker's bridge as the runner does, the image on the host's
// network where it reaches the lab, and an image whose program exits at once. This separates the time of the container
// from the time of the hop. The lab adds no delay.
//
//	go test -tags docker -run '^$' -bench BenchmarkContainer ./internal/e2e
func BenchmarkContainer(b *testing.B) {
	floor := floorImage(b)
	step := newBenchStep(b)
	version := func(image string, options ...string) func() {
		args := append([]string{"run", "--rm", "--label", run}, options...)
		return func() {
			if _, err := output(exec.Command("docker", append(args, image, "--version")...)); err != nil {
				b.Fatal(err)
			}
		}
	}
	onHost := []string{"--network", "host"}
	runs := []struct {
		unit string
		run  func()
	}{
		{"ms-floor", version(floor)},
		{"ms-version", version(image)},
		{"ms-floor-host", version(floor, onHost...)},
		{"ms-version-host", version(image, onHost...)},
		{"ms-hop-host", step.run},
	}
	took := make([][]float64, len(runs))
	for b.Loop() {
		step.prepare()
		for _, i := range rand.Perm(len(runs)) { // whichever is first may find the machine in another state
			start := time.Now()
			runs[i].run()
			took[i] = append(took[i], time.Since(start).Seconds()*1000)
		}
	}
	medians := map[string]float64{}
	for i := range runs {
		slices.Sort(took[i])
		medians[runs[i].unit] = took[i][len(took[i])/2]
		b.ReportMetric(medians[runs[i].unit], runs[i].unit)
	}
	b.ReportMetric(medians["ms-version"]/medians["ms-floor"], "version/floor")
	b.ReportMetric(medians["ms-hop-host"]/medians["ms-floor-host"], "hop/floor-host")
}

// floorImage makes an image whose one program ends at once, for as long as the benchmark runs.
func floorImage(b *testing.B) string {
	b.Helper()
	dir, name := b.TempDir(), run+":floor"
	source := filepath.Join(dir, "floor.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "floor"), source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := output(build); err != nil {
		b.Fatal(err)
	}
	archive := filepath.Join(dir, "floor.tar")
	if _, err := output(exec.Command("tar", "--create", "--directory", dir, "--file", archive, "floor")); err != nil {
		b.Fatal(err)
	}
	if _, err := output(exec.Command("docker", "import", "--change", `ENTRYPOINT ["/floor"]`, archive, name)); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if _, err := output(exec.Command("docker", "image", "rm", name)); err != nil {
			b.Error(err)
		}
	})
	return name
}

// benchStep is the step to staging, a new one for each run.
type benchStep struct {
	b       *testing.B
	action  runner.Action
	lab     *lab.Lab
	servers *lab.Servers
	n       int
	step    *runner.Step
}

func newBenchStep(b *testing.B) *benchStep {
	b.Helper()
	l, servers := startLab(b, lab.Options{})
	return &benchStep{b: b, action: readAction(b), lab: l, servers: servers}
}

// prepare makes a job and its step, which is not counted.
func (s *benchStep) prepare() {
	job, err := runner.NewJob(s.b.TempDir())
	if err != nil {
		s.b.Fatal(err)
	}
	claims, err := s.lab.Job("staging")
	if err != nil {
		s.b.Fatal(err)
	}
	for name, value := range s.lab.RequestEnv(s.servers.IssuerURL, claims) {
		job.Env[name] = value
	}
	s.n++
	if s.step, err = job.Start(s.action, map[string]string{
		"aws-region": "us-east-1", "hub-role-to-assume": hubRole, "role-to-assume": stagingRole, "sts-endpoint": s.servers.STSURL,
	}, nil); err != nil {
		s.b.Fatal(err)
	}
}

func (s *benchStep) run() {
	status, stderr, err := s.step.RunContainer(s.b.Context(), runner.Container{
		Image: image, Name: fmt.Sprintf("%s_bench_%d", run, s.n), Label: run,
		Options: []string{"--network", "host"}, Environ: os.Environ(),
	})
	if err != nil || status != 0 || strings.TrimSpace(stderr) != "" {
		s.b.Fatalf("the step ended with status %d (%v), and wrote to stderr %q:\n%s", status, err, stderr, s.step.Log.Shown())
	}
}
