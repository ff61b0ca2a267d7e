// Package handover puts files where later steps of a job find them: a folder in the runner's temp directory that belongs
// to the runner's user. It maps between the two paths of a directory, in a container and on the host, and reads and
// changes the files of profiles that earlier steps left. The contents of the files are the caller's.
package handover

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/org/hubspoke-chain/internal/pattern"
	"github.com/org/hubspoke-chain/internal/profile"
)

// Folder is a folder for later steps.
type Folder struct {
	Name string // of the folder itself, unique
	Path string // as this process sees it: through a handle where the system has that (Linux), so that a change of the name has no effect
	Host string // as the steps on the host see it, and so the path for a variable: the runner translates it for containers
	// FromTemp is the path after "$RUNNER_TEMP/", which is right in every step that has the runner's temp directory.
	FromTemp string
	// InHome reports that the folder is in the runner's home for containers, since the temp directory itself is not
	// mounted: runners before v2.329. Later containers then do not find it through RUNNER_TEMP.
	InHome bool

	dir      string   // the folder by its name, as this process sees it
	handle   *os.File // keeps Path right
	uid, gid int      // of the runner's user
}

// prefix of a folder's name.
const prefix = "hubspoke-chain-"

// folderName is compiled when it is first used: few steps need it.
var folderName = pattern.Lazy(`^` + prefix + `[a-z2-7]{26}$`)

// home is the home of containers in the runner's temp directory (actions/runner, ContainerActionHandler.cs).
const home = "_github_home"

// Make creates a folder that only this user can read, and that HandOver gives to the runner's user, the owner of
// GITHUB_ENV. hostTemp is the runner's temp directory as the host sees it, absolute; it reaches a container as an
// argument, since the runner translates variables.
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
		return Folder{}, errors.New("looking at GITHUB_ENV: this system has no owner of a file")
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
		return Folder{}, fmt.Errorf("neither RUNNER_TEMP (%q) nor HOME (%q) is a directory here, so later steps cannot receive files", getenv("RUNNER_TEMP"), getenv("HOME"))
	}
	f.dir = filepath.Join(base, f.Name)
	if err := os.Mkdir(f.dir, 0o700); err != nil {
		return Folder{}, fmt.Errorf("creating a folder in the runner's temp directory: %w", err)
	}
	if err := f.open(); err != nil {
		return Folder{}, fmt.Errorf("opening the folder that was created in the runner's temp directory: %w", err)
	}
	return f, nil
}

// open opens a handle of the folder. The directory around it belongs to the runner's user, who can replace the folder by
// another one or a link: only one that belongs to this user and is closed to all others is accepted.
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
		return errors.Join(fmt.Errorf("%s was replaced", f.dir), handle.Close())
	}
	f.handle, f.Path = handle, fmt.Sprintf("/proc/self/fd/%d", handle.Fd())
	if !isDirectory(f.Path) {
		f.Path = f.dir
	}
	return nil
}

// checkHostTemp checks the path against the runner's other variables: the temp directory is next to the workspaces.
// Otherwise steps would get files under a path that does not exist.
func checkHostTemp(getenv func(string) string, hostTemp string) error {
	const internal = "action.yml sets host-temp; remove it from the step"
	if !filepath.IsAbs(hostTemp) {
		return fmt.Errorf("the runner's temp directory on the host is %q, which is not an absolute path (%s)", hostTemp, internal)
	}
	hostTemp = filepath.Clean(hostTemp)
	workspace := getenv("RUNNER_WORKSPACE")
	if filepath.Base(hostTemp) != "_temp" && hostTemp != getenv("RUNNER_TEMP") && (workspace == "" || hostTemp != filepath.Join(filepath.Dir(workspace), "_temp")) {
		return fmt.Errorf("the runner's temp directory on the host is %q, which does not end in /_temp (%s)", hostTemp, internal)
	}
	return nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return filepath.IsAbs(path) && err == nil && info.IsDir()
}

// HandOver gives the folder and what is in it to the runner's user, the folder last: until then only root can enter it,
// and Path leads into no other, so nothing in it can be replaced while it is written or tried. Only root can change an
// owner, and nobody else needs to: a step that is not root runs as the runner's user.
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

// CopyProgram copies a program into the folder, executable by the runner's user only. While it is open for writing, this
// process starts no other: a child would hold it open until it executes its own program, and Linux executes no file
// that is open for writing (ETXTBSY, golang/go#22315).
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

// CleanUp removes the folder of this name, wherever Make may have created it, and reports whether there was one. A name
// that Make does not use is an error.
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
		// Renamed first: a process that still writes under the old name would fill the folder while it is emptied.
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

// maxFile is the size of a file of profiles that is read, in bytes. Usual ones have some kilobytes.
const maxFile = 1 << 20

// Existing reads the file of profiles that an earlier step exported in the variable, so that the file that replaces it
// can keep its profiles. No variable and no file are both an empty text, as they are to AWS's SDKs. Only files in the
// workspace or the runner's temp directory are read: of any other path the container does not see the host's file, and
// what it sees there itself, /proc for example, has no profiles.
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
		return "", fmt.Errorf("%s: its profiles cannot be kept, because this container does not see %q; put the file below the workspace or the runner's temp directory, or set %s to an empty value for this step", variable, path, variable)
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

// read reads a file of profiles in a directory, and follows no link out of it.
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
	// A character that only some SDKs read as a line end or a space would hide a header from this code and not from them.
	odd := func(c rune) bool { return c < ' ' && c != '\t' && c != '\n' || c == '\u007f' || c == '\ufeff' }
	if len(text) > maxFile || bytes.ContainsFunc(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), odd) {
		return "", fmt.Errorf("is not a text of at most %d bytes", maxFile)
	}
	return string(text), nil
}

// Disable replaces the credentials of each profile that this action wrote by the process, in the config and the
// credentials file of every folder that Make created in this job and that still exists. A step may have changed the
// variables that name these files, so they are not used. Each file is replaced as a whole, and its other lines stay.
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
				// The credentials last: most SDKs prefer them to the process in a profile that has both.
				errs = append(errs,
					disable(base, filepath.Join(entry.Name(), config), profile.Config, profile.Setting{Name: "credential_process", Value: process}),
					disable(base, filepath.Join(entry.Name(), credentials), profile.Credentials))
			}
		}
	}
	return errors.Join(errs...)
}

func disable(base, name string, f profile.File, settings ...profile.Setting) error {
	text, err := read(base, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	path := filepath.Join(base, name)
	if err != nil {
		return fmt.Errorf("%q %w", path, err)
	}
	names := profile.Own(text, f)
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		text = profile.Without(text, f, name)
		if len(settings) > 0 {
			if text, err = profile.With(text, f, name, settings...); err != nil {
				return fmt.Errorf("%q: %w", path, err)
			}
		}
	}
	if err := replace(base, name, text); err != nil {
		return fmt.Errorf("%q cannot be written: %w", path, err)
	}
	return nil
}

// replace replaces a file for the same owner. The folder belongs to the runner's user now, so no link is followed out
// of it.
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

// mounted returns the directory that the runner mounts and that contains the path, and the rest of the path.
func mounted(getenv func(string) string, path string) (base, rest string, ok bool) {
	for _, base := range []string{getenv("RUNNER_TEMP"), getenv("HOME"), getenv("GITHUB_WORKSPACE")} {
		if rest, found := strings.CutPrefix(path, strings.TrimSuffix(base, "/")+"/"); found && base != "" && rest != "" {
			return base, rest, true
		}
	}
	return "", "", false
}
