package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/org/hubspoke-chain/internal/golden"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hubspoke-chain": main, postProgram: main})
}

// TestScripts runs the real main, the action as a step of GitHub Actions against the lab.
func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, "testdata/script")
}

// runScripts runs the scripts of a directory. In addition to testscript's commands, they have these:
//
//	[!] step [FLAG...] [INPUT=VALUE...]   run the action; with !, it must fail with status 1
//	    -cancel SERVICE   cancel the step as soon as the service receives a request
//	    -within DURATION  the step may not take longer
//	    -missing, -directory, -partial VARIABLE   what happens to a command file before the step runs
//	job NAME              the job of world.json that the steps belong to
//	claim NAME=VALUE      change a claim of the job's token; an empty VALUE removes it
//	event FILE            the payload of the event that started the run
//	fail FAULT...         make the lab misbehave, SERVICE:ACTION:KIND:TIMES
//	reply ACTION STATUS CODE MESSAGE   answer that STS action instead of the lab
//	clock DURATION        move the lab's clock
//	world FILE            use another world; files missing from the script are taken from examples/lab
//	edit FILE POINTER=JSON...   change a file of the world; for world.json, the lab restarts
//	server NAME STATUS    a server that answers everything with the status and a page; its URL is in $NAME
//	server NAME closed    a port in $NAME on which nothing listens
//	lifetime DURATION     restart the lab with spoke sessions that expire after this time
//	run FILE              run a file with sh as the next step of the job; it leaves the file log behind
//	finish                end the job: its post steps run, and none of our files may remain in the temp directory;
//	                      the file log has their output
//	ipv6                  GitHub and STS are reached only over IPv6 from now on
//	tls FILE              GitHub and STS are reached over TLS from now on; the file contains their CA certificate
//	decide                run the command that the log ends with, with the world's roles behind aws iam get-role;
//	                      what it prints is in the file decision
//	chain FILE [FIELD=JSON...]   write a chain into staging, and give the script's commands the environment of a step
//	age FILE DURATION     age the cache next to the chain by this time
//	renewed               all spoke session requests so far have identical parameters
//	hops N                the job has requested N tokens since the last hops; @FILE for the number in it
//
// An upper-case name instead of an INPUT sets a variable of the job from this step on; an empty VALUE unsets it.
// A value that begins with @ is the text of that file. Unless it is given, an input is that of the hop
// into staging. step leaves the files log, annotations, env, output, summary, events and requests
// behind, with what differs from run to run replaced (see plain), and checks every time what must always hold
// (see invariants).
func runScripts(t *testing.T, directory string) {
	action, err := runner.ReadAction("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	command := func(run func(*scene, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
		return func(ts *testscript.TestScript, _ bool, args []string) { run(of(ts), ts, args) }
	}
	testscript.Run(t, testscript.Params{
		Dir:                 directory,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       golden.Update(),
		Setup: func(e *testscript.Env) error {
			s := &scene{action: action, dir: e.WorkDir, jobName: "staging", program: program(e.Getenv("PATH"))}
			e.Values[sceneKey{}] = s
			e.Defer(func() { s.close() })
			return s.open("world.json")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"step":   func(ts *testscript.TestScript, neg bool, args []string) { of(ts).step(ts, neg, args) },
			"job":    command((*scene).chooseJob),
			"claim":  command((*scene).claim),
			"event":  command((*scene).event),
			"fail":   command((*scene).fail),
			"reply":  command((*scene).reply),
			"clock":  command((*scene).clock),
			"world":  command((*scene).changeWorld),
			"edit":   command((*scene).edit),
			"server": command((*scene).server),
			"decide": command((*scene).decide),

			"lifetime": command((*scene).lifetime),
			"run":      func(ts *testscript.TestScript, neg bool, args []string) { of(ts).run(ts, neg, args[0]) },
			"finish":   command((*scene).finish),
			"ipv6":     command((*scene).ipv6),
			"tls":      command((*scene).tls),
			"chain":    command((*scene).writePlan),
			"age":      command((*scene).age),
			"hops":     command((*scene).checkHops),
			"renewed":  command((*scene).renewed),
		},
	})
}

// program finds the test binary under the name by which it is the real main.
func program(path string) string {
	for _, dir := range filepath.SplitList(path) {
		if file, err := exec.LookPath(filepath.Join(dir, "hubspoke-chain")); err == nil {
			return file
		}
	}
	return "hubspoke-chain is not on the PATH of the script"
}

type sceneKey struct{}

// scene is the lab and the job of one script.
type scene struct {
	action  runner.Action
	program string
	dir     string
	lab     *lab.Lab
	servers *lab.Servers
	stsURL  string // of the lab, or of the proxy for it
	issuer  string // the same of GitHub
	others  []*httptest.Server
	runner  *runner.Job
	jobName string
	claims  []string // changes of the job's claims, NAME=VALUE
	masked  []string // what may be masked in addition to the lab's secrets
	options lab.Options
	folders []string // of profiles, after the last step
	hops    int      // that hops has seen
}

func of(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) }

func (s *scene) open(name string) error {
	world, err := lab.ReadWorld(overlay(s.dir), name)
	if err != nil {
		return err
	}
	s.lab = lab.New(world, s.options)
	s.hops = 0
	if s.servers, err = s.lab.Start(); err != nil {
		return err
	}
	s.stsURL, s.issuer = s.servers.STSURL, s.servers.IssuerURL
	root := filepath.Join(s.dir, "job")
	s.folders = nil
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	s.runner, err = runner.NewJob(root)
	if err == nil {
		s.runner.Env["AWS_ENDPOINT_URL_STS"] = s.stsURL // of later steps; the action does not heed it
	}
	return err
}

func (s *scene) close() {
	if s.servers != nil {
		s.servers.Close()
	}
	for _, server := range s.others {
		server.Close()
	}
	s.others = nil
}

func (s *scene) changeWorld(ts *testscript.TestScript, args []string) {
	s.close()
	ts.Check(s.open(args[0]))
}

func (s *scene) chooseJob(_ *testscript.TestScript, args []string) { s.jobName = args[0] }

func (s *scene) claim(ts *testscript.TestScript, args []string) {
	for _, arg := range args {
		s.claims = append(s.claims, expand(ts, arg))
	}
}

func (s *scene) fail(ts *testscript.TestScript, args []string) {
	for _, arg := range args {
		fault, err := lab.ParseFault(arg)
		ts.Check(err)
		s.lab.Fail(fault)
	}
}

func (s *scene) clock(ts *testscript.TestScript, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	s.lab.Advance(d)
}

// expand replaces a value @FILE by the file's text, without the line end that txtar needs.
func expand(ts *testscript.TestScript, assignment string) string {
	name, file, found := strings.Cut(assignment, "=@")
	if !found {
		return assignment
	}
	return name + "=" + strings.TrimSuffix(ts.ReadFile(file), "\n")
}

func (s *scene) step(ts *testscript.TestScript, neg bool, args []string) {
	with := map[string]string{
		"aws-region":         "us-east-1",
		"hub-role-to-assume": "arn:aws:iam::123456789012:role/github-actions-hub",
		"role-to-assume":     "arn:aws:iam::222222222222:role/deploy-staging",
		"sts-endpoint":       s.stsURL,
	}
	variables := map[string]string{}
	flags := map[string]string{}
	for len(args) > 0 {
		if flag, found := strings.CutPrefix(args[0], "-"); found {
			flags[flag], args = args[1], args[2:]
			continue
		}
		name, value, found := strings.Cut(expand(ts, args[0]), "=")
		if !found {
			ts.Fatalf("step: %q is neither a flag nor INPUT=VALUE", args[0])
		}
		// An upper-case name is a variable of the job, as an earlier step may have exported it.
		if name == strings.ToUpper(name) {
			variables[name] = value
		} else {
			with[name] = value
		}
		args = args[1:]
	}

	claims, err := s.lab.Job(s.jobName)
	ts.Check(err)
	for _, change := range s.claims {
		name, value, _ := strings.Cut(change, "=")
		claims.Claims[name] = value
		if value == "" {
			delete(claims.Claims, name)
		}
	}
	maps.Copy(s.runner.Env, s.lab.RequestEnv(s.issuer, claims))
	for name, value := range variables {
		s.runner.Env[name] = value
		if value == "" {
			delete(s.runner.Env, name)
		}
	}
	s.masked = nil
	if with["mask-aws-account-id"] == "true" {
		s.masked = []string{"123456789012", "222222222222"}
	}
	step, err := s.runner.Start(s.action, with, nil)
	ts.Check(err)
	prepare(ts, step, flags)

	before := s.lab.Events()
	counts := s.lab.Counts()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if service := flags["cancel"]; service != "" {
		go func() {
			for ctx.Err() == nil && s.lab.Counts()[service].Requests == counts[service].Requests {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
	}
	start := time.Now()
	status, stderr, err := step.Run(ctx, s.program)
	ts.Check(err)
	if within := flags["within"]; within != "" {
		limit, err := time.ParseDuration(within)
		ts.Check(err)
		if took := time.Since(start); took > limit {
			ts.Fatalf("the step took %s, limit %s", took, limit)
		}
	}
	want := 0
	if neg {
		want = 1
	}
	s.invariants(ts, step, status, stderr, with)
	s.closed(ts, step, status)
	s.leave(ts, step, s.lab.Events()[len(before):], counts)
	if status != want {
		ts.Fatalf("the step ended with status %d, not %d:\n%s", status, want, step.Log.Shown())
	}
}

// prepare spoils a command file before the step.
func prepare(ts *testscript.TestScript, step *runner.Step, flags map[string]string) {
	if name := flags["missing"]; name != "" {
		ts.Check(os.Remove(step.Path(name)))
	}
	if name := flags["directory"]; name != "" {
		ts.Check(os.Remove(step.Path(name)))
		ts.Check(os.Mkdir(step.Path(name), 0o755))
	}
	if name := flags["partial"]; name != "" {
		ts.Check(os.WriteFile(step.Path(name), []byte("FROM_BEFORE=1"), 0o600))
	}
}

// invariants are what holds after every step, whatever the script is about.
func (s *scene) invariants(ts *testscript.TestScript, step *runner.Step, status int, stderr string, with map[string]string) {
	if stderr != "" {
		ts.Fatalf("the step wrote to stderr, which the runner does not mask reliably:\n%s", stderr)
	}
	errorAnnotations := 0
	for _, a := range step.Log.Annotations() {
		if a.Level == "error" {
			errorAnnotations++
		}
	}
	if want := min(status, 1); errorAnnotations != want {
		ts.Fatalf("status %d and %d error annotations:\n%s", status, errorAnnotations, step.Log.Shown())
	}
	hidden := append(s.lab.Secrets(), s.masked...)
	for _, c := range step.Log.Commands() {
		if c.Name == "add-mask" && !slices.Contains(hidden, c.Data) {
			ts.Fatalf("the step masked %q, which is no secret", c.Data)
		}
		if !slices.Contains([]string{"add-mask", "error", "warning", "notice", "group", "endgroup"}, c.Name) {
			ts.Fatalf("the step issued the command %s: %q", c.Name, c.Data)
		}
	}

	files := map[string]string{}
	for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"} {
		text, err := os.ReadFile(step.Path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "is a directory") {
			ts.Fatalf("%v", err)
		}
		files[name] = string(text)
	}
	env, err := runner.ParseCommandFile(files["GITHUB_ENV"])
	ts.Check(err)
	exported := map[string]bool{}
	for _, p := range env {
		if p.Value != "" {
			exported[p.Value] = true
		}
	}
	outputs, err := runner.ParseCommandFile(files["GITHUB_OUTPUT"])
	ts.Check(err)
	for _, p := range outputs {
		exported[p.Value] = true
	}
	for _, secret := range s.lab.Secrets() {
		masked := false
		for _, line := range step.Log.Raw() {
			if strings.Contains(line, secret) && !masked && line != "::add-mask::"+secret {
				ts.Fatalf("a secret is printed before its mask")
			}
			masked = masked || line == "::add-mask::"+secret
			// What a cut would leave of it: a stretch near its end, where tokens of one job differ.
			if n := len(secret); n > 100 && strings.Contains(line, secret[n-60:n-30]) && line != "::add-mask::"+secret {
				ts.Fatalf("a part of a secret is printed")
			}
		}
		if exported[secret] && !masked {
			ts.Fatalf("a secret is exported but was not masked")
		}
		for name, text := range files {
			allowed := name == "GITHUB_ENV" && exported[secret] || name == "GITHUB_OUTPUT" && with["output-credentials"] == "true" && exported[secret]
			if strings.Contains(text, secret) && !allowed {
				ts.Fatalf("%s holds a secret that does not belong there", name)
			}
		}
	}
	if status != 0 {
		for _, p := range env {
			if p.Value != "" && p.Name != "FROM_BEFORE" {
				ts.Fatalf("the step failed and exported %s", p.Name)
			}
		}
		if len(outputs) > 0 {
			ts.Fatalf("the step failed and set %d outputs", len(outputs))
		}
	}
}

// leave writes the results of the step into the script's directory.
func (s *scene) leave(ts *testscript.TestScript, step *runner.Step, events []lab.Event, before map[string]lab.Count) {
	write := func(name, text string) { ts.Check(os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600)) }
	var b strings.Builder
	for _, a := range step.Log.Annotations() {
		fmt.Fprintf(&b, "%s %s: %s\n", a.Level, a.Title, a.Message)
	}
	write("annotations", plain(b.String()))
	write("log", plain(step.Log.Shown()))

	b.Reset()
	for _, service := range []string{"issuer", "sts"} {
		after := s.lab.Counts()[service]
		fmt.Fprintf(&b, "%s: %d requests\n", service, after.Requests-before[service].Requests)
	}
	write("requests", b.String())

	b.Reset()
	for _, e := range events {
		text, err := json.Marshal(e)
		ts.Check(err)
		fmt.Fprintf(&b, "%s\n", text)
	}
	write("events", b.String())

	result, err := step.End()
	if err != nil { // a script has taken a command file away
		return
	}
	ts.Check(result.Err)
	pairs := func(pairs []runner.Pair) string {
		var b strings.Builder
		for _, p := range pairs {
			fmt.Fprintf(&b, "%s=%s\n", p.Name, p.Value)
		}
		return b.String()
	}
	write("env", pairs(result.Env))
	write("output", pairs(result.Output))
	write("summary", plain(result.Summary))
}

// plain replaces what differs from run to run, so that a script can hold a whole log.
func plain(text string) string {
	for _, r := range []struct {
		form *regexp.Regexp
		word string
	}{
		{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "REQUEST-ID"},
		{regexp.MustCompile(`\b(in|took) [0-9]+(\.[0-9])? m?s\b`), "$1 N ms"},
		{regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z`), "TIME"},
		{regexp.MustCompile(`hubspoke-chain-[a-z2-7]{26}`), "FOLDER"},
		{regexp.MustCompile(`date/time [0-9]{10}`), "date/time SECONDS"},
		{regexp.MustCompile(`(127\.0\.0\.1|\[::1\]):[0-9]+`), "$1:PORT"},
	} {
		text = r.form.ReplaceAllString(text, r.word)
	}
	return text
}
