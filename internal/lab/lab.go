// Package lab is a GitHub OIDC issuer and an AWS STS as http.Handlers, for a laptop and for tests. It is strict
// where GitHub and AWS are strict: it verifies tokens and signatures, and it evaluates the same policy files that
// a user deploys, with package policy. It listens only on configured addresses, keeps everything in memory and
// holds no key for any real system.
package lab

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options configures a lab; the zero value is valid.
type Options struct {
	Now func() time.Time                 // the clock that the lab's own is based on; nil for time.Now
	Log func(format string, args ...any) // called with one line per request, without secrets, from many goroutines; nil for none

	// SessionLifetime limits the sessions of chained roles, those of AssumeRole, if the call requested more; 0 for
	// no limit. AWS grants no such sessions: its shortest have 900 s. It exists so that several expiries fit in a
	// test. Nothing else changes: DurationSeconds is checked as on AWS, and the response contains the expiration
	// that the lab applies, in whole seconds.
	SessionLifetime time.Duration
}

// Lab is one world with its issuer, its STS, its clock and its history. All methods are safe for concurrent use.
type Lab struct {
	world *World
	now0  func() time.Time
	log   func(format string, args ...any)
	key   *signingKey
	life  time.Duration // maximum for a chained session; 0: as requested

	mu       sync.Mutex
	offset   time.Duration
	requests map[string]*jobRequest // by request token
	sessions map[string]*session    // by access key id
	faults   []*Fault
	events   []Event
	secrets  []string
	counts   map[string]Count // by service
}

// New returns a lab for a world. The world is not changed and can serve several labs.
func New(world *World, o Options) *Lab {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Lab{
		world: world, now0: o.Now, log: o.Log, key: processKey(), life: o.SessionLifetime,
		requests: map[string]*jobRequest{}, sessions: map[string]*session{}, counts: map[string]Count{},
	}
}

// Job returns a job of the world by its name in world.json. The caller may change the copy.
func (l *Lab) Job(name string) (Job, error) {
	job, ok := l.world.jobs[name]
	if !ok {
		jobs := strings.Join(l.world.Jobs(), ", ")
		if jobs == "" {
			jobs = "none"
		}
		return Job{}, fmt.Errorf("the world has no job %q; it has %s", name, jobs)
	}
	job.Claims = maps.Clone(job.Claims)
	job.IncludeClaimKeys = slices.Clone(job.IncludeClaimKeys)
	return job, nil
}

// Advance moves the lab's clock, forward or backward. Tokens, sessions, signatures and the Date header follow.
func (l *Lab) Advance(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offset += d
}

// Secrets returns every request token, ID token and credential that the lab has issued, including access key ids.
// None of them may appear in a log, a summary or an error.
func (l *Lab) Secrets() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.secrets)
}

func (l *Lab) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now0().Add(l.offset)
}

// keep records secrets.
func (l *Lab) keep(secrets ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets = append(l.secrets, secrets...)
}

// uuid returns a random UUID of version 4.
func uuid() string {
	b := random(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// random never fails: crypto/rand ends the program when the system has no randomness.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// identifier returns prefix and n characters of [A-Z2-7], the form of AWS's key ids and role ids.
func identifier(prefix string, n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	b := random(n)
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return prefix + string(b)
}
