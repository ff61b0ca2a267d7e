package credproc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// maxFile is the size of a plan or a cache, in bytes: 50 tags of the longest that AWS takes have up to
// 77,000, and a session token has some 1,000.
const maxFile = 128 << 10

// Next to PLAN.json are PLAN.cache and PLAN.lock, and PLAN.cache.new while the cache is being written.
func cachePath(planPath string) string { return strings.TrimSuffix(planPath, ".json") + ".cache" }
func lockPath(planPath string) string  { return strings.TrimSuffix(planPath, ".json") + ".lock" }

// readFile reads a regular file of at most maxFile bytes. It follows no link and waits for no pipe.
func readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|noFollow|noWait, 0)
	if errors.Is(err, syscall.ELOOP) { // what O_NOFOLLOW makes of a link
		return nil, fmt.Errorf("%q is not a regular file", path)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%q is larger than %d bytes", path, maxFile)
	}
	return data, nil
}

// createFile writes a file that is not there yet, with mode 0600, or leaves none behind.
func createFile(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = own(file)
	if err == nil {
		_, err = file.Write(data)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
