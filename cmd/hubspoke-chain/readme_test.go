package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// block is a fenced code block of a Markdown file.
type block struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// readPage returns a Markdown file of the repository and its code blocks.
func readPage(t *testing.T, name string) (text string, blocks []block) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(string(data), -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return string(data), blocks
}

// documents returns the names of the Markdown files that people read, relative to the repository.
func documents(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/README.md"} {
		paths, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			name, err := filepath.Rel("../..", path)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
	}
	return names
}

// TestDocumentedWorkflows checks every step in README.md and docs that uses the action: its inputs exist, and the required ones
// are set.
func TestDocumentedWorkflows(t *testing.T) {
	t.Parallel()
	action, err := runner.ReadAction("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, name := range documents(t) {
		_, of := readPage(t, name)
		blocks = append(blocks, of...)
	}
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
	if steps < 6 || diffs != 1 {
		t.Errorf("found %d steps that use the action, and %d of two steps before", steps, diffs)
	}
}

// TestTroubleshooting checks that the failures in the headings of docs/troubleshooting.md are failures of the scripts.
func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	text, _ := readPage(t, "docs/troubleshooting.md")
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

var (
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unusual = regexp.MustCompile("[^a-z0-9 _-]")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// anchors returns the anchors that GitHub generates for the headings of a page.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all[strings.ReplaceAll(unusual.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

// TestLinks checks that the files and the headings that the documents link to exist.
func TestLinks(t *testing.T) {
	t.Parallel()
	links := 0
	for _, name := range documents(t) {
		text, _ := readPage(t, name)
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(filepath.Dir(name), path)
			if path == "" {
				target = name
			}
			if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			} else if anchor != "" {
				if page, _ := readPage(t, target); !anchors(page)[anchor] {
					t.Errorf("%s links to %s, and %s has no such heading", name, m[1], target)
				}
			}
		}
	}
	if links < 60 {
		t.Errorf("found %d links", links)
	}
}

// TestDocumentedPolicies runs the commands of README.md and docs/setup.md that generate, check and evaluate policies. They write
// the files that the AWS CLI's commands below them read, and those that the world in docs/lab.md names.
func TestDocumentedPolicies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"README.md", "docs/setup.md"} {
		text, blocks := readPage(t, name)
		directory := t.TempDir()
		commands := 0
		for _, b := range blocks {
			if b.language != "sh" || !strings.Contains(b.text, "./hubspoke-chain ") {
				continue
			}
			commands++
			script := strings.TrimPrefix(b.text, "go build -o hubspoke-chain ./cmd/hubspoke-chain\n") // which this test is
			script = strings.ReplaceAll(script, "./hubspoke-chain", program(os.Getenv("PATH")))
			command := exec.Command("sh", "-eu", "-c", script)
			command.Dir = directory
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%s: %v in\n%s\n%s", name, err, b.text, out)
			}
		}
		files := regexp.MustCompile(`file://([^ \n]+)`).FindAllStringSubmatch(text, -1)
		if commands == 0 || len(files) < 3 {
			t.Fatalf("%s has %d blocks of commands and %d files", name, commands, len(files))
		}
		for _, m := range files {
			if _, err := os.Stat(filepath.Join(directory, m[1])); err != nil {
				t.Error(err)
			}
		}
		if name == "docs/setup.md" {
			worlds := 0
			_, blocks := readPage(t, "docs/lab.md")
			for _, b := range blocks {
				if b.language == "json" {
					worlds++
					documentedWorld(t, directory, b.text)
				}
			}
			if worlds != 1 {
				t.Errorf("docs/lab.md has %d worlds", worlds)
			}
		}
	}
}

// documentedWorld runs the hops of the world in docs/lab.md, with the policies in the directory.
func documentedWorld(t *testing.T, directory, world string) {
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
