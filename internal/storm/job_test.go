package storm

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// job is a runner's files and the variables that name them.
type job struct {
	temp string
	env  map[string]string
}

var commandFiles = []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"}

// newJob creates the files for the user owner; 0 is the user of this process.
func newJob(dir string, owner int) (job, error) {
	j := job{temp: filepath.Join(dir, "_temp"), env: map[string]string{}}
	commands := filepath.Join(dir, "_runner_file_commands")
	for _, d := range []string{j.temp, commands} {
		if err := errors.Join(os.MkdirAll(d, 0o755), chown(d, owner)); err != nil {
			return job{}, err
		}
	}
	for _, name := range commandFiles {
		j.env[name] = filepath.Join(commands, name)
		if err := errors.Join(os.WriteFile(j.env[name], nil, 0o644), chown(j.env[name], owner)); err != nil {
			return job{}, err
		}
	}
	j.env["RUNNER_TEMP"], j.env["HOME"] = j.temp, filepath.Join(dir, "home")
	return j, nil
}

func chown(path string, owner int) error {
	if owner == 0 {
		return nil
	}
	return os.Chown(path, owner, owner)
}

// damage damages a command file, now or while the step runs. The returned function waits until that is done.
func (j job) damage(c conditions) (wait func()) {
	path := j.env[c.damaged]
	var change func()
	switch c.how {
	case "missing":
		os.Remove(path)
	case "directory":
		os.Remove(path)
		os.Mkdir(path, 0o755)
	case "partial":
		os.WriteFile(path, []byte("FROM_BEFORE=1"), 0o644)
	case "read-only": // root can still write
		os.Chmod(path, 0o444)
	case "vanishes":
		change = func() { os.Remove(path) }
	case "becomes a directory":
		change = func() { os.Remove(path); os.Mkdir(path, 0o755) }
	}
	if change == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(c.when)
		change()
	}()
	return func() { <-done }
}

// read returns the text of a command file and whether it is readable.
func (j job) read(name string) (string, bool) {
	text, err := os.ReadFile(j.env[name])
	return string(text), err == nil
}
