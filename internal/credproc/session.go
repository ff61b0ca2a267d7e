package credproc

import (
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
)

// When a session is renewed and what is told of its end. AWS's SDKs differ in when they ask again, before
// the end that they were told: botocore, and so the AWS CLI, from 15 minutes on, and from 10 on it lets the tool
// wait; the one for JavaScript 5 minutes; those for Go, and so Terraform, at the end and not before.
//
//	minute 0             40                   55              60    of a session of an hour
//	       | handed out  | renewed when asked | told to be over |
//	                     | botocore asks      | Go asks         |
//
// What is told is 5 minutes early, so that a session which an SDK for Go holds has these in hand when a long
// call begins. botocore's 15 minutes before that are 20 of the session's own: from there on whoever asks gets
// a new one, and so the SDK that asks early never gets back what it has. Shorter sessions have these times in
// proportion.
// Source: botocore 1.43.11, credentials.py, _advisory_refresh_timeout and _mandatory_refresh_timeout;
// aws-sdk-go-v2/credentials v1.20.16, processcreds, whose credentials have no ExpiryWindow.
const (
	renewal = 20 * time.Minute // before its end a session is renewed, or at a third of its life
	margin  = 5 * time.Minute  // between the end that is told and the real one, or a twelfth of its life
	pause   = time.Minute      // after renewing failed, while the session is good; or a thirtieth of its life
)

// Limits of what is believed of a session.
const (
	maxSkew = 5 * time.Minute // that a clock may be off, the same that AWS allows in a signature
	maxLife = time.Hour       // of a chained session
)

// session is the spoke's session as it is kept and handed out.
type session struct {
	arn         string
	credentials hop.Credentials
	issued      time.Time
}

// newSession is a session that AWS gave just now. It is over once it has lasted as long as was asked for: on a
// machine whose clock is late, the end that AWS names lies too far ahead.
func newSession(s hop.Session, now time.Time, duration time.Duration) *session {
	kept := &session{arn: s.ARN, credentials: s.Credentials, issued: now}
	if end := now.Add(duration); end.Before(kept.credentials.Expires) {
		kept.credentials.Expires = end
	}
	return kept
}

func (s *session) life() time.Duration { return s.credentials.Expires.Sub(s.issued) }

// told is the end that the SDK is told, in whole seconds, UTC.
func (s *session) told() time.Time {
	return s.credentials.Expires.Add(-min(margin, s.life()/12)).UTC().Truncate(time.Second)
}

// isFresh tells whether the session is handed out without a thought of another.
func (s *session) isFresh(now time.Time) bool {
	return s.credentials.Expires.Sub(now) > min(renewal, s.life()/3)
}

// isGood tells whether the session can be handed out when there is no other.
func (s *session) isGood(now time.Time) bool { return now.Before(s.told()) }

// isBelievable tells whether the times are those of a chained session.
func (s *session) isBelievable(now time.Time) bool {
	return !s.issued.After(now.Add(maxSkew)) && s.life() > 0 && s.life() <= maxLife+maxSkew && s.credentials.Expires.Sub(now) <= maxLife+maxSkew
}
