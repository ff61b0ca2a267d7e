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

// interruption is what happens to a process from outside.
type interruption struct {
	signal syscall.Signal // 0 for none
	after  time.Duration
	full   bool // no file grows beyond room, as on a full disk
	room   int  // bytes of each file
}

// String returns the interruption, to be appended to the conditions.
func (in interruption) String() string {
	s := ""
	if in.signal != 0 {
		s += fmt.Sprintf(", %s after %s", in.signal, in.after)
	}
	if in.full {
		s += fmt.Sprintf(", no file grows beyond %d bytes", in.room)
	}
	return s
}

// randomInterruption returns the interruption of process n, in addition to its conditions.
func randomInterruption(seed uint64, n int) interruption {
	r := random(seed^0xdead, n)
	in := interruption{}
	if r.IntN(2) == 0 {
		in.signal, in.after = pick(r, syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL), shortDelay(r)
	}
	in.fill(r)
	return in
}

// fill draws a full disk for one process of eight: full already, or full after some of what a step writes.
func (in *interruption) fill(r *rand.Rand) {
	if r.IntN(8) == 0 {
		in.full, in.room = true, pick(r, 0, 0, 1+r.IntN(3000))
	}
}

func shortDelay(r *rand.Rand) time.Duration {
	return time.Duration(1 + r.Int64N(int64(80*time.Millisecond)))
}

// nobody is the user of the processes when root runs the test, because root can write to read-only files.
const nobody = 65534

// owner returns the user of the processes and their files; 0 is the user of this process.
func owner() int {
	if os.Geteuid() == 0 {
		return nobody
	}
	return 0
}

// runProcesses runs each hop as a process of the program, which may be killed at any moment.
func (s *storm) runProcesses(ctx context.Context) (summary, error) {
	s.processes = true
	s.workers = min(s.workers, 16)
	return s.run(ctx)
}

// hangs is the time after which a process is killed. Its own timeout is 20 s at most.
const hangs = time.Minute

// process runs the step as a process.
func (w *worker) process(ctx context.Context, log *lockedBuffer, env map[string]string, o action.Options,
	in interruption) (status int, stderr string, err error) {
	command := exec.Command(o.Program, "action", "--host-temp="+o.HostTemp)
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	// In most containers even root may not limit the file size of another user's process.
	if user := owner(); user != 0 && !in.full {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
	}
	var separate bytes.Buffer
	command.Stdout, command.Stderr = log, &separate
	if err := command.Start(); err != nil {
		return 0, "", err
	}
	if in.full {
		if err := limitFileSize(command.Process.Pid, in.room); err != nil {
			return 0, "", errors.Join(err, command.Process.Kill(), command.Wait())
		}
	}
	// A command with a context would not start at all if the step is canceled first.
	canceled := context.AfterFunc(ctx, func() { _ = command.Process.Signal(os.Interrupt) })
	defer canceled()
	hung := time.AfterFunc(hangs, func() { _ = command.Process.Kill() })
	defer hung.Stop()
	if in.signal != 0 {
		timer := time.AfterFunc(in.after, func() { _ = command.Process.Signal(in.signal) }) // it may have ended by then
		defer timer.Stop()
	}
	err = command.Wait()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return 0, "", err
	}
	return command.ProcessState.ExitCode(), separate.String(), nil
}

// limitFileSize limits the size of the files that a process writes. A write beyond the limit is cut short or fails
// with EFBIG.
func limitFileSize(pid, room int) error {
	const fileSize = 1 // RLIMIT_FSIZE
	limit := syscall.Rlimit{Cur: uint64(room), Max: uint64(room)}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), fileSize, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 && errno != syscall.ESRCH {
		return errno
	}
	return nil
}
