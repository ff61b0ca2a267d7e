package credproc

import (
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
)

// TestTimes follows sessions of several lives to their ends.
func TestTimes(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		life          time.Duration
		fresh, renews time.Duration // the last moment of the one and the first of the other, after start
		expiration    time.Duration
	}{
		{3600 * time.Second, 40*time.Minute - time.Millisecond, 40 * time.Minute, 55 * time.Minute},
		{1800 * time.Second, 20*time.Minute - time.Second, 20 * time.Minute, 1650 * time.Second},
		{900 * time.Second, 10*time.Minute - time.Second, 10 * time.Minute, 825 * time.Second},
		{6 * time.Second, 4*time.Second - time.Millisecond, 4 * time.Second, 5 * time.Second}, // 5.5, in whole seconds
	} {
		s := newSession(hop.Session{Credentials: hop.Credentials{Expires: start.Add(test.life)}}, start, time.Hour)
		if !s.fresh(start.Add(test.fresh)) || s.fresh(start.Add(test.renews)) {
			t.Errorf("%s: fresh %t and %t", test.life, s.fresh(start.Add(test.fresh)), s.fresh(start.Add(test.renews)))
		}
		if got := s.expiration().Sub(start); got != test.expiration {
			t.Errorf("%s: expiration %s, want %s", test.life, got, test.expiration)
		}
		if !s.valid(s.expiration().Add(-time.Millisecond)) || s.valid(s.expiration()) {
			t.Errorf("%s: not valid until %s", test.life, s.expiration())
		}
	}
}

// TestClocks uses clocks that are ahead or behind by five minutes and more.
func TestClocks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		issued, expires time.Duration // as kept, after now
		plausible       bool
	}{
		{0, time.Hour, true},
		{-time.Hour, time.Minute, true},
		{-2 * time.Hour, -time.Hour, true}, // long expired, but plausible
		{0, time.Hour + maxSkew, true},
		{time.Second, time.Hour + maxSkew + time.Second, false},
		{maxSkew, time.Hour, true},
		{maxSkew + time.Second, time.Hour, false},
		{0, 0, false},
		{0, -time.Second, false},
		{-24 * time.Hour, time.Minute, false},
	} {
		s := &session{issued: now.Add(test.issued), credentials: hop.Credentials{Expires: now.Add(test.expires)}}
		if got := s.plausible(now); got != test.plausible {
			t.Errorf("issued %s, expires %s: %t", test.issued, test.expires, got)
		}
	}
	// AWS's end lies 10 minutes too far ahead for a clock that is late by as much; the session's life does not.
	late := newSession(hop.Session{Credentials: hop.Credentials{Expires: now.Add(70 * time.Minute)}}, now, time.Hour)
	if got := late.credentials.Expires.Sub(now); got != time.Hour || !late.plausible(now) {
		t.Errorf("the late clock's session lives for %s", got)
	}
}
