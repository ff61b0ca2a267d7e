package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// block is a fenced code block of a Markdown file.
type block struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func readme(t *testing.T) (text string, blocks []block) {
	t.Helper()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(string(data), -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return string(data), blocks
}

// The log that README.md shows is the one that the scripts get.
func TestReadmeLog(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/script/hop.txtar")
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, f := range archive.Files {
		if f.Name == "want-log" {
			want = string(f.Data)
		}
	}
	_, blocks := readme(t)
	for _, b := range blocks {
		if b.language == "text" {
			if got := plain(b.text); want == "" || got != want {
				t.Errorf("README.md shows the log\n%s\nthe script has\n%s", got, want)
			}
			return
		}
	}
	t.Error("README.md shows no log")
}

// Every step in README.md that uses the action has inputs that the action has, and those that it requires.
func TestReadmeWorkflows(t *testing.T) {
	t.Parallel()
	action, err := runner.ReadAction("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	_, blocks := readme(t)
	steps, diffs := 0, 0
	for _, b := range blocks {
		switch b.language {
		case "yaml":
		case "diff": // what a step becomes
			b.text = "permissions: {id-token: write}\njobs:\n  job:\n    steps:\n" +
				regexp.MustCompile(`(?m)^[+ ]`).ReplaceAllString(regexp.MustCompile(`(?m)^-.*\n`).ReplaceAllString(b.text, ""), "")
			diffs++
		default:
			continue
		}
		var workflow struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Steps []struct {
					Uses string
					With map[string]string
				}
			}
		}
		if err := yaml.Unmarshal([]byte(b.text), &workflow); err != nil {
			t.Errorf("%v in\n%s", err, b.text)
			continue
		}
		if workflow.Permissions["id-token"] != "write" {
			t.Errorf("no id-token: write in\n%s", b.text)
		}
		for _, job := range workflow.Jobs {
			for _, step := range job.Steps {
				if !strings.HasPrefix(step.Uses, "org/hubspoke-chain@") {
					continue
				}
				steps++
				for name := range step.With {
					if _, known := action.Inputs[name]; !known {
						t.Errorf("there is no input %s, in\n%s", name, b.text)
					}
				}
				for name, input := range action.Inputs {
					if input.Required && step.With[name] == "" {
						t.Errorf("the input %s is missing in\n%s", name, b.text)
					}
				}
			}
		}
	}
	if steps < 4 || diffs != 1 {
		t.Errorf("found %d steps that use the action, and %d of two steps before", steps, diffs)
	}
}

// Every failure that README.md has a heading for is one that the scripts get.
func TestReadmeTroubleshooting(t *testing.T) {
	t.Parallel()
	text, _ := readme(t)
	failures, err := os.ReadFile(failuresDocument)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range regexp.MustCompile("(?m)^### `((?:missing|assuming) [^`]*)`").FindAllStringSubmatch(text, -1) {
		found++
		var parts []string
		for part := range strings.SplitSeq(m[1], "...") {
			parts = append(parts, regexp.QuoteMeta(part))
		}
		if !regexp.MustCompile(strings.Join(parts, ".*")).Match(failures) {
			t.Errorf("docs/failures.md shows no %s", m[1])
		}
	}
	if found < 5 {
		t.Errorf("found %d headings", found)
	}
}

// Every file and every heading that README.md points to is there.
func TestReadmeLinks(t *testing.T) {
	t.Parallel()
	text, _ := readme(t)
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchor := strings.ToLower(m[1])
		anchor = regexp.MustCompile("[^a-z0-9 _-]").ReplaceAllString(anchor, "")
		anchors[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 10 {
		t.Fatalf("found %d links", len(links))
	}
	for _, m := range links {
		switch target := m[1]; {
		case strings.HasPrefix(target, "https://"):
		case strings.HasPrefix(target, "#"):
			if !anchors[target[1:]] {
				t.Errorf("README.md has no heading for %s", target)
			}
		default:
			if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
				t.Error(err)
			}
		}
	}
}

// The commands that write, check and try the policies work as README.md has them, and write the files that the AWS
// CLI's commands below them read.
func TestReadmePolicies(t *testing.T) {
	t.Parallel()
	text, blocks := readme(t)
	directory := t.TempDir()
	found := false
	for _, b := range blocks {
		if b.language != "sh" || !strings.Contains(b.text, "./hubspoke-chain policy") {
			continue
		}
		found = true
		_, script, _ := strings.Cut(b.text, "\n") // behind the line that builds the program, which is this one
		script = strings.ReplaceAll(script, "./hubspoke-chain", program(os.Getenv("PATH")))
		command := exec.Command("sh", "-eu", "-c", script)
		command.Dir = directory
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	for _, b := range blocks {
		if b.language == "json" {
			readmeWorld(t, directory, b.text)
		}
	}
	files := regexp.MustCompile(`file://([^ \n]+)`).FindAllStringSubmatch(text, -1)
	if !found || len(files) < 3 {
		t.Fatalf("found the commands: %v, and %d files", found, len(files))
	}
	for _, m := range files {
		if _, err := os.Stat(filepath.Join(directory, m[1])); err != nil {
			t.Error(err)
		}
	}
}

// readmeWorld walks the hops of README.md's own world, with the policies that its commands have written.
func readmeWorld(t *testing.T, directory, world string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, "world.json"), []byte(world), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := lab.ReadWorld(os.DirFS(directory), "world.json")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(w, lab.Options{})
	servers, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer servers.Close()
	action, err := runner.ReadAction("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	const staging, production = "arn:aws:iam::222222222222:role/deploy-staging", "arn:aws:iam::333333333333:role/deploy-production"
	for _, hop := range []struct {
		job, role string
		status    int
	}{{"staging", staging, 0}, {"production", production, 0}, {"production", staging, 0}, {"staging", production, 1}} {
		claims, err := l.Job(hop.job)
		if err != nil {
			t.Fatal(err)
		}
		job, err := runner.NewJob(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(job.Env, l.RequestEnv(servers.IssuerURL, claims))
		step, err := job.Start(action, map[string]string{
			"aws-region": "us-east-1", "hub-role-to-assume": "arn:aws:iam::123456789012:role/github-actions-hub",
			"role-to-assume": hop.role, "sts-endpoint": servers.STSURL,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, _, err := step.Run(t.Context(), program(os.Getenv("PATH"))); err != nil || status != hop.status {
			t.Errorf("%s to %s: status %d, want %d, %v\n%s", hop.job, hop.role, status, hop.status, err, step.Log.Shown())
		}
	}
}
