//go:build unix

package credproc

import (
	"os"
	"path/filepath"
	"syscall"
)

// Flags of opening: no link is followed, and no pipe waited for.
const (
	noFollow = syscall.O_NOFOLLOW
	noWait   = syscall.O_NONBLOCK
)

// own gives what root has made to the owner of its directory. Container actions run as root and the other
// steps as the runner's user, and either must be able to use what the other has left.
func own(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	directory, err := os.Stat(filepath.Dir(file.Name()))
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	owner, known := directory.Sys().(*syscall.Stat_t)
	current, _ := info.Sys().(*syscall.Stat_t)
	if !known || current.Uid == owner.Uid && current.Gid == owner.Gid {
		return nil
	}
	return file.Chown(int(owner.Uid), int(owner.Gid))
}
