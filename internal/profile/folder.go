// Package profile puts AWS profiles where later steps of a job find them: a folder in the runner's temp directory,
// and in it the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name. It knows how a container and the
// steps on the host see one directory under two paths, and how to edit a file of profiles without touching
// what else is in it. What goes into the profiles is the caller's.
package profile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
)

// Folder is a folder for later steps.
type Folder struct {
	Name string // of the folder itself, unique
	Path string // as this process sees it: through a handle where the system has that (Linux), whatever becomes of the name
	Host string // as the steps on the host see it, and so what a variable may name: the runner translates it for containers
	// FromTemp is the path behind "$RUNNER_TEMP/", which is right in every step that has the runner's temp directory.
	FromTemp string
	// InHome says that the folder lies in the runner's home for containers, since the temp directory itself is not
	// mounted: runners before v2.329. Then RUNNER_TEMP leads no later container to it.
	InHome bool

	dir      string   // the folder by its name, as this process sees it
	handle   *os.File // keeps Path right
	uid, gid int      // of the runner's user
}

// prefix of a folder's name.
const prefix = "hubspoke-chain-"

// folderName is compiled when it is first used: few steps need it.
var folderName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + prefix + `[a-z2-7]{26}$`) })

// home is where the runner's temp directory keeps the home of containers (actions/runner, ContainerActionHandler.cs).
const home = "_github_home"

// Make makes a folder that is closed to everybody else, and that HandOver gives to the runner's user. hostTemp is the runner's temp
// directory as the host sees it, absolute; it reaches a container as an argument, since the runner translates
// variables. Whoever owns GITHUB_ENV is the runner's user.
func Make(getenv func(string) string, hostTemp string) (Folder, error) {
	if err := checkHostTemp(getenv, hostTemp); err != nil {
		return Folder{}, err
	}
	info, err := os.Stat(getenv("GITHUB_ENV"))
	if err != nil {
		return Folder{}, fmt.Errorf("looking at GITHUB_ENV, whose owner the files are for: %w", err)
	}
	uid, gid, ok := owner(info)
	if !ok {
		return Folder{}, errors.New("looking at GITHUB_ENV: this system does not tell the owner of a file")
	}
	f := Folder{Name: prefix + strings.ToLower(rand.Text()), uid: uid, gid: gid}
	f.FromTemp = f.Name
	f.Host = filepath.Join(hostTemp, f.Name)
	base := getenv("RUNNER_TEMP")
	if !isDirectory(base) {
		base, f.InHome = getenv("HOME"), true
		f.FromTemp = home + "/" + f.Name
		f.Host = filepath.Join(hostTemp, home, f.Name)
	}
	if !isDirectory(base) {
		return Folder{}, fmt.Errorf("neither RUNNER_TEMP (%q) nor HOME (%q) is a directory here, so no file reaches later steps", getenv("RUNNER_TEMP"), getenv("HOME"))
	}
	f.dir = filepath.Join(base, f.Name)
	if err := os.Mkdir(f.dir, 0o700); err != nil {
		return Folder{}, fmt.Errorf("making a folder in the runner's temp directory: %w", err)
	}
	if err := f.open(); err != nil {
		return Folder{}, fmt.Errorf("opening the folder that was made in the runner's temp directory: %w", err)
	}
	return f, nil
}

// open takes hold of the folder. The directory around it is the runner's user's, who can put another one, or a link, in
// its place: only one that is this user's and closed to all others is taken.
func (f *Folder) open() error {
	handle, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	held, err := handle.Stat()
	named, err2 := os.Lstat(f.dir)
	if err := errors.Join(err, err2); err != nil {
		return errors.Join(err, handle.Close())
	}
	uid, _, _ := owner(held)
	if !os.SameFile(held, named) || !held.IsDir() || held.Mode().Perm() != 0o700 || uid != os.Geteuid() {
		return errors.Join(fmt.Errorf("%s is another one by now", f.dir), handle.Close())
	}
	f.handle, f.Path = handle, fmt.Sprintf("/proc/self/fd/%d", handle.Fd())
	if !isDirectory(f.Path) {
		f.Path = f.dir
	}
	return nil
}

// checkHostTemp holds the path to what the runner says elsewhere: it is where the temp directory lies beside the
// workspaces. Steps would get files under a path that does not exist otherwise.
func checkHostTemp(getenv func(string) string, hostTemp string) error {
	const internal = "host-temp is set by action.yml; leave it out of the step"
	if !filepath.IsAbs(hostTemp) {
		return fmt.Errorf("the runner's temp directory on the host is given as %q, which is not an absolute path (%s)", hostTemp, internal)
	}
	hostTemp = filepath.Clean(hostTemp)
	workspace := getenv("RUNNER_WORKSPACE")
	if filepath.Base(hostTemp) != "_temp" && hostTemp != getenv("RUNNER_TEMP") && (workspace == "" || hostTemp != filepath.Join(filepath.Dir(workspace), "_temp")) {
		return fmt.Errorf("the runner's temp directory on the host is given as %q, which does not end in /_temp (%s)", hostTemp, internal)
	}
	return nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return filepath.IsAbs(path) && err == nil && info.IsDir()
}

// HandOver gives the folder and what is in it to the runner's user, the folder last: until then nobody but root gets
// into it, and Path leads into no other, so nothing in it is swapped while it is written or tried. Only root can give, and nobody else needs to:
// a step that is not root is the runner's user itself.
func (f Folder) HandOver() error {
	if os.Geteuid() != 0 {
		return nil
	}
	entries, err := os.ReadDir(f.Path)
	for _, entry := range entries {
		err = errors.Join(err, os.Lchown(filepath.Join(f.Path, entry.Name()), f.uid, f.gid))
	}
	if err == nil {
		err = f.handle.Chown(f.uid, f.gid)
	}
	if err != nil {
		return fmt.Errorf("giving the folder to the runner's user: %w", err)
	}
	return nil
}

// Write writes a new file that only the runner's user can read.
func (f Folder) Write(name, text string) error {
	return f.write(name, strings.NewReader(text), 0o600)
}

// CopyProgram copies a program into the folder, for the runner's user alone to run, at once: while it is open for writing,
// this process starts no other. That one would hold it open until it runs its own program, and Linux runs no file that
// anybody can still write (ETXTBSY, golang/go#22315).
func (f Folder) CopyProgram(name, from string) error {
	program, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("reading this program: %w", err)
	}
	defer program.Close()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return f.write(name, program, 0o700)
}

func (f Folder) write(name string, content io.Reader, mode fs.FileMode) error {
	path := filepath.Join(f.Path, name)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("writing for later steps: %w", err)
	}
	_, err = io.Copy(file, content)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing for later steps: %w", err)
	}
	return nil
}

// Remove removes the folder and what is in it.
func (f Folder) Remove() error { return errors.Join(f.handle.Close(), os.RemoveAll(f.dir)) }

// CleanUp removes the folder that a step of this name made, wherever Make may have put it, and tells whether there
// was one. Any other name is refused.
func CleanUp(getenv func(string) string, name string) (found bool, err error) {
	if !folderName().MatchString(name) {
		return false, fmt.Errorf("%q is not the name of a folder of this action", name)
	}
	for _, base := range []string{getenv("RUNNER_TEMP"), getenv("HOME")} {
		path := filepath.Join(base, name)
		if !filepath.IsAbs(base) {
			continue
		}
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		found = true
		// Under another name first: a process that still writes by the old one would fill the folder while it is emptied.
		removing := path + ".removing"
		if err := os.Rename(path, removing); err != nil {
			return true, err
		}
		if err := os.RemoveAll(removing); err != nil {
			return true, err
		}
	}
	return found, nil
}

// maxFile is how much of a file of profiles is read, in bytes. People's have some kilobytes.
const maxFile = 1 << 20

// Existing reads the file of profiles that an earlier step exported in the variable, so that its profiles can stand
// in the file that takes its place. No variable and no file are both an empty text, as they are to AWS's SDKs. Only what
// lies in the workspace or the runner's temp directory is read: of any other path the container does not see the
// host's file, and what it sees there itself, /proc for example, is nobody's profiles.
func Existing(getenv func(string) string, variable string) (string, error) {
	path := getenv(variable)
	if path == "" {
		return "", nil
	}
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s: %q is not an absolute path, so its profiles cannot be kept", variable, path)
	}
	base, name, visible := mounted(getenv, filepath.Clean(path))
	if !visible {
		return "", fmt.Errorf("%s: its profiles cannot be kept, because this container does not see %q; put the file below the workspace or the runner's temp directory, or set %s to nothing for this step", variable, path, variable)
	}
	text, err := read(base, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("%s: %q %w", variable, path, err)
	}
	return text, nil
}

// read reads a file of profiles in a directory, out of which no link leads.
func read(base, name string) (string, error) {
	root, err := os.OpenRoot(base)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return "", fmt.Errorf("is not a regular file of at most %d bytes", maxFile)
	}
	file, err := root.Open(name)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	// A line end or a space to some SDKs only, before a header, would hide that header's profile from us and not from them.
	odd := func(c rune) bool { return c < ' ' && c != '\t' && c != '\n' || c == '\u007f' || c == '\ufeff' }
	if len(text) > maxFile || bytes.ContainsFunc(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), odd) {
		return "", fmt.Errorf("is not a text of at most %d bytes", maxFile)
	}
	return string(text), nil
}

// Disable puts the process in the place of the credentials of each profile that this action made, in the config and the
// credentials file of every folder that Make made in this job and that is still there. A step may have the variables that
// lead there set to something else, so they are not asked. Each file is changed as a whole, and what else is in it stays.
func Disable(getenv func(string) string, config, credentials, process string) error {
	var errs []error
	for _, base := range []string{getenv("RUNNER_TEMP"), getenv("HOME")} {
		if !isDirectory(base) {
			continue
		}
		entries, err := os.ReadDir(base)
		errs = append(errs, err)
		for _, entry := range entries {
			if folderName().MatchString(entry.Name()) {
				// The credentials last: a profile that has both prefers, in most SDKs, those to the process.
				errs = append(errs,
					disable(base, filepath.Join(entry.Name(), config), Config, Setting{"credential_process", process}),
					disable(base, filepath.Join(entry.Name(), credentials), Credentials))
			}
		}
	}
	return errors.Join(errs...)
}

func disable(base, name string, f File, settings ...Setting) error {
	text, err := read(base, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	path := filepath.Join(base, name)
	if err != nil {
		return fmt.Errorf("%q %w", path, err)
	}
	names := Own(text, f)
	if len(names) == 0 {
		return nil
	}
	for _, profile := range names {
		text = Without(text, f, profile)
		if len(settings) > 0 {
			if text, err = With(text, f, profile, settings...); err != nil {
				return fmt.Errorf("%q: %w", path, err)
			}
		}
	}
	if err := replace(base, name, text); err != nil {
		return fmt.Errorf("%q cannot be written: %w", path, err)
	}
	return nil
}

// replace puts a file in the place of another, for the same owner. The folder is the runner's user's by now, so no
// link is followed out of it.
func replace(base, name, text string) error {
	root, err := os.OpenRoot(base)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	next := name + ".new"
	if err := root.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := root.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if uid, gid, ok := owner(info); ok && os.Geteuid() == 0 {
		err = errors.Join(err, file.Chown(uid, gid))
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return root.Rename(next, name)
}

// mounted gives the directory that the runner mounts and the path lies in, and the rest of the path.
func mounted(getenv func(string) string, path string) (base, rest string, ok bool) {
	for _, base := range []string{getenv("RUNNER_TEMP"), getenv("HOME"), getenv("GITHUB_WORKSPACE")} {
		if rest, found := strings.CutPrefix(path, strings.TrimSuffix(base, "/")+"/"); found && base != "" && rest != "" {
			return base, rest, true
		}
	}
	return "", "", false
}
