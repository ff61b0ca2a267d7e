package storm

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// job is the files of a runner, and the variables that name them.
type job struct {
	temp string
	env  map[string]string
}

var commandFiles = []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"}

// newJob makes the files, which belong to owner; 0 for whoever runs this.
func newJob(dir string, owner int) (job, error) {
	j := job{temp: filepath.Join(dir, "_temp"), env: map[string]string{}}
	commands := filepath.Join(dir, "_runner_file_commands")
	for _, d := range []string{j.temp, commands} {
		if err := errors.Join(os.MkdirAll(d, 0o755), give(d, owner)); err != nil {
			return job{}, err
		}
	}
	for _, name := range commandFiles {
		j.env[name] = filepath.Join(commands, name)
		if err := errors.Join(os.WriteFile(j.env[name], nil, 0o644), give(j.env[name], owner)); err != nil {
			return job{}, err
		}
	}
	j.env["RUNNER_TEMP"], j.env["HOME"] = j.temp, filepath.Join(dir, "home")
	return j, nil
}

func give(path string, owner int) error {
	if owner == 0 {
		return nil
	}
	return os.Chown(path, owner, owner)
}

// mischief spoils a command file, at once or while the step runs, and gives what waits for it.
func (j job) mischief(w weather) (wait func()) {
	path := j.env[w.spoiled]
	var spoil func()
	switch w.how {
	case "missing":
		os.Remove(path)
	case "directory":
		os.Remove(path)
		os.Mkdir(path, 0o755)
	case "partial":
		os.WriteFile(path, []byte("FROM_BEFORE=1"), 0o644)
	case "read-only": // which root does not heed
		os.Chmod(path, 0o444)
	case "vanishes":
		spoil = func() { os.Remove(path) }
	case "becomes a directory":
		spoil = func() { os.Remove(path); os.Mkdir(path, 0o755) }
	}
	if spoil == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(w.when)
		spoil()
	}()
	return func() { <-done }
}

// read gives the text of a command file, and whether there is one to read.
func (j job) read(name string) (string, bool) {
	text, err := os.ReadFile(j.env[name])
	return string(text), err == nil
}
