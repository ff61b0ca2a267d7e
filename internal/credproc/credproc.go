// Package credproc is the edge towards AWS's SDKs and tools: the credential_process of their configuration. It
// renews the credentials of later steps after the hour that AWS allows a chained session. A file holds the plan of the
// hop; a call of the command returns the session that is cached next to it, or walks the hop again with the token of
// the step in which it runs. The walk itself is hop's; explaining a failure is diagnose's.
package credproc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/plain"
)

// Run writes the credentials of the plan's spoke to stdout, version 1 of the credential process's JSON, in one write.
// A cached session with time left is returned without a request and without waiting for the lock. Otherwise one of
// all calls walks the hop, and those that have waited for it return the same, a failure included if they have the
// same environmentID; a call that begins later tries again. While the cached session is valid, it is returned when
// renewing takes long or fails, and stderr gets one line about that.
//
// The error is an *Error when the hop failed, or was not waited for; any other is about the plan's file or stdout.
func Run(ctx context.Context, planPath string, getenv func(string) string, stdout, stderr io.Writer) error {
	began := time.Now()
	c, err := open(planPath)
	if err != nil {
		return err
	}
	c.getenv, c.stderr, c.began = getenv, stderr, began
	expired := fmt.Errorf("the call timed out after %d s: %w", int(timeout(c.plan).Seconds()), context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout(c.plan), expired)
	defer cancel()

	r := c.result(ctx)
	if r.session == nil {
		return r.failure
	}
	if r.failure != nil {
		c.warn("the session was not renewed; the cached one is returned, valid until %s: %s", r.session.expiration().Format(time.RFC3339), r.failure)
	}
	return r.session.print(stdout, c.plan.Spokes[0].AccountID)
}

// Seed caches a session of the plan's spoke, so that the first call need not walk. It creates the lock's file too.
func Seed(planPath string, session hop.Session) error {
	c, err := open(planPath)
	if err != nil {
		return err
	}
	if session.ARN != c.cache.arn {
		return fmt.Errorf("the session %s is not the plan's, %s", plain.Quote(session.ARN), c.cache.arn)
	}
	unlock, err := lock(context.Background(), lockPath(planPath))
	if err != nil {
		return fmt.Errorf("locking the cache: %w", err)
	}
	defer unlock.Close()
	return c.cache.write(state{session: newSession(session, time.Now(), c.plan.Duration())})
}

// call is one call of the command.
type call struct {
	planPath string
	plan     hop.Plan
	cache    cache
	getenv   func(string) string
	stderr   io.Writer
	began    time.Time
}

func open(planPath string) (call, error) {
	plan, digest, err := readPlan(planPath)
	if err != nil {
		return call{}, err
	}
	c := cache{path: cachePath(planPath), plan: digest, arn: plan.Spokes[0].Session(plan.SessionName)}
	return call{planPath: planPath, plan: plan, cache: c}, nil
}

// result is a session to return, with the failure of renewing it if there was one, or a failure alone.
type result struct {
	session *session
	failure *Error
}

// patience is how long a call waits for another one to renew a session that is still valid. A hop usually takes less.
const patience = time.Second

var errBusy = errors.New("it takes longer than " + patience.String())

// result reads the cache twice, without the lock and with it, and walks the hop when neither has a session to return.
func (c call) result(ctx context.Context) result {
	cached := c.cache.read(time.Now())
	if r, settled := c.settled(cached); settled {
		return r
	}
	waiting := ctx
	if cached.session != nil && cached.session.valid(time.Now().Add(patience)) {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(ctx, patience, errBusy)
		defer cancel()
	}
	unlock, err := lock(waiting, lockPath(c.planPath))
	if errors.Is(err, errBusy) {
		return result{session: cached.session}
	}
	if err != nil {
		doing := "locking the cache: "
		if ctx.Err() != nil {
			doing = "waiting for the call that renews the session: "
		}
		return c.failed(c.cache.read(time.Now()), newError(doing+err.Error(), nil))
	}
	defer unlock.Close()
	cached = c.cache.read(time.Now())
	if r, settled := c.settled(cached); settled {
		return r
	}

	w, unable := newWalk(c.planPath, c.plan, c.getenv)
	if unable != nil {
		return c.failed(cached, unable)
	}
	if err := w.run(ctx); err != nil {
		explained := w.explain(err)
		if !errors.Is(err, context.Canceled) { // a signal to this one process does not concern the others
			cached.failure = &failure{time.Now(), environmentID(c.getenv), explained}
			c.keep(cached)
		}
		return c.failed(cached, explained)
	}
	renewed := newSession(w.spoke, time.Now(), c.plan.Duration())
	c.keep(state{session: renewed})
	return result{session: renewed}
}

// settled reports whether the cache has the result: a session with time left, or a failure that is this call's too,
// which that of a step with another proxy, request token or certificate authorities is not. While the session is valid,
// a failure holds for later calls as well for some time, so that not each of them calls an AWS that has an outage.
func (c call) settled(cached state) (result, bool) {
	now := time.Now()
	if cached.session != nil && cached.session.fresh(now) {
		return result{session: cached.session}, true
	}
	if cached.failure == nil || cached.failure.environment != environmentID(c.getenv) {
		return result{}, false
	}
	valid := cached.session != nil && cached.session.valid(now)
	paused := valid && now.Before(cached.failure.at.Add(min(pause, cached.session.life()/30)))
	if !paused && cached.failure.at.Before(c.began) {
		return result{}, false
	}
	return c.failed(cached, cached.failure.err), true
}

// failed returns the result of a call that has no new session.
func (c call) failed(cached state, err *Error) result {
	if cached.session != nil && cached.session.valid(time.Now()) {
		return result{session: cached.session, failure: err}
	}
	return result{failure: err}
}

// keep writes the cache. A failure of that is only reported: the call's result is valid without it.
func (c call) keep(s state) {
	if err := c.cache.write(s); err != nil {
		c.warn("%v", err)
	}
}

func (c call) warn(format string, args ...any) {
	fmt.Fprintf(c.stderr, "hubspoke-chain: warning: %s\n", line(fmt.Sprintf(format, args...)))
}

// print writes the session.
// Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
func (s *session) print(stdout io.Writer, accountID string) error {
	data, err := json.Marshal(struct {
		Version         int
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      string
		AccountID       string `json:"AccountId"`
	}{
		1, s.credentials.AccessKeyID.Reveal(), s.credentials.SecretAccessKey.Reveal(), s.credentials.SessionToken.Reveal(),
		s.expiration().Format(time.RFC3339), accountID,
	})
	if err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	if _, err := stdout.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	return nil
}
