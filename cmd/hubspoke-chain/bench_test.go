package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// build gives a program as this one is shipped.
func build(b testing.TB, what string) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "program")
	command := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, what)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return file
}

// floor is a Go program that can speak HTTP and does nothing: what any program like this one costs to start.
const floor = `package main

import (
	_ "net/http"
	"os"
)

func main() { os.Stdout.WriteString("floor\n") }
`

// BenchmarkStart starts the shipped program and has it print its version, and in turn the floor.
//
//	go test -run '^$' -bench BenchmarkStart ./cmd/hubspoke-chain
func BenchmarkStart(b *testing.B) {
	source := filepath.Join(b.TempDir(), "floor.go")
	if err := os.WriteFile(source, []byte(floor), 0o600); err != nil {
		b.Fatal(err)
	}
	took := medians(b, [][]string{{build(b, "."), "--version"}, {build(b, source)}})
	b.ReportMetric(took[0], "ms-median")
	b.ReportMetric(took[1], "ms-floor")
	b.ReportMetric(took[0]/took[1], "start/floor")
}

// BenchmarkCredentialProcess has the shipped program hand out a session that is kept, and in turn print its version,
// and the floor.
//
//	go test -run '^$' -bench BenchmarkCredentialProcess ./cmd/hubspoke-chain
func BenchmarkCredentialProcess(b *testing.B) {
	dir := b.TempDir()
	source, chain := filepath.Join(dir, "floor.go"), filepath.Join(dir, "chain.json")
	if err := os.WriteFile(source, []byte(floor), 0o600); err != nil {
		b.Fatal(err)
	}
	seedChain(b, chain)
	program := build(b, ".")
	programs := [][]string{{program, "credential-process", "--chain", chain}, {program, "--version"}, {build(b, source)}}
	took := medians(b, programs)
	b.ReportMetric(took[0], "ms-median")
	b.ReportMetric(took[1], "ms-version")
	b.ReportMetric(took[2], "ms-floor")
}

// medians runs the programs in turn, and gives the median of what each took in milliseconds.
func medians(b *testing.B, programs [][]string) []float64 {
	took := make([][]float64, len(programs))
	for b.Loop() {
		for i, program := range programs {
			command := exec.Command(program[0], program[1:]...)
			start := time.Now()
			if err := command.Run(); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(start).Seconds()*1000)
		}
	}
	var all []float64
	for i := range took {
		sort.Float64s(took[i])
		all = append(all, took[i][len(took[i])/2])
	}
	return all
}

// BenchmarkStep runs the shipped program as a whole step against the lab.
func BenchmarkStep(b *testing.B) {
	program := build(b, ".")
	action, err := runner.ReadAction("../../action.yml")
	if err != nil {
		b.Fatal(err)
	}
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		b.Fatal(err)
	}
	l := lab.New(world, lab.Options{})
	servers, err := l.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer servers.Close()
	claims, err := l.Job("staging")
	if err != nil {
		b.Fatal(err)
	}
	var took []float64
	peak := 0
	for b.Loop() {
		job, err := runner.NewJob(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		for name, value := range l.RequestEnv(servers.IssuerURL, claims) {
			job.Env[name] = value
		}
		step, err := job.Start(action, map[string]string{
			"aws-region":         "us-east-1",
			"hub-role-to-assume": "arn:aws:iam::123456789012:role/github-actions-hub",
			"role-to-assume":     "arn:aws:iam::222222222222:role/deploy-staging",
			"sts-endpoint":       servers.STSURL,
		}, nil)
		if err != nil {
			b.Fatal(err)
		}
		command := exec.Command(program, "action")
		command.Env, command.Stdout = step.Env(), step.Log
		start := time.Now()
		if err := command.Start(); err != nil {
			b.Fatal(err)
		}
		memory := make(chan int, 1)
		go func() { memory <- peakMemory(command.Process.Pid) }()
		if err := command.Wait(); err != nil {
			b.Fatalf("%v\n%s", err, step.Log.Shown())
		}
		took = append(took, time.Since(start).Seconds()*1000)
		peak = max(peak, <-memory)
	}
	sort.Float64s(took)
	b.ReportMetric(took[len(took)/2], "ms-median")
	b.ReportMetric(float64(peak)/1024, "MiB-peak")
}

// peakMemory gives the highest resident size of a process in KiB, sampled every half millisecond until it
// ends. The rusage of a child would not do: Linux counts in it what the parent held before the exec.
func peakMemory(pid int) (peak int) {
	file := fmt.Sprintf("/proc/%d/status", pid)
	for {
		text, err := os.ReadFile(file)
		_, after, found := strings.Cut(string(text), "VmHWM:")
		if err != nil || !found { // it has ended
			return peak
		}
		if size, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(after, "kB", 2)[0])); err == nil {
			peak = max(peak, size)
		}
		time.Sleep(500 * time.Microsecond)
	}
}
