package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/credproc"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// build builds a program with the release flags and returns its path.
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

// buildFloor builds the floor as this program is built.
func buildFloor(b testing.TB) string {
	b.Helper()
	source := filepath.Join(b.TempDir(), "floor.go")
	if err := os.WriteFile(source, []byte(floor), 0o600); err != nil {
		b.Fatal(err)
	}
	return build(b, source)
}

// BenchmarkStart alternates between the release binary with --version, a copy of it, and a minimal program. Any difference
// between binary and copy is noise, including where the file is in memory. It also reports the file sizes.
//
//	go test -run '^$' -bench BenchmarkStart ./cmd/hubspoke-chain
func BenchmarkStart(b *testing.B) {
	program, bare := build(b, "."), buildFloor(b)
	took := medians(b, command(program, "--version"), command(build(b, "."), "--version"), command(bare))
	b.ReportMetric(took[0], "ms-median")
	b.ReportMetric(took[1], "ms-copy")
	b.ReportMetric(took[2], "ms-floor")
	b.ReportMetric(took[0]/took[2], "start/floor")
	b.ReportMetric(float64(size(b, program)), "bytes")
	b.ReportMetric(float64(size(b, bare)), "bytes-floor")
}

func size(b *testing.B, file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// dearest is how many packages BenchmarkInit names.
const dearest = 5

// BenchmarkInit reads from Go's own trace what each package does before main's first line, in the shipped program and
// in the floor: the sum, and the packages that take longest. Of the starts it takes the median.
//
//	go test -run '^$' -bench BenchmarkInit ./cmd/hubspoke-chain
func BenchmarkInit(b *testing.B) {
	program, bare := command(build(b, "."), "--version"), command(buildFloor(b))
	packages := map[string][]float64{}
	var sums, bareSums, objects, bareObjects []float64
	for b.Loop() {
		took, n := traceInit(b, program())
		sum := 0.0
		for name, ms := range took {
			packages[name] = append(packages[name], ms)
			sum += ms
		}
		sums, objects = append(sums, sum), append(objects, n)
		took, n = traceInit(b, bare())
		sum = 0
		for _, ms := range took {
			sum += ms
		}
		bareSums, bareObjects = append(bareSums, sum), append(bareObjects, n)
	}
	b.ReportMetric(median(sums), "ms-median")
	b.ReportMetric(median(bareSums), "ms-floor")
	b.ReportMetric(median(objects), "objects")
	b.ReportMetric(median(bareObjects), "objects-floor")
	names := slices.Collect(maps.Keys(packages))
	slices.SortFunc(names, func(x, y string) int { return cmp.Compare(median(packages[y]), median(packages[x])) })
	for _, name := range names[:dearest] {
		b.ReportMetric(median(packages[name])*1000, "us:"+name)
	}
}

// traceInit returns the initialization time of each package in milliseconds, and the number of objects that all of them
// allocated.
func traceInit(b *testing.B, command *exec.Cmd) (map[string]float64, float64) {
	var trace strings.Builder
	command.Env, command.Stderr = append(os.Environ(), "GODEBUG=inittrace=1"), &trace
	if err := command.Run(); err != nil {
		b.Fatalf("%v\n%s", err, trace.String())
	}
	took, objects := map[string]float64{}, 0.0
	for line := range strings.Lines(trace.String()) {
		var name string
		var at, ms, bytes, n float64
		if _, err := fmt.Sscanf(line, "init %s @%g ms, %g ms clock, %g bytes, %g allocs", &name, &at, &ms, &bytes, &n); err != nil {
			b.Fatalf("a line of the trace is %q: %v", line, err)
		}
		took[name] += ms
		objects += n
	}
	if len(took) == 0 {
		b.Fatal("the trace is empty")
	}
	return took, objects
}

// BenchmarkCredentialProcess alternates between the release binary with a cached session, with an empty cache so that it
// runs the hop, with --version, and a minimal program. The lab is on loopback and adds no delay, so the hop's figure
// contains only its own work.
//
//	go test -run '^$' -bench BenchmarkCredentialProcess ./cmd/hubspoke-chain
func BenchmarkCredentialProcess(b *testing.B) {
	l, servers := startLab(b)
	claims, err := l.Job("staging")
	if err != nil {
		b.Fatal(err)
	}
	env := os.Environ()
	for name, value := range l.RequestEnv(servers.IssuerURL, claims) {
		env = append(env, name+"="+value)
	}
	dir := b.TempDir()
	kept, none := filepath.Join(dir, "kept.json"), filepath.Join(dir, "none.json")
	seedPlan(b, kept)
	if err := credproc.Write(none, stagingPlan(servers.STSURL)); err != nil {
		b.Fatal(err)
	}
	program := build(b, ".")
	walk := func() *exec.Cmd {
		if err := os.Remove(strings.TrimSuffix(none, ".json") + ".cache"); err != nil && !os.IsNotExist(err) {
			b.Fatal(err)
		}
		walk := exec.Command(program, "credential-process", "--chain", none)
		walk.Env = env
		return walk
	}
	before := l.Counts()["issuer"].Requests
	took := medians(b, command(program, "credential-process", "--chain", kept), walk, command(program, "--version"), command(buildFloor(b)))
	if got := l.Counts()["issuer"].Requests - before; got != b.N {
		b.Fatalf("%d of %d calls walked the hop", got, b.N)
	}
	b.ReportMetric(took[0], "ms-kept")
	b.ReportMetric(took[1], "ms-walked")
	b.ReportMetric(took[2], "ms-version")
	b.ReportMetric(took[3], "ms-floor")
	b.ReportMetric(took[0]/took[3], "kept/floor")
	b.ReportMetric(took[1]/took[3], "walked/floor")
}

// startLab serves the lab of the examples on loopback.
func startLab(b testing.TB) (*lab.Lab, *lab.Servers) {
	b.Helper()
	world, err := lab.ReadWorld(examples.Lab, "lab/world.json")
	if err != nil {
		b.Fatal(err)
	}
	l := lab.New(world, lab.Options{})
	servers, err := l.Start()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := servers.Close(); err != nil {
			b.Error(err)
		}
	})
	return l, servers
}

// command returns a new command for each run.
func command(program string, args ...string) func() *exec.Cmd {
	return func() *exec.Cmd { return exec.Command(program, args...) }
}

// medians runs the commands alternately and returns the median duration of each in milliseconds. The time to create a
// command is not counted.
func medians(b *testing.B, commands ...func() *exec.Cmd) []float64 {
	took := make([][]float64, len(commands))
	for b.Loop() {
		for i := range commands {
			command := commands[i]()
			start := time.Now()
			if err := command.Run(); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(start).Seconds()*1000)
		}
	}
	var all []float64
	for i := range took {
		all = append(all, median(took[i]))
	}
	return all
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// BenchmarkStep alternates between the release binary as a whole step against the lab and a minimal program. It reports
// the peak memory of each.
//
//	go test -run '^$' -bench BenchmarkStep ./cmd/hubspoke-chain
func BenchmarkStep(b *testing.B) {
	program, bare := build(b, "."), buildFloor(b)
	action, err := runner.ReadAction("../../action.yml")
	if err != nil {
		b.Fatal(err)
	}
	l, servers := startLab(b)
	claims, err := l.Job("staging")
	if err != nil {
		b.Fatal(err)
	}
	var took, bareTook []float64
	peak, barePeak := 0, 0
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
		ms, memory, err := watch(command)
		if err != nil {
			b.Fatalf("%v\n%s", err, step.Log.Shown())
		}
		took, peak = append(took, ms), max(peak, memory)
		if ms, memory, err = watch(exec.Command(bare)); err != nil {
			b.Fatal(err)
		}
		bareTook, barePeak = append(bareTook, ms), max(barePeak, memory)
	}
	b.ReportMetric(median(took), "ms-median")
	b.ReportMetric(median(bareTook), "ms-floor")
	b.ReportMetric(float64(peak)/1024, "MiB-peak")
	b.ReportMetric(float64(barePeak)/1024, "MiB-floor")
}

// watch runs a command and returns its duration in milliseconds and its peak memory in KiB.
func watch(command *exec.Cmd) (ms float64, peak int, err error) {
	start := time.Now()
	if err := command.Start(); err != nil {
		return 0, 0, err
	}
	memory := make(chan int, 1)
	go func() { memory <- peakMemory(command.Process.Pid) }()
	err = command.Wait()
	return time.Since(start).Seconds() * 1000, <-memory, err
}

// peakMemory returns the highest resident size of a process in KiB, sampled every half millisecond until it
// exits. It cannot use the child's rusage, because on Linux that includes the parent's memory before the exec.
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
