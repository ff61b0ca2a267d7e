package handover

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/org/hubspoke-chain/internal/profile"
)

// given is an environment.
type given map[string]string

func (g given) get(name string) string { return g[name] }

// runner returns the environment that a runner sets on the host, below a temporary directory.
func runner(t *testing.T) given {
	t.Helper()
	work := t.TempDir()
	env := given{
		"RUNNER_TEMP":      filepath.Join(work, "_temp"),
		"HOME":             filepath.Join(work, "_temp", "_github_home"),
		"RUNNER_WORKSPACE": filepath.Join(work, "repo"),
		"GITHUB_WORKSPACE": filepath.Join(work, "repo", "repo"),
		"GITHUB_ENV":       filepath.Join(work, "_temp", "env"),
	}
	for _, dir := range []string{env["HOME"], env["GITHUB_WORKSPACE"]} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(env["GITHUB_ENV"], nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return env
}

// same reports whether two paths refer to the same directory.
func same(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// TestSwapped replaces our folder with another while it is written.
func TestSwapped(t *testing.T) {
	t.Parallel()
	env := runner(t)
	f, err := Make(env.get, env["RUNNER_TEMP"])
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := f.dir+".ours", t.TempDir()
	if err := os.Rename(f.dir, ours); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(theirs, f.dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Write("config", "text"); err != nil {
		t.Fatal(err)
	}
	if err := f.HandOver(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(ours, "config")); err != nil || string(text) != "text" {
		t.Errorf("ours holds %q, %v", text, err)
	}
	if entries, err := os.ReadDir(theirs); err != nil || len(entries) > 0 {
		t.Errorf("theirs holds %v, %v", entries, err)
	}

	// And before it is opened: a link, and a folder that is open to others.
	if err := (&Folder{dir: f.dir}).open(); err == nil || err.Error() != f.dir+" was replaced" {
		t.Errorf("a link: %v", err)
	}
	if err := os.Chmod(theirs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (&Folder{dir: theirs}).open(); err == nil || err.Error() != theirs+" was replaced" {
		t.Errorf("an open folder: %v", err)
	}
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chmod(theirs, 0o700), os.Chown(theirs, 12345, 12345)); err != nil {
			t.Fatal(err)
		}
		if err := (&Folder{dir: theirs}).open(); err == nil {
			t.Error("the folder of another user was taken")
		}
	}
}

func TestMake(t *testing.T) {
	t.Parallel()
	env := runner(t)
	f, err := Make(env.get, env["RUNNER_TEMP"])
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(env["RUNNER_TEMP"], f.Name); !same(f.Path, want) || f.Host != want || f.FromTemp != f.Name || f.InHome {
		t.Errorf("got %+v", f)
	}
	if err := f.Write("config", "text"); err != nil {
		t.Fatal(err)
	}
	if err := f.CopyProgram("program", "/proc/self/exe"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{"": 0o700 | os.ModeDir, "config": 0o600, "program": 0o700} {
		info, err := os.Stat(filepath.Join(f.Path, path))
		if err != nil || info.Mode() != want {
			t.Errorf("%q has mode %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
	if err := f.Write("config", "again"); err == nil {
		t.Error("a file was written over")
	}
	other, err := Make(env.get, env["RUNNER_TEMP"])
	if err != nil || other.Name == f.Name {
		t.Errorf("a second use has the folder %q too, %v", other.Name, err)
	}
	if found, err := CleanUp(env.get, f.Name); !found || err != nil {
		t.Errorf("cleaning found %v, %v", found, err)
	}
	if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if _, err := os.Stat(other.Path); err != nil {
		t.Errorf("the other folder is gone: %v", err)
	}
	if found, err := CleanUp(env.get, f.Name); found || err != nil {
		t.Errorf("cleaning again found %v, %v", found, err)
	}
}

// TestCopyProgram runs programs right behind their copying, while others are started.
func TestCopyProgram(t *testing.T) {
	t.Parallel()
	env := runner(t)
	f, err := Make(env.get, env["RUNNER_TEMP"])
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 25 {
				name := fmt.Sprintf("true-%d-%d", worker, i)
				if err := f.CopyProgram(name, "/bin/true"); err != nil {
					t.Error(err)
				}
				command := exec.Command("./" + name)
				command.Dir = f.Path
				if out, err := command.CombinedOutput(); err != nil {
					t.Errorf("%v %s", err, out)
				}
			}
		})
	}
	all.Wait()
}

// TestMakeInContainer has the paths that a container sees, which differ from the host's, with the temp directory
// mounted and as it was before.
func TestMakeInContainer(t *testing.T) {
	t.Parallel()
	env := runner(t)
	const host = "/home/runner/work/_temp"
	f, err := Make(env.get, host)
	if err != nil || f.Host != host+"/"+f.Name || !same(f.Path, filepath.Join(env["RUNNER_TEMP"], f.Name)) || f.FromTemp != f.Name || f.InHome {
		t.Errorf("got %+v, %v", f, err)
	}
	env["RUNNER_TEMP"] = host // as a runner names it that does not mount it
	f, err = Make(env.get, host)
	if err != nil || f.Host != host+"/_github_home/"+f.Name || !same(f.Path, filepath.Join(env["HOME"], f.Name)) || f.FromTemp != "_github_home/"+f.Name || !f.InHome {
		t.Errorf("without the mount: got %+v, %v", f, err)
	}
	if found, err := CleanUp(env.get, f.Name); !found || err != nil {
		t.Errorf("cleaning the home found %v, %v", found, err)
	}
}

func TestMakeRefuses(t *testing.T) {
	t.Parallel()
	const internal = " (action.yml sets host-temp; remove it from the step)"
	for _, test := range []struct {
		hostTemp string
		change   func(given)
		want     string
	}{
		{"", func(given) {}, `the runner's temp directory on the host is "", which is not an absolute path` + internal},
		{"_temp", func(given) {}, `the runner's temp directory on the host is "_temp", which is not an absolute path` + internal},
		{"/etc", func(given) {}, `the runner's temp directory on the host is "/etc", which does not end in /_temp` + internal},
		{"/w/_temp/../etc", func(given) {}, `the runner's temp directory on the host is "/w/etc", which does not end in /_temp` + internal},
		{"/w/_temp", func(g given) { g["RUNNER_TEMP"], g["HOME"] = "/absent", "" }, `neither RUNNER_TEMP ("/absent") nor HOME ("") is a directory here, so later steps cannot receive files`},
		{"/w/_temp", func(g given) { g["GITHUB_ENV"] = "/absent" }, `looking at GITHUB_ENV, whose owner the files are for: stat /absent: no such file or directory`},
	} {
		env := runner(t)
		test.change(env)
		if _, err := Make(env.get, test.hostTemp); err == nil || err.Error() != test.want {
			t.Errorf("%q: got  %v\nwant %s", test.hostTemp, err, test.want)
		}
	}
	env := runner(t)
	env["RUNNER_WORKSPACE"] = "/w/repo"
	env["RUNNER_TEMP"] = t.TempDir()
	if _, err := Make(env.get, env["RUNNER_TEMP"]); err != nil {
		t.Errorf("the runner's own temp directory: %v", err)
	}
}

func TestCleanRefuses(t *testing.T) {
	t.Parallel()
	env := runner(t)
	for _, name := range []string{"", ".", "..", "hubspoke-chain-", "hubspoke-chain-../../x", "_github_home", "hubspoke-chain-" + strings.Repeat("a", 25) + "/", "/hubspoke-chain-" + strings.Repeat("a", 26)} {
		if found, err := CleanUp(env.get, name); err == nil || found {
			t.Errorf("%q: found %v, %v", name, found, err)
		}
	}
	if _, err := os.Stat(env["HOME"]); err != nil {
		t.Error(err)
	}
}

func TestExisting(t *testing.T) {
	t.Parallel()
	env := runner(t)
	file := filepath.Join(env["GITHUB_WORKSPACE"], "config")
	if err := os.WriteFile(file, []byte("[default]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	unseen := filepath.Join(t.TempDir(), "config")
	large := filepath.Join(env["GITHUB_WORKSPACE"], "large")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	link, binary := filepath.Join(env["GITHUB_WORKSPACE"], "link"), filepath.Join(env["GITHUB_WORKSPACE"], "binary")
	if err := os.Symlink("/proc/self/environ", link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, []byte("[x]\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]struct{ text, err string }{
		"":           {"", ""},
		file:         {"[default]\n", ""},
		file + "-no": {"", ""},
		"~/config":   {"", `AWS_CONFIG_FILE: "~/config" is not an absolute path, so its profiles cannot be kept`},
		unseen: {"", `AWS_CONFIG_FILE: its profiles cannot be kept, because this container does not see "` + unseen +
			`"; put the file below the workspace or the runner's temp directory, or set AWS_CONFIG_FILE to an empty value for this step`},
		env["HOME"]: {"", `AWS_CONFIG_FILE: "` + env["HOME"] + `" is not a regular file of at most 1048576 bytes`},
		"/proc/self/environ": {"", `AWS_CONFIG_FILE: its profiles cannot be kept, because this container does not see "/proc/self/environ"` +
			`; put the file below the workspace or the runner's temp directory, or set AWS_CONFIG_FILE to an empty value for this step`},
		link:   {"", `AWS_CONFIG_FILE: "` + link + `" cannot be read: statat link: path escapes from parent`},
		binary: {"", `AWS_CONFIG_FILE: "` + binary + `" is not a text of at most 1048576 bytes`},
		large:  {"", `AWS_CONFIG_FILE: "` + large + `" is not a regular file of at most 1048576 bytes`},
	} {
		env["AWS_CONFIG_FILE"] = value
		text, err := Existing(env.get, "AWS_CONFIG_FILE")
		message := ""
		if err != nil {
			message = err.Error()
		}
		if text != want.text || message != want.err {
			t.Errorf("%s: got %q, %s\nwant %q, %s", value, text, message, want.text, want.err)
		}
	}
}

func TestDisable(t *testing.T) {
	t.Parallel()
	env := runner(t)
	f, err := Make(env.get, env["RUNNER_TEMP"])
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"config": "[default]\nregion = eu-west-1\n", "credentials": "[theirs]\naws_access_key_id = AKIAEXAMPLE\n"}
	for _, name := range []string{"a", "b"} {
		if texts["config"], err = profile.With(texts["config"], profile.Config, name, profile.Setting{Name: "region", Value: "us-east-1"}); err != nil {
			t.Fatal(err)
		}
		if texts["credentials"], err = profile.With(texts["credentials"], profile.Credentials, name, profile.Setting{Name: "aws_access_key_id", Value: "ASIAEXAMPLE"}); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range texts {
		if err := f.Write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	f.uid, f.gid = os.Geteuid(), os.Getegid()
	if f.uid == 0 {
		f.uid, f.gid = 12345, 12345
	}
	if err := f.HandOver(); err != nil {
		t.Fatal(err)
	}
	check := func(dir string, want map[string]string) {
		t.Helper()
		for name, want := range want {
			path := filepath.Join(dir, name)
			got, err := os.ReadFile(path)
			info, _ := os.Stat(path)
			lines := strings.FieldsFunc(string(got), func(c rune) bool { return c == '\n' }) // but for blank ones
			if err != nil || strings.Join(lines, "\n")+"\n" != want {
				t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, want)
			}
			if uid, gid, _ := owner(info); info.Mode() != 0o600 || uid != f.uid || gid != f.gid {
				t.Errorf("%s: mode %v of %d:%d", name, info.Mode(), uid, gid)
			}
		}
	}
	// Files left by a killed process must not interfere.
	if err := os.WriteFile(filepath.Join(f.dir, "config.new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	disabled := map[string]string{
		"config": "[default]\nregion = eu-west-1\n[profile a]\n# made by hubspoke-chain\ncredential_process = false\n" +
			"[profile b]\n# made by hubspoke-chain\ncredential_process = false\n",
		"credentials": "[theirs]\naws_access_key_id = AKIAEXAMPLE\n",
	}
	for range 2 {
		if err := Disable(env.get, "config", "credentials", "false"); err != nil {
			t.Fatal(err)
		}
		check(f.dir, disabled)
	}
	if entries, err := os.ReadDir(f.dir); err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}

	// A folder that leads out of the runner's temp directory, and files that are not in a folder of this action.
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(f.dir, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, f.dir); err != nil {
		t.Fatal(err)
	}
	if err := Disable(env.get, "config", "credentials", "true"); err == nil || strings.Count(err.Error(), "path escapes from parent") != 2 {
		t.Errorf("a link: %v", err)
	}
	check(elsewhere, disabled)
	theirs := filepath.Join(env["GITHUB_WORKSPACE"], "aws")
	if err := os.Rename(elsewhere, theirs); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.dir); err != nil {
		t.Fatal(err)
	}
	env["AWS_CONFIG_FILE"], env["AWS_SHARED_CREDENTIALS_FILE"] = filepath.Join(theirs, "config"), filepath.Join(theirs, "credentials")
	if err := Disable(env.get, "config", "credentials", "true"); err != nil {
		t.Error(err)
	}
	check(theirs, disabled)
}
