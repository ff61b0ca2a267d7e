// Package fleet simulates, in virtual time, many jobs that start in the same minute against an STS that throttles, to
// compare ways of retrying. It is a package of its own because it asks nobody and runs nothing of the hop: only the
// arithmetic of waiting is in it, which its test holds to the SDK's.
package fleet

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"
)

// Policy is a way of retrying one call.
type Policy struct {
	Name     string
	Attempts int // of one call
	// Delay is the wait behind attempt, counted from 1.
	Delay func(r *rand.Rand, attempt int) time.Duration
}

// The SDK's: standard retries wait a random part of 2^(attempt-1) seconds, and of 20 seconds at most.
// Source: aws-sdk-go-v2/aws/retry, ExponentialJitterBackoff.
const maxBackoff = 20 * time.Second

// SDKDelay waits anything from nothing to that: the SDK's way.
func SDKDelay(r *rand.Rand, attempt int) time.Duration {
	return time.Duration(r.Float64() * float64(min(time.Second<<(attempt-1), maxBackoff)))
}

// Scenario is jobs that start together.
type Scenario struct {
	Jobs     int
	Pressure float64       // how many times what STS takes in Spread the jobs ask for, retries not counted
	Spread   time.Duration // over which the jobs start
	Seed     uint64
}

// What a job is: two calls of STS one after the other, each answered within 20 to 80 ms, and given up with the step
// after a minute (action-timeout-s).
const (
	callsPerJob = 2
	fastest     = 20 * time.Millisecond
	slowest     = 80 * time.Millisecond
	stepLimit   = 60 * time.Second
)

// Result is what became of the jobs.
type Result struct {
	Succeeded int
	P50, P99  time.Duration // from a job's start to its success
	Requests  int
}

// event is a call of a job that reaches STS.
type event struct {
	at      time.Duration
	job     int
	call    int // of the job's, from 0
	attempt int // of the call, from 1
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// Run simulates the scenario with a policy. STS takes calls from a bucket that holds a second's worth of them and is
// filled evenly; a call that finds it empty is throttled.
func Run(s Scenario, p Policy) Result {
	r := rand.New(rand.NewPCG(s.Seed, uint64(s.Jobs)))
	rate := float64(s.Jobs*callsPerJob) / s.Spread.Seconds() / s.Pressure // calls a second
	bucket, filled := rate, time.Duration(0)
	starts := make([]time.Duration, s.Jobs)
	var queue events
	for job := range starts {
		starts[job] = time.Duration(r.Float64() * float64(s.Spread))
		queue = append(queue, event{starts[job], job, 0, 1})
	}
	heap.Init(&queue)
	var result Result
	var took []time.Duration
	for queue.Len() > 0 {
		e := heap.Pop(&queue).(event)
		result.Requests++
		bucket = min(rate, bucket+rate*(e.at-filled).Seconds())
		filled = e.at
		answered := e.at + fastest + time.Duration(r.Float64()*float64(slowest-fastest))
		switch {
		case bucket >= 1:
			bucket--
			e.call, e.attempt = e.call+1, 1
		case e.attempt == p.Attempts:
			continue
		default:
			answered += p.Delay(r, e.attempt)
			e.attempt++
		}
		switch {
		case answered-starts[e.job] > stepLimit:
		case e.call == callsPerJob:
			took = append(took, answered-starts[e.job])
		default:
			e.at = answered
			heap.Push(&queue, e)
		}
	}
	slices.Sort(took)
	result.Succeeded = len(took)
	if len(took) > 0 {
		result.P50, result.P99 = took[len(took)/2], took[len(took)*99/100]
	}
	return result
}
