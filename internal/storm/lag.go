package storm

import (
	"sync/atomic"
	"time"
)

// lag measures for how long this process did not get to run, since its start: what a timer is late by is no fault of the
// code that waits for it.
type lag struct {
	lost atomic.Int64
	stop chan struct{}
}

// A timer of tick is always late by some part of a millisecond, which adds up: stall is what counts as not having run. On two
// cores with nothing else at work, 64 hops at a time lose a sixth of their time by it; where others work too, a step waits a
// few milliseconds behind each of its many waits, and they too are no fault of its own.
const (
	tick  = 10 * time.Millisecond
	stall = 2 * time.Millisecond
)

// late is by how much a tick that took so long was late.
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

// total is what was lost so far.
func (l *lag) total() time.Duration { return time.Duration(l.lost.Load()) }

func (l *lag) close() { close(l.stop) }
