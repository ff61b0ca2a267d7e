// Package credproc is the edge towards AWS's SDKs and tools: the credential_process of their configuration. It
// lets the steps behind the action go on past the hour that AWS gives a chained session. A file describes the
// chain, and holds no secret; a call of the command hands out the session that is kept beside it, or walks the
// hop anew with the token of the step in which it runs. The walk itself is hop's; what a failure means is
// diagnose's.
package credproc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
)

// Run writes the credentials of the chain's spoke to stdout, version 1 of the credential process's JSON, in one
// write. A session that is kept and has time left is handed out as it is: nobody is asked and no lock is waited
// for. Otherwise one of all calls walks the hop, and those that have waited for it answer as it did, failure
// included if they would ask for a token in the same way; a call that begins later tries anew. While the session is
// still good, that one is handed out when renewing takes long, or fails, of which stderr has a line.
//
// The error is an *Error when the hop failed, or was not waited for; any other is about the chain's file or
// stdout.
func Run(ctx context.Context, chainFile string, getenv func(string) string, stdout, stderr io.Writer) error {
	began := time.Now()
	c, err := open(chainFile)
	if err != nil {
		return err
	}
	c.getenv, c.stderr, c.began = getenv, stderr, began
	expired := fmt.Errorf("the call's %d s are up: %w", int(c.chain.timeout().Seconds()), context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, c.chain.timeout(), expired)
	defer cancel()

	a := c.answer(ctx)
	if a.session == nil {
		return a.failure
	}
	if a.failure != nil {
		c.warn("the session is not renewed, and the one that is there is handed out, good until %s: %s", a.session.told().Format(time.RFC3339), a.failure)
	}
	return a.session.print(stdout, c.spoke.AccountID)
}

// Seed keeps a session that the caller has of the chain's spoke, so that the first call need not walk. It makes
// the lock's file too.
func Seed(chainFile string, session hop.Session) error {
	c, err := open(chainFile)
	if err != nil {
		return err
	}
	if session.ARN != c.cache.arn {
		return fmt.Errorf("the session %s is not the chain's, %s", quote(session.ARN), c.cache.arn)
	}
	unlock, err := lock(context.Background(), lockFile(chainFile))
	if err != nil {
		return fmt.Errorf("locking the cache: %w", err)
	}
	defer unlock.Close()
	return c.cache.write(state{session: newSession(session, time.Now(), c.chain.duration())})
}

// call is one call of the command.
type call struct {
	chainFile string
	chain     Chain
	spoke     hop.ARN
	cache     cache
	getenv    func(string) string
	stderr    io.Writer
	began     time.Time
}

func open(chainFile string) (call, error) {
	chain, digest, err := readChain(chainFile)
	if err != nil {
		return call{}, err
	}
	spoke, err := hop.ParseRoleARN(chain.Spoke)
	if err != nil {
		return call{}, err
	}
	c := cache{path: cacheFile(chainFile), chain: digest, arn: spoke.Session(chain.SessionName)}
	return call{chainFile: chainFile, chain: chain, spoke: spoke, cache: c}, nil
}

// answer is what a call comes to: a session to hand out, with the failure of renewing it if there was one, or a
// failure alone.
type answer struct {
	session *session
	failure *Error
}

// patience is how long a call waits for another one to renew a session that is still good. A hop takes less, as a rule.
const patience = time.Second

var errBusy = errors.New("it takes longer than " + patience.String())

// answer looks twice at the cache, without the lock and with it, and walks the hop when both times there is
// nothing to hand out.
func (c call) answer(ctx context.Context) answer {
	held := c.cache.read(time.Now())
	if a, settled := c.settled(held); settled {
		return a
	}
	waiting := ctx
	if held.session != nil && held.session.isGood(time.Now().Add(patience)) {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(ctx, patience, errBusy)
		defer cancel()
	}
	unlock, err := lock(waiting, lockFile(c.chainFile))
	if errors.Is(err, errBusy) {
		return answer{session: held.session}
	}
	if err != nil {
		doing := "locking the cache: "
		if ctx.Err() != nil {
			doing = "waiting for the call that renews the session: "
		}
		return c.without(c.cache.read(time.Now()), newError(doing+err.Error(), nil))
	}
	defer unlock.Close()
	held = c.cache.read(time.Now())
	if a, settled := c.settled(held); settled {
		return a
	}

	w := walk{file: c.chainFile, chain: c.chain, getenv: c.getenv}
	h, unable := w.prepare()
	if unable != nil {
		return c.without(held, unable)
	}
	if err := hop.Run(ctx, h); err != nil {
		failed := w.explain(err)
		if !errors.Is(err, context.Canceled) { // a signal to this one process is no answer to the others
			held.failure = &failure{time.Now(), asker(c.getenv), failed}
			c.keep(held)
		}
		return c.without(held, failed)
	}
	renewed := newSession(w.spoke, time.Now(), c.chain.duration())
	c.keep(state{session: renewed})
	return answer{session: renewed}
}

// settled tells whether the cache has the answer: a session with time left, or a failure that is this call's
// too, which one of a step with another proxy, request token or authorities is not. While the session is good, the failure
// is for some time that of later calls as well, or each of them would ask an AWS that is in trouble.
func (c call) settled(held state) (answer, bool) {
	now := time.Now()
	if held.session != nil && held.session.isFresh(now) {
		return answer{session: held.session}, true
	}
	if held.failure == nil || held.failure.asker != asker(c.getenv) {
		return answer{}, false
	}
	good := held.session != nil && held.session.isGood(now)
	paused := good && now.Before(held.failure.at.Add(min(pause, held.session.life()/30)))
	if !paused && held.failure.at.Before(c.began) {
		return answer{}, false
	}
	return c.without(held, held.failure.err), true
}

// without is the answer of a call that has no new session.
func (c call) without(held state, failed *Error) answer {
	if held.session != nil && held.session.isGood(time.Now()) {
		return answer{session: held.session, failure: failed}
	}
	return answer{failure: failed}
}

// keep writes the cache. That this fails is told and no more: what the call came to is good without it.
func (c call) keep(s state) {
	if err := c.cache.write(s); err != nil {
		c.warn("%v", err)
	}
}

func (c call) warn(format string, args ...any) {
	fmt.Fprintf(c.stderr, "hubspoke-chain: warning: %s\n", line(fmt.Sprintf(format, args...)))
}

// timeout is that of a whole call.
func (c Chain) timeout() time.Duration {
	return min(time.Duration(c.TimeoutSeconds)*time.Second, maxCall)
}

// duration is that of the spoke's session.
func (c Chain) duration() time.Duration { return time.Duration(c.DurationSeconds) * time.Second }

// print hands the session out.
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
		s.told().Format(time.RFC3339), accountID,
	})
	if err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	if _, err := stdout.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	return nil
}
