// Package lab is a GitHub OIDC issuer and an AWS STS as http.Handlers, for a laptop and for tests. It
// is strict where GitHub and AWS are strict: tokens and signatures are verified, and the policies
// that decide are the very files that a user deploys, read by package policy. It listens only where
// it is told to, keeps everything in memory and holds no key that opens anything real.
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

// Options of a lab; the zero value is fine.
type Options struct {
	Now func() time.Time                 // the clock under the lab's own; nil for time.Now
	Log func(format string, args ...any) // a line for each request, without secrets, from many goroutines; nil for none

	// SessionLifetime ends the sessions of chained roles, those of AssumeRole, after so long, where the call asked for
	// more; 0 for what was asked. AWS grants no such sessions: its shortest have 900 s. It exists so that
	// several expiries fit in a test. All else stays as it is: DurationSeconds is checked as on AWS, and what
	// the lab counts, in whole seconds, is what it answers.
	SessionLifetime time.Duration
}

// Lab is one world with its issuer, its STS, its clock and what has happened so far. All methods may
// be called at the same time.
type Lab struct {
	world *World
	now0  func() time.Time
	log   func(format string, args ...any)
	key   *signingKey
	life  time.Duration // of a chained session at most; 0: what was asked

	mu       sync.Mutex
	offset   time.Duration
	requests map[string]*jobRequest // by request token
	sessions map[string]*session    // by access key id
	faults   []*Fault
	events   []Event
	secrets  []string
	counts   map[string]Count // by service
}

// New makes a lab of a world. The world is not changed and can serve several labs.
func New(world *World, o Options) *Lab {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Lab{
		world: world, now0: o.Now, log: o.Log, key: processKey(), life: o.SessionLifetime,
		requests: map[string]*jobRequest{}, sessions: map[string]*session{}, counts: map[string]Count{},
	}
}

// Job gives a job of the world by its name in world.json. The copy is the caller's to change.
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

// Advance moves the lab's clock, backwards too. Tokens, sessions, signatures and the Date header follow.
func (l *Lab) Advance(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offset += d
}

// Secrets gives every request token, ID token and credential that the lab has issued, access key ids
// included: what must not be found in a log, a summary or an error.
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

// keep remembers secrets.
func (l *Lab) keep(secrets ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets = append(l.secrets, secrets...)
}

// uuid is a random UUID of version 4.
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

// identifier is prefix and n characters of [A-Z2-7], as AWS's key ids and role ids are.
func identifier(prefix string, n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	b := random(n)
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return prefix + string(b)
}
