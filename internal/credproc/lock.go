package credproc

import (
	"context"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// lock waits for the lock of a chain, which whoever renews its session holds, and gives what lets go of it.
// The system lets go of it when the holder ends, however it ends. The file stays: were it removed, somebody
// who waits for it and somebody who makes a new one would both hold a lock.
func lock(ctx context.Context, path string) (io.Closer, error) {
	type opened struct {
		file *lockedfile.File
		err  error
	}
	got := make(chan opened)
	go func() { // flock(2) knows nothing of a context
		file, err := lockedfile.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
		select {
		case got <- opened{file, err}:
		case <-ctx.Done():
			if err == nil {
				file.Close()
			}
		}
	}()
	select {
	case o := <-got:
		if o.err != nil {
			return nil, o.err
		}
		if err := own(o.file.File); err != nil {
			o.file.Close()
			return nil, err
		}
		return o.file, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
