package storm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unsafe"

	"github.com/org/hubspoke-chain/internal/action"
)

// death is how a process is ended from outside.
type death struct {
	signal syscall.Signal // 0 for none
	after  time.Duration
	full   bool // no file takes another byte, as on a full disk
}

// String tells the end, behind the weather.
func (d death) String() string {
	s := ""
	if d.signal != 0 {
		s += fmt.Sprintf(", %s after %s", d.signal, d.after)
	}
	if d.full {
		s += ", no file grows"
	}
	return s
}

// drawnDeath is the end of process n, beside its weather.
func drawnDeath(seed uint64, n int) death {
	r := random(seed^0xdead, n)
	d := death{full: r.IntN(10) == 0}
	if r.IntN(2) == 0 {
		d.signal, d.after = pick(r, syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL), soon(r)
	}
	return d
}

func soon(r *rand.Rand) time.Duration { return time.Duration(1 + r.Int64N(int64(80*time.Millisecond))) }

// RunProcesses is Run with each hop a process of the program, which may be ended at any moment.
func RunProcesses(ctx context.Context, o Options) (Summary, error) {
	o.processes = true
	o.Workers = min(o.Workers, 16)
	return Run(ctx, o)
}

// process runs the step as a process of its own.
func (w *worker) process(ctx context.Context, log *lockedBuffer, env map[string]string, o action.Options, d death) (status int, err error) {
	command := exec.CommandContext(ctx, o.Program, "action", "--host-temp="+o.HostTemp)
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	var stderr bytes.Buffer
	command.Stdout, command.Stderr = log, &stderr
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		return 0, err
	}
	if d.full {
		if err := noFileGrows(command.Process.Pid); err != nil {
			return 0, errors.Join(err, command.Process.Kill(), command.Wait())
		}
	}
	if d.signal != 0 {
		timer := time.AfterFunc(d.after, func() { _ = command.Process.Signal(d.signal) }) // which may have ended by then
		defer timer.Stop()
	}
	err = command.Wait()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) && ctx.Err() == nil {
		return 0, err
	}
	if stderr.Len() > 0 {
		log.Write(append([]byte("on stderr: "), stderr.Bytes()...))
	}
	return command.ProcessState.ExitCode(), nil
}

// noFileGrows sets the size that a process may give to files to 0: its writes fail from then on, with EFBIG.
func noFileGrows(pid int) error {
	const fileSize = 1 // RLIMIT_FSIZE
	limit := syscall.Rlimit{}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), fileSize, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 && errno != syscall.ESRCH {
		return errno
	}
	return nil
}
