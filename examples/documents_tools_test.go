//go:build tools

package examples_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the pages with commands, in the order in which a reader runs them: docs/lab.md uses the files that docs/setup.md
// writes. The others come after them.
var pages = []string{"README.md", "docs/setup.md", "docs/lab.md"}

// generated are the pages that tests write.
var generated = []string{"docs/failures.md", "docs/cli.md"}

// elsewhere are the commands that are not run here, by their folder and beginning, with what runs them instead, or why
// nothing does.
var elsewhere = []struct{ dir, begin, why string }{
	{".", "go run ./cmd/hubspoke-lab demo", ".ci/run"},
	{".", "go test ./...", ".ci/run"},
	{".", "go run ./cmd/hubspoke-lab serve", "cmd/hubspoke-lab/testdata/script/serve.txtar"},
	{".", "scripts/performance.sh", ".ci/run, with --quick"},
	{".", "cosign verify", "there is no release yet; scripts/rehearse-release.sh makes and verifies one of its own"},
	{".", "sha256sum --ignore-missing", "the same"},
	{".", "gh attestation verify", "calls GitHub"},
	{".", "gh api --method", "calls GitHub"},
	{".", "aws cloudtrail lookup-events", "moto does not implement it"},
	{"examples/terraform", "terraform init", "downloads the AWS provider from the registry; TestTerraform works without it"},
	{"examples/terraform", "terraform plan", "the same"},
	{"examples/cloudformation", "aws cloudformation create-stack-set ", "moto has no organization; TestMoto makes a stack set of accounts"},
	{"examples/cloudformation", "aws cloudformation create-stack-instances ", "the same"},
}

var (
	shellBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	continued  = regexp.MustCompile(`\\\n\s*`)
)

// TestDocuments runs the commands of all pages that people write, as they are and in their order, in a copy of this checkout:
// those of AWS in moto, those of the lab in the lab. A command that is neither run nor listed above is an error.
func TestDocuments(t *testing.T) {
	t.Parallel()
	m := startMoto(t)
	root, bin := copyCheckout(t), t.TempDir()
	mustRun(t, root, nil, "go", "build", "-o", bin, "./cmd/hubspoke-chain")
	unused := slices.Clone(elsewhere)
	for _, page := range allPages(t, root) {
		m.reset(t)
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		dir := "." // the folder in which a reader runs the commands
		if strings.HasPrefix(page, "examples/") {
			dir = filepath.Dir(page)
		}
		for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
			switch block[1] {
			case "sh":
			case "json":
				if !strings.Contains(block[2], `"accounts"`) {
					continue
				}
				// The world that the command below it reads.
				if err := os.WriteFile(filepath.Join(root, dir, "world.json"), []byte(block[2]), 0o600); err != nil {
					t.Fatal(err)
				}
				continue
			case "yaml", "diff", "text", "mermaid": // cmd/hubspoke-chain tests the workflows and the log
				continue
			default:
				t.Errorf("%s has a block of the language %q:\n%s", page, block[1], block[2])
				continue
			}
			for command := range strings.Lines(continued.ReplaceAllString(block[2], " ")) {
				command = strings.TrimSpace(command)
				if command == "" || strings.HasPrefix(command, "#") {
					continue
				}
				if to, ok := strings.CutPrefix(command, "cd "); ok {
					dir = filepath.Join(dir, to)
					continue
				}
				here := func(e struct{ dir, begin, why string }) bool {
					return e.dir == dir && strings.HasPrefix(command, e.begin)
				}
				if slices.ContainsFunc(elsewhere, here) {
					unused = slices.DeleteFunc(unused, here)
					continue
				}
				t.Logf("%s: %s\n%s", page, command, m.shell(t, filepath.Join(root, dir), bin, command))
			}
		}
		switch page {
		case "README.md":
			m.hasRoles(t, root, spokes[0])
		case "docs/setup.md":
			m.hasRoles(t, root, spokes...)
		}
	}
	for _, e := range unused {
		t.Errorf("no page has the command %q in %s", e.begin, e.dir)
	}
}

// shell runs a command with bin on the PATH. The AWS CLI uses the account of the role that the command names.
func (m motoServer) shell(t *testing.T, dir, bin, command string) []byte {
	t.Helper()
	env := map[string]string{}
	switch {
	case strings.HasPrefix(command, "go "): // including the lab, which has its own AWS
	case strings.Contains(command, "deploy-production"):
		env = m.login(t, productionAccount)
	case strings.Contains(command, "deploy-development"):
		env = m.login(t, developmentAccount)
	case strings.Contains(command, "deploy-staging"), strings.Contains(command, "staging.json"):
		env = m.login(t, stagingAccount)
	default:
		env = m.login(t, hubAccount)
	}
	env = merged(env, map[string]string{"PATH": bin + ":" + os.Getenv("PATH")})
	out := mustRun(t, dir, env, "bash", "-euc", command)
	if strings.HasPrefix(command, "go test ") && strings.Contains(string(out), "no tests to run") {
		t.Errorf("%s\nfinds no test", command)
	}
	if strings.Contains(command, "get-caller-identity") {
		role := "222222222222:assumed-role/deploy-staging/"
		if strings.Contains(command, "--job production") {
			role = "333333333333:assumed-role/deploy-production/"
		}
		want := 1
		if strings.Contains(command, "for i in 1 2 3 4 5 6") {
			want = 6
		}
		if got := strings.Count(string(out), "arn:aws:sts::"+role); got != want {
			t.Errorf("%s\nprinted %s %d times, want %d:\n%s", command, role, got, want, out)
		}
	}
	return out
}

const developmentAccount = "444444444444"

// allPages returns the pages that people write, those with an order first.
func allPages(t *testing.T, root string) []string {
	t.Helper()
	all := slices.Clone(pages)
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/README.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			page, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(all, page) && !slices.Contains(generated, page) {
				all = append(all, page)
			}
		}
	}
	return all
}

// spoke is a role that a page's commands create, and the file with its trust policy.
type spoke struct{ role, account, trust string }

var spokes = []spoke{
	{"deploy-staging", stagingAccount, "spoke-trust.json"},
	{"deploy-production", productionAccount, "spoke-trust-production.json"},
	{"deploy-development", developmentAccount, "spoke-trust.json"},
}

// hasRoles compares the hub role and the spokes that a page's commands have created with the files that its commands have
// written.
func (m motoServer) hasRoles(t *testing.T, dir string, spokes ...spoke) {
	t.Helper()
	compare := func(name string, got []byte) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(meaning(t, got), meaning(t, text)) {
			t.Errorf("after the page's commands the role has\n%s\nwant %s", got, name)
		}
	}
	hub := m.login(t, hubAccount)
	compare("hub-trust.json", m.role(t, hub, "github-actions-hub").trust(t))
	compare("hub-permissions.json", m.permissions(t, hub, "github-actions-hub"))
	for _, s := range spokes {
		compare(s.trust, m.role(t, m.login(t, s.account), s.role).trust(t))
	}
}

// copyCheckout copies what git tracks, and what it would, to a directory where commands may leave files.
func copyCheckout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	names := mustRun(t, "..", nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join("..", name))
		if os.IsNotExist(err) { // deleted and not committed
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
