//go:build !unix

package profile

import "io/fs"

// owner is not told: container actions run on Linux alone.
func owner(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }
