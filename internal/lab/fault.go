package lab

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault makes requests go wrong. The kinds, where they apply, and what then happens:
//
//	throttle                 issuer 429, sts Throttling "Rate exceeded" (400)
//	429 500 502 503          the status, in the service's own form of an error
//	html html403 html500 html502 html503
//	                         a page of a proxy in place of an answer, with 200 or the status
//	delay                    the answer comes after Duration
//	hang                     no answer, until the client goes
//	reset                    the connection is reset before an answer
//	close                    the connection is closed before an answer
//	cut                      the body ends half-way, though Content-Length promises all of it
//	garbage                  200 with 4096 random bytes
//	empty                    issuer {} (200), sts no body (200)
//	empty-value              issuer only: an answer whose value is empty
//	oversized                200 with a body of 16 MiB in the service's form
//	mistyped                 the right answer with Content-Type: application/octet-stream
//	redirect                 307 to another host
//	skew                     the right answer with a Date header that is ahead by Duration
//	unauthorized             issuer only: 401, the request token is not taken
//	not-in-progress          issuer only: 403, the job does not count as running
//	idp-communication-error  sts only: IDPCommunicationError (400)
//	verification-key         sts only: InvalidIdentityToken, GitHub's keys could not be fetched (400)
//	region-disabled          sts only: RegionDisabledException (403)
//	expired-token            sts only: the token, or for signed calls the session, has expired
//	other-role               sts only: the answer is for another role of the account
//	other-account            sts only: the answer is for a role of another account
//	expired-credentials      sts only: the answer's credentials expired an hour ago
//	newline                  sts only: the answer's session token has a second line
//
// A fault of the kind other-role to newline does its work on a call that succeeds. A fault for issuer
// and exactly jwks also strikes STS when it looks for the issuer's keys.
type Fault struct {
	Service  string        // issuer or sts
	Action   string        // token, jwks or discovery; AssumeRoleWithWebIdentity, AssumeRole or GetCallerIdentity; * for any
	Kind     string        // one of the above
	Times    int           // requests that it strikes; 0 counts as 1, a negative number means all
	Duration time.Duration // of delay and skew; 0 for 1 second and 10 minutes
}

// The defaults of Duration, and the size of an oversized body: more than any client should read.
const (
	defaultDelay = time.Second
	defaultSkew  = 10 * time.Minute
	oversized    = 16 << 20
)

// faultServices tells where each kind applies.
var faultServices = func() map[string][]string {
	kinds := map[string][]string{}
	for _, kind := range strings.Fields("throttle 429 500 502 503 html html403 html500 html502 html503 delay hang reset close cut garbage empty oversized mistyped redirect skew") {
		kinds[kind] = []string{issuerService, stsService}
	}
	for _, kind := range strings.Fields("empty-value unauthorized not-in-progress") {
		kinds[kind] = []string{issuerService}
	}
	for _, kind := range strings.Fields("idp-communication-error verification-key region-disabled expired-token other-role other-account expired-credentials newline") {
		kinds[kind] = []string{stsService}
	}
	return kinds
}()

var faultActions = map[string][]string{
	issuerService: {"token", "jwks", "discovery", "*"},
	stsService:    {"AssumeRoleWithWebIdentity", "AssumeRole", "GetCallerIdentity", "*"},
}

// FaultKinds gives the kinds of faults, sorted.
func FaultKinds() []string { return slices.Sorted(maps.Keys(faultServices)) }

// ParseFault reads SERVICE:ACTION:KIND[:TIMES[:DURATION]], sts:AssumeRole:throttle:2 for example.
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

// Fail lets the next requests that match misbehave. Faults wait in the order in which they were given;
// a request takes the first that matches. It panics on a fault of which there is none such.
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

// takeFault is called with the lock held.
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

// keysUnreachable tells whether a fault keeps STS from the issuer's keys.
func (l *Lab) keysUnreachable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	named := slices.ContainsFunc(l.faults, func(f *Fault) bool { return f.Service == issuerService && f.Action == "jwks" })
	return named && l.takeFault(issuerService, "jwks") != nil
}

// connection does what happens before an answer; false when there is to be none.
func (f *Fault) connection(w http.ResponseWriter, r *http.Request) bool {
	switch f.Kind {
	case "delay":
		delay := f.Duration
		if delay == 0 {
			delay = defaultDelay
		}
		select {
		case <-time.After(delay):
			return true
		case <-r.Context().Done():
			return false
		}
	case "hang":
		<-r.Context().Done()
		return false
	case "reset", "close":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler) // nothing to take over: net/http closes it
		}
		if tcp, ok := conn.(*net.TCPConn); ok && f.Kind == "reset" {
			_ = tcp.SetLinger(0) // what is not sent is dropped, and the peer sees RST
		}
		_ = conn.Close()
		return false
	}
	return true
}

// answer gives the answer of a fault that asks nobody; nil for other kinds, and without a fault.
func (f *Fault) answer(service string, now time.Time) *answer {
	if f == nil {
		return nil
	}
	ok := &answer{status: http.StatusOK, contentType: "text/xml"}
	if service == issuerService {
		ok.contentType = "application/json; charset=utf-8"
	}
	switch f.Kind {
	case "throttle", "429", "500", "502", "503":
		return f.status(service)
	case "html", "html403", "html500", "html502", "html503":
		status, err := strconv.Atoi(strings.TrimPrefix(f.Kind, "html"))
		if err != nil {
			status = http.StatusOK
		}
		page := fmt.Sprintf("<!DOCTYPE html>\n<html><head><title>%d</title></head><body><h1>A proxy between you and the service</h1></body></html>\n", status)
		return &answer{status: status, contentType: "text/html; charset=utf-8", body: []byte(page)}
	case "garbage":
		ok.body = random(4096)
		return ok
	case "empty":
		if service == issuerService {
			ok.body = []byte("{}")
		}
		return ok
	case "empty-value":
		return issuerAnswer(map[string]any{"count": 0, "value": ""})
	case "oversized":
		open, end := "<AssumeRoleResponse xmlns=\""+namespace+"\"><AssumeRoleResult><SourceIdentity>", "</SourceIdentity></AssumeRoleResult></AssumeRoleResponse>"
		if service == issuerService {
			open, end = `{"count":16777216,"value":"`, `"}`
		}
		ok.body = slices.Concat([]byte(open), bytes.Repeat([]byte("A"), oversized), []byte(end))
		return ok
	case "redirect":
		return &answer{status: http.StatusTemporaryRedirect, contentType: "text/plain", header: map[string]string{"Location": "https://redirected.invalid/"}}
	case "unauthorized":
		return issuerError(http.StatusUnauthorized, "Access denied. System:ServiceIdentity does not have permission to perform this action.")
	case "not-in-progress":
		// The runner tells of this refusal (actions/runner, JobRunner.cs); the body's form is the lab's guess.
		return issuerError(http.StatusForbidden, "Can't issue ID_TOKEN for a job that is not in progress.")
	}
	return nil
}

// status gives an HTTP status in the service's own form of an error.
func (f *Fault) status(service string) *answer {
	codes := map[string]struct {
		status        int
		code, message string
	}{
		"throttle": {http.StatusBadRequest, "Throttling", "Rate exceeded"},
		"429":      {http.StatusTooManyRequests, "TooManyRequestsException", "Rate exceeded"},
		"500":      {http.StatusInternalServerError, "InternalFailure", "The request processing has failed because of an unknown error, exception or failure."},
		"502":      {http.StatusBadGateway, "InternalFailure", "The request processing has failed because of an unknown error, exception or failure."},
		"503":      {http.StatusServiceUnavailable, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."},
	}
	e := codes[f.Kind]
	if service == stsService {
		return refuse(e.status, e.code, "%s", e.message).answer(uuid())
	}
	if f.Kind == "throttle" {
		e.status = http.StatusTooManyRequests
	}
	return issuerError(e.status, http.StatusText(e.status))
}

// refusal is the error that STS answers with under a fault; nil for other kinds, and without a fault.
func (f *Fault) refusal(c *call) *apiError {
	if f == nil {
		return nil
	}
	switch f.Kind {
	case "idp-communication-error":
		return refuse(http.StatusBadRequest, "IDPCommunicationError", "The identity provider could not be reached.") // AWS's text is not public
	case "verification-key":
		return noKey()
	case "region-disabled":
		account := ""
		if parts := strings.Split(c.form.Get("RoleArn"), ":"); len(parts) > 5 {
			account = parts[4]
		}
		return regionDisabled(account)
	case "expired-token":
		if c.action == "AssumeRoleWithWebIdentity" {
			return expiredToken(c.now, c.now.Add(-tokenGrace))
		}
		return expiredSession()
	}
	return nil
}

// change alters the answer of a call that was carried out.
func (f *Fault) change(a *answer) *answer {
	if f == nil {
		return a
	}
	switch f.Kind {
	case "cut":
		a.cut = true
	case "mistyped":
		a.contentType = "application/octet-stream"
	case "skew":
		a.skew = f.Duration
		if a.skew == 0 {
			a.skew = defaultSkew
		}
	}
	return a
}

// twist makes the answer of an operation that succeeded contradict the request.
func (f *Fault) twist(r *result, now time.Time) {
	if f == nil || r.Credentials == nil {
		return
	}
	switch f.Kind {
	case "other-role":
		head, session := r.AssumedRoleUser.Arn, ""
		if i := strings.LastIndex(head, "/"); i >= 0 {
			head, session = head[:i], head[i:]
		}
		r.AssumedRoleUser.Arn = head + "-other" + session
	case "other-account":
		parts := strings.SplitN(r.AssumedRoleUser.Arn, ":", 6)
		parts[4] = "999999999999"
		r.AssumedRoleUser.Arn = strings.Join(parts, ":")
	case "expired-credentials":
		r.Credentials.Expiration = now.Add(-time.Hour).UTC().Format(time.RFC3339)
	case "newline":
		r.Credentials.SessionToken += "\nINJECTED=1"
	}
}
