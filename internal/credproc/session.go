package credproc

import (
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
)

// When a session is renewed and which expiration is reported. AWS's SDKs differ in when they call again before the
// reported expiration: botocore, and so the AWS CLI, from 15 minutes on, and from 10 on it lets the tool wait; the SDK
// for JavaScript 5 minutes; those for Go, and so Terraform, at the expiration and not before.
//
//	minute 0             40                   55                   60    of a session of an hour
//	       | returned    | renewed by a call  | reported expiration |
//	                     | botocore calls     | Go calls            |
//
// The reported expiration is 5 minutes early, so that a session which an SDK for Go holds is valid for these when a
// long request begins. botocore's 15 minutes before that are 20 of the session's own: from then on every call returns
// a new session, so an SDK that calls early never gets back the one that it has. Shorter sessions have these times in
// proportion.
// Source: botocore 1.43.11, credentials.py, _advisory_refresh_timeout and _mandatory_refresh_timeout;
// aws-sdk-go-v2/credentials v1.20.16, processcreds, whose credentials have no ExpiryWindow.
const (
	renewal = 20 * time.Minute // before its end a session is renewed, or at a third of its life
	margin  = 5 * time.Minute  // between the reported expiration and the real one, or a twelfth of its life
	pause   = time.Minute      // after renewing failed, while the session is valid; or a thirtieth of its life
)

// Limits of a session that is accepted from the cache.
const (
	maxSkew = 5 * time.Minute // of a clock, the same that AWS allows in a signature
	maxLife = hop.MaxDuration
)

// session is the spoke's session as it is cached and returned.
type session struct {
	arn         string
	credentials hop.Credentials
	issued      time.Time
}

// newSession returns a session that AWS has just issued. It expires when its duration has passed: where the clock is
// slow, AWS's expiration is too far in the future.
func newSession(s hop.Session, now time.Time, duration time.Duration) *session {
	cached := &session{arn: s.ARN, credentials: s.Credentials, issued: now}
	if end := now.Add(duration); end.Before(cached.credentials.Expires) {
		cached.credentials.Expires = end
	}
	return cached
}

func (s *session) life() time.Duration { return s.credentials.Expires.Sub(s.issued) }

// expiration returns the expiration that is reported to the SDK, in whole seconds, UTC.
func (s *session) expiration() time.Time {
	return s.credentials.Expires.Add(-min(margin, s.life()/12)).UTC().Truncate(time.Second)
}

// fresh reports whether the session is returned without renewing it.
func (s *session) fresh(now time.Time) bool {
	return s.credentials.Expires.Sub(now) > min(renewal, s.life()/3)
}

// valid reports whether the session can be returned when there is no other.
func (s *session) valid(now time.Time) bool { return now.Before(s.expiration()) }

// plausible reports whether the times are those of a chained session.
func (s *session) plausible(now time.Time) bool {
	return !s.issued.After(now.Add(maxSkew)) && s.life() > 0 && s.life() <= maxLife+maxSkew && s.credentials.Expires.Sub(now) <= maxLife+maxSkew
}
