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
	full   bool // files do not grow beyond room, as on a disk that is full
	room   int  // bytes of each file
}

// String tells the end, behind the weather.
func (d death) String() string {
	s := ""
	if d.signal != 0 {
		s += fmt.Sprintf(", %s after %s", d.signal, d.after)
	}
	if d.full {
		s += fmt.Sprintf(", no file grows beyond %d bytes", d.room)
	}
	return s
}

// drawnDeath is the end of process n, beside its weather.
func drawnDeath(seed uint64, n int) death {
	r := random(seed^0xdead, n)
	d := death{}
	if r.IntN(2) == 0 {
		d.signal, d.after = pick(r, syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL), soon(r)
	}
	d.fill(r)
	return d
}

// fill draws a full disk for one of eight: one that is full already, or that fills up within what a step writes.
func (d *death) fill(r *rand.Rand) {
	if r.IntN(8) == 0 {
		d.full, d.room = true, pick(r, 0, 0, 1+r.IntN(3000))
	}
}

func soon(r *rand.Rand) time.Duration { return time.Duration(1 + r.Int64N(int64(80*time.Millisecond))) }

// nobody is the user as which processes run where root starts them: root writes into files that are read-only.
const nobody = 65534

// owner is the user of the processes' files; 0 for whoever runs this.
func owner() int {
	if os.Geteuid() == 0 {
		return nobody
	}
	return 0
}

// RunProcesses is Run with each hop a process of the program, which may be ended at any moment. Where root runs it, the
// processes are those of nobody, who has to reach Dir and Program.
func RunProcesses(ctx context.Context, o Options) (Summary, error) {
	o.processes = true
	o.Workers = min(o.Workers, 16)
	return Run(ctx, o)
}

// hangs is after how long a process is killed that has long been over by its own timeout, 20 s at most.
const hangs = time.Minute

// process runs the step as a process of its own.
func (w *worker) process(ctx context.Context, log *lockedBuffer, env map[string]string, o action.Options, d death) (status int, stderr string, err error) {
	command := exec.Command(o.Program, "action", "--host-temp="+o.HostTemp)
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	if user := owner(); user != 0 && !d.full { // to limit another user's takes more than most containers let root do
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
	}
	var separate bytes.Buffer
	command.Stdout, command.Stderr = log, &separate
	if err := command.Start(); err != nil {
		return 0, "", err
	}
	if d.full {
		if err := noFileGrows(command.Process.Pid, d.room); err != nil {
			return 0, "", errors.Join(err, command.Process.Kill(), command.Wait())
		}
	}
	// A command with a context would not start where the step is cancelled first.
	cancelled := context.AfterFunc(ctx, func() { _ = command.Process.Signal(os.Interrupt) })
	defer cancelled()
	hung := time.AfterFunc(hangs, func() { _ = command.Process.Kill() })
	defer hung.Stop()
	if d.signal != 0 {
		timer := time.AfterFunc(d.after, func() { _ = command.Process.Signal(d.signal) }) // which may have ended by then
		defer timer.Stop()
	}
	err = command.Wait()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return 0, "", err
	}
	return command.ProcessState.ExitCode(), separate.String(), nil
}

// noFileGrows sets the size that a process may give to files: from then on a write beyond it is cut short or fails, with
// EFBIG.
func noFileGrows(pid, room int) error {
	const fileSize = 1 // RLIMIT_FSIZE
	limit := syscall.Rlimit{Cur: uint64(room), Max: uint64(room)}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), fileSize, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 && errno != syscall.ESRCH {
		return errno
	}
	return nil
}
