package storm

import (
	"sync/atomic"
	"time"
)

// lag measures for how long this process could not run. A timer that fires late for that reason is not the fault of
// the code that waits for it.
type lag struct {
	lost atomic.Int64
	stop chan struct{}
}

// A tick is always late by some part of a millisecond, which adds up, so only a delay of stall or more counts. On two
// idle cores, 64 hops at a time lose a sixth of their time to such delays. On a busy machine a step also waits a few
// milliseconds at each of its many waits.
const (
	tick  = 10 * time.Millisecond
	stall = 2 * time.Millisecond
)

// late returns the delay of a tick that took the given time.
func late(took time.Duration) time.Duration {
	if took < tick+stall {
		return 0
	}
	return took - tick
}

func newLag() *lag {
	l := &lag{stop: make(chan struct{})}
	go func() {
		last := time.Now()
		for {
			select {
			case <-time.After(tick):
			case <-l.stop:
				return
			}
			now := time.Now()
			l.lost.Add(int64(late(now.Sub(last))))
			last = now
		}
	}()
	return l
}

// total returns the time lost so far.
func (l *lag) total() time.Duration { return time.Duration(l.lost.Load()) }

func (l *lag) close() { close(l.stop) }
