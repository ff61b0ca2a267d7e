package action

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
)

// pair is a variable or an output for the runner.
type pair struct{ name, value string }

// commandFile is a file that the runner reads when the step has ended, GITHUB_ENV for example. The
// writer of go-githubactions is not used: its delimiter is a constant, so that a value with line ends
// could set any variable, it writes each variable by itself, and it creates a file that is missing.
type commandFile struct {
	env   string // the variable that names the file
	pairs []pair
}

// encode returns the pairs in the runner's heredoc form, NAME<<DELIMITER. The delimiter is random and a value must not
// hold a line end, so no value can end its own heredoc.
func encode(pairs []pair) (string, error) {
	var b strings.Builder
	for _, p := range pairs {
		if p.name == "" || strings.ContainsAny(p.name, "=<\r\n\x00") {
			return "", fmt.Errorf("the name %q is not valid in a command file", p.name)
		}
		if strings.ContainsAny(p.value, "\r\n\x00") {
			return "", fmt.Errorf("the value of %s holds a line end or a NUL", p.name) // it may be secret, so it is not shown
		}
		delimiter := "hubspoke_" + rand.Text()
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", p.name, delimiter, p.value, delimiter)
	}
	return b.String(), nil
}

// writeFiles appends to every file, one write each, or leaves all of them as they were.
func writeFiles(getenv func(string) string, files ...commandFile) (err error) {
	type opened struct {
		file *os.File
		text string
		size int64 // before the write
	}
	var all []opened
	defer func() {
		for _, o := range all {
			if closing := o.file.Close(); closing != nil && err == nil {
				err = fmt.Errorf("writing a command file: %w", closing)
			}
		}
		if err == nil {
			return
		}
		for _, o := range all {
			if undoing := os.Truncate(o.file.Name(), o.size); undoing != nil {
				err = fmt.Errorf("%w, and a part of it is still there: %w", err, undoing)
			}
		}
	}()
	for _, f := range files {
		if len(f.pairs) == 0 {
			continue
		}
		text, err := encode(f.pairs)
		if err != nil {
			return err
		}
		file, size, err := openCommandFile(getenv, f.env)
		if err != nil {
			return err
		}
		if size > 0 && !endsLine(file.Name(), size) {
			text = "\n" + text // an earlier line without an end would swallow our first one
		}
		all = append(all, opened{file, text, size})
	}
	for _, o := range all {
		if _, err := o.file.WriteString(o.text); err != nil {
			return fmt.Errorf("writing a command file: %w", err)
		}
	}
	return nil
}

// openCommandFile opens the file for appending. The runner has created it; a new one would never be read.
func openCommandFile(getenv func(string) string, env string) (*os.File, int64, error) {
	path := getenv(env)
	if path == "" {
		return nil, 0, fmt.Errorf("%s is not set: this is not running as a step of GitHub Actions", env)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, fmt.Errorf("opening %s: %w", env, err)
	}
	if !info.Mode().IsRegular() { // checked before opening, which would block on a pipe
		return nil, 0, fmt.Errorf("opening %s: %s is not a regular file", env, path)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("opening %s: %w", env, err)
	}
	return file, info.Size(), nil
}

// endsLine reports whether the last byte of the file is a line end; false for one that cannot be read, since an empty
// line does no harm.
func endsLine(path string, size int64) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	var last [1]byte
	_, err = file.ReadAt(last[:], size-1)
	return err == nil && last[0] == '\n'
}

// appendSummary adds Markdown to the job summary.
func appendSummary(getenv func(string) string, markdown string) error {
	file, _, err := openCommandFile(getenv, "GITHUB_STEP_SUMMARY")
	if err != nil {
		return err
	}
	_, err = file.WriteString(markdown)
	return errors.Join(err, file.Close())
}
