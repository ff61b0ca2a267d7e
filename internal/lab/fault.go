package lab

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault makes requests go wrong. The kinds, where they apply, and what then happens:
//
//	throttle                 issuer 429, sts Throttling "Rate exceeded" (400)
//	400 403 404 408 429      the status, in the service's own form of an error
//	500 502 503 504          the same
//	html html403 html500 html502 html503
//	                         a proxy's page instead of a response, with 200 or the status
//	delay                    the response is sent after Duration
//	hang                     no response until the client disconnects
//	reset                    the connection is reset before a response
//	close                    the connection is closed before a response
//	cut                      the body ends half-way, though Content-Length promises all of it
//	garbage                  200 with 4096 random bytes
//	empty                    issuer {} (200), sts no body (200)
//	empty-value              issuer only: a response whose value is empty
//	oversized                200 with a body of 2 MiB in the service's form
//	duplicated               the right response with a duplicate token or access key id whose values differ
//	mistyped                 the right response with Content-Type: application/octet-stream
//	redirect                 307 to another host
//	skew                     the right response with a Date header that is ahead by Duration
//	unauthorized             issuer only: 401, the request token is not accepted
//	not-in-progress          issuer only: 403, the job is not in progress
//	idp-communication-error  sts only: IDPCommunicationError (400)
//	verification-key         sts only: InvalidIdentityToken, GitHub's keys could not be fetched (400)
//	region-disabled          sts only: RegionDisabledException (403)
//	expired-token            sts only: the token, or for signed calls the session, has expired
//	other-role               sts only: the response is for another role of the account
//	other-account            sts only: the response is for a role of another account
//	expired-credentials      sts only: the response's credentials expired an hour ago
//	newline                  sts only: the response's session token has a second line
//
// The kinds other-role to newline apply only to a call that succeeds. A fault for issuer and exactly jwks
// also affects STS when it fetches the issuer's keys.
type Fault struct {
	Service string // issuer or sts
	// Action is token, jwks or discovery of issuer; AssumeRoleWithWebIdentity, AssumeRole or
	// GetCallerIdentity of sts; * for any.
	Action   string
	Kind     string        // one of the kinds above
	Times    int           // number of requests that it affects; 0 counts as 1, a negative number means all
	Duration time.Duration // of delay and skew; 0 for 1 second and 10 minutes
}

// The defaults of Duration, and the size of an oversized body: more than any client should read.
const (
	defaultDelay = time.Second
	defaultSkew  = 10 * time.Minute
	oversized    = 2 << 20
)

// faultServices maps each kind to the services where it applies.
var faultServices = func() map[string][]string {
	kinds := map[string][]string{}
	both := "throttle 400 403 404 408 429 500 502 503 504 html html403 html500 html502 html503 " +
		"delay hang reset close cut garbage empty oversized duplicated mistyped redirect skew"
	ofSTS := "idp-communication-error verification-key region-disabled expired-token " +
		"other-role other-account expired-credentials newline"
	for _, kind := range strings.Fields(both) {
		kinds[kind] = []string{issuerService, stsService}
	}
	for _, kind := range strings.Fields("empty-value unauthorized not-in-progress") {
		kinds[kind] = []string{issuerService}
	}
	for _, kind := range strings.Fields(ofSTS) {
		kinds[kind] = []string{stsService}
	}
	return kinds
}()

var faultActions = map[string][]string{
	issuerService: {"token", "jwks", "discovery", "*"},
	stsService:    {"AssumeRoleWithWebIdentity", "AssumeRole", "GetCallerIdentity", "*"},
}

// FaultKinds returns the kinds of faults, sorted.
func FaultKinds() []string { return slices.Sorted(maps.Keys(faultServices)) }

// ParseFault parses SERVICE:ACTION:KIND[:TIMES[:DURATION]], sts:AssumeRole:throttle:2 for example.
func ParseFault(s string) (Fault, error) {
	parts := strings.Split(s, ":")
	if len(parts) < 3 || len(parts) > 5 {
		return Fault{}, fmt.Errorf("fault %q is not of the form SERVICE:ACTION:KIND[:TIMES[:DURATION]]", s)
	}
	f := Fault{Service: parts[0], Action: parts[1], Kind: parts[2], Times: 1}
	var err error
	if len(parts) > 3 {
		if f.Times, err = strconv.Atoi(parts[3]); err != nil || f.Times == 0 {
			return Fault{}, fmt.Errorf("fault %q: %q is not a number of times", s, parts[3])
		}
	}
	if len(parts) > 4 {
		if f.Duration, err = time.ParseDuration(parts[4]); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %q is not a duration", s, parts[4])
		}
	}
	if err := f.check(); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", s, err)
	}
	return f, nil
}

func (f Fault) check() error {
	actions, ok := faultActions[f.Service]
	if !ok {
		return fmt.Errorf("%q is neither issuer nor sts", f.Service)
	}
	if !slices.Contains(actions, f.Action) {
		return fmt.Errorf("%q is not one of %s", f.Action, strings.Join(actions, ", "))
	}
	services, ok := faultServices[f.Kind]
	if !ok {
		return fmt.Errorf("%q is not one of %s", f.Kind, strings.Join(FaultKinds(), ", "))
	}
	if !slices.Contains(services, f.Service) {
		return fmt.Errorf("%s is not a fault of %s", f.Kind, f.Service)
	}
	return nil
}

// Fail makes the next matching requests misbehave. Faults are queued in the order in which they were added; a
// request takes the first that matches. Fail panics if the fault is invalid.
func (l *Lab) Fail(f Fault) {
	if err := f.check(); err != nil {
		panic("lab: " + err.Error())
	}
	if f.Times == 0 {
		f.Times = 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, &f)
}

// Settle removes all pending faults.
func (l *Lab) Settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = nil
}

// takeFault must be called with the lock held.
func (l *Lab) takeFault(service, action string) *Fault {
	for i, f := range l.faults {
		if f.Service != service || f.Action != action && f.Action != "*" {
			continue
		}
		taken := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				l.faults = slices.Delete(l.faults, i, i+1)
			}
		}
		return &taken
	}
	return nil
}

// keysUnreachable reports whether a fault prevents STS from fetching the issuer's keys.
func (l *Lab) keysUnreachable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := func(f *Fault) bool { return f.Service == issuerService && f.Action == "jwks" }
	return slices.ContainsFunc(l.faults, names) && l.takeFault(issuerService, "jwks") != nil
}
