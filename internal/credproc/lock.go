package credproc

import (
	"context"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// lock waits for the lock of a plan, which the call that renews its session holds, and returns what releases it. The
// system releases it when its holder ends, however it ends. The file stays: if it were removed, a call that waits for
// it and a call that creates a new one would both hold a lock.
func lock(ctx context.Context, path string) (io.Closer, error) {
	type opened struct {
		file *lockedfile.File
		err  error
	}
	got := make(chan opened)
	go func() { // flock(2) takes no context
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
