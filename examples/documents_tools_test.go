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

// page is a page with commands in it, and the folder in which a reader runs them.
type page struct{ path, dir string }

var pages = []page{
	{"README.md", "."}, {"SECURITY.md", "."}, {"docs/fleet.md", "."}, {"docs/performance.md", "."}, {"docs/security.md", "."},
	{"examples/cli/README.md", "examples/cli"}, {"examples/cloudformation/README.md", "examples/cloudformation"},
	{"examples/lab/README.md", "examples/lab"}, {"examples/terraform/README.md", "examples/terraform"},
	{"examples/workflows/README.md", "examples/workflows"},
}

// elsewhere are the commands that are not run here, by the folder in which they are and their beginning; why says what runs
// them, or why nothing can.
var elsewhere = []struct{ dir, begin, why string }{
	{".", "go run ./cmd/hubspoke-lab demo", ".ci/run"},
	{".", "go test ./...", ".ci/run"},
	{".", "go run ./cmd/hubspoke-lab serve", "cmd/hubspoke-lab/testdata/script/serve.txtar"},
	{".", "scripts/performance.sh", ".ci/run, with --quick"},
	{".", "cosign verify", "there is no release yet; scripts/rehearse-release.sh makes and verifies one of its own"},
	{".", "sha256sum --ignore-missing", "the same"},
	{".", "gh attestation verify", "asks GitHub"},
	{"examples/terraform", "terraform init", "asks the registry for the AWS provider; TestTerraform does without"},
	{"examples/terraform", "terraform plan", "the same"},
	{"examples/cloudformation", "aws cloudformation create-stack-set ", "moto has no organization; TestMoto makes a stack set of accounts"},
	{"examples/cloudformation", "aws cloudformation create-stack-instances ", "the same"},
}

var (
	shellBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	continued  = regexp.MustCompile(`\\\n\s*`)
)

// TestDocuments runs the commands of the pages, as they stand and in their order, in a copy of this checkout: those of AWS
// in moto, those of the lab in the lab. A command that is neither run nor listed above fails. docs/failures.md is not among
// the pages: it is written by a test.
func TestDocuments(t *testing.T) {
	t.Parallel()
	m := startMoto(t)
	root, bin := copyCheckout(t), t.TempDir()
	mustRun(t, root, nil, "go", "build", "-o", bin, "./cmd/hubspoke-chain")
	unused := slices.Clone(elsewhere)
	for _, p := range pages {
		m.reset(t)
		text, err := os.ReadFile(filepath.Join(root, p.path))
		if err != nil {
			t.Fatal(err)
		}
		dir := p.dir
		for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
			switch block[1] {
			case "sh":
			case "json": // the world that the command below it reads
				if err := os.WriteFile(filepath.Join(root, dir, "world.json"), []byte(block[2]), 0o600); err != nil {
					t.Fatal(err)
				}
				continue
			case "yaml", "diff", "text": // workflows and logs, which TestReadmeWorkflows and TestReadmeLog look at
				continue
			default:
				t.Errorf("%s has a block of the language %q:\n%s", p.path, block[1], block[2])
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
				t.Logf("%s: %s\n%s", p.path, command, m.shell(t, filepath.Join(root, dir), bin, command))
			}
		}
		if p.path == "README.md" {
			m.hasRoles(t, root)
		}
	}
	for _, e := range unused {
		t.Errorf("no page has the command %q in %s any more", e.begin, e.dir)
	}
}

// shell runs a command, with the program in bin where it is to be on the PATH. The AWS CLI is logged in to the account of the role that the command is about.
func (m motoServer) shell(t *testing.T, dir, bin, command string) []byte {
	t.Helper()
	env := map[string]string{}
	switch {
	case strings.HasPrefix(command, "go "): // the lab too, which has an AWS of its own
	case strings.Contains(command, "deploy-production"):
		env = m.login(t, productionAccount)
	case strings.Contains(command, "deploy-staging"), strings.Contains(command, "staging.json"):
		env = m.login(t, stagingAccount)
	default:
		env = m.login(t, hubAccount)
	}
	env = merged(env, map[string]string{"PATH": bin + ":" + os.Getenv("PATH")})
	out := mustRun(t, dir, env, "bash", "-euc", command)
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

// hasRoles compares the roles that README.md's commands have made with the files that its commands have written.
func (m motoServer) hasRoles(t *testing.T, dir string) {
	t.Helper()
	read := func(name string) any {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return meaning(t, text)
	}
	hub := m.login(t, hubAccount)
	for name, got := range map[string][]byte{
		"hub-trust.json":              m.role(t, hub, "github-actions-hub").trust(t),
		"hub-permissions.json":        m.permissions(t, hub, "github-actions-hub"),
		"spoke-trust.json":            m.role(t, m.login(t, stagingAccount), "deploy-staging").trust(t),
		"spoke-trust-production.json": m.role(t, m.login(t, productionAccount), "deploy-production").trust(t),
	} {
		if want := read(name); !reflect.DeepEqual(meaning(t, got), want) {
			t.Errorf("after README.md's commands the role has\n%s\nwhich is not %s", got, name)
		}
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
