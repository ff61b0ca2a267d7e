// Package hop walks from a GitHub Actions ID token over a hub role to spoke roles: what to do is a Plan, which is
// validated here, and Run does it. It sends requests to AWS STS only: where the token comes from, how a value is
// masked and where the credentials go are functions that the caller passes. Reading inputs, GitHub's log and
// explaining a failure are left to others.
package hop

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/org/hubspoke-chain/internal/transport"
)

// Hooks are the functions that a hop calls. Token, Mask and Export are required. They are never called
// concurrently, though roles are assumed in parallel.
type Hooks struct {
	// Token requests an ID token for the audience; go-githubactions' GetIDToken has this shape. It is called once more
	// when the first token has expired.
	Token func(ctx context.Context, audience string) (string, error)
	// Tags returns the session tags that depend on the token's claims, to be sent instead of the plan's. It is called
	// once, after the first Token. Nil for the plan's tags.
	Tags func() []Tag
	// Mask hides a value in everything that is printed from then on; AddMask has this shape.
	Mask func(value string)
	// Export passes the spokes' sessions on, all of them or, with an error, none.
	Export func(spokes []Session) error

	// Progress callbacks; each may be nil.

	// Reached is called for the token, which is masked by then and has no session, for the hub session of each batch,
	// with the time since the first hub call, and for each spoke.
	Reached  func(stage Stage, s Session, took time.Duration)
	Retrying func(err *Error, attempt int, wait time.Duration) // after attempt, counted from 1
	Dropped  func(spoke ARN, keys []string)                    // tags left out because AWS returned that they are too large
}

// Session is the session of a role.
type Session struct {
	Role        ARN
	ARN         string // arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION
	Tags        []Tag  // as sent
	Spokes      int    // that a hub session is for; 0 for the session of a spoke
	Credentials Credentials
}

// Credentials are temporary AWS credentials.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken Secret
	Expires                                    time.Time // UTC, whole seconds
}

// Run walks the hop of a valid plan. Every secret is masked in the line that receives it, the roles' credentials in
// client.session. On an error nothing has been exported; it is an *Error, or Errors when several calls
// failed. The token and the hub's credentials do not outlive the call.
func Run(ctx context.Context, plan Plan, network transport.Network, hooks Hooks) error {
	sts, err := open(ctx, plan, network, hooks) // connects while the token is being requested
	if err != nil {
		return err
	}
	defer sts.close()

	if _, err := sts.tokens[0](); err != nil {
		return err
	}
	tags := sts.tags()
	hubs := sts.hubSessions(ctx) // as they arrive, one for each batch of spokes
	spokes, err := sts.spokeSessions(ctx, hubs, tags)
	if err != nil {
		return err
	}
	if ctx.Err() != nil { // canceled after the last response: the job is over, so nothing is exported
		return &Error{Stage: StageExport, Err: context.Cause(ctx)}
	}
	if err := hooks.Export(spokes); err != nil {
		return &Error{Stage: StageExport, Err: err}
	}
	return nil
}

// hub is the session of one batch of spokes, or why there is none.
type hub struct {
	roles   []ARN // of the spokes
	session Session
	failure *Error
}

// hubSessions exchanges the token for one session for each batch, in parallel. A batch whose policy AWS finds too
// large is halved: AWS limits the size of a session's token besides the characters of a policy.
func (c *client) hubSessions(ctx context.Context) <-chan hub {
	start := time.Now()
	hubs := make(chan hub)
	var calls sync.WaitGroup
	var assume func(roles []ARN)
	assume = func(roles []ARN) {
		calls.Go(func() {
			session, failure := c.assumeHub(ctx, roles, start)
			if half := len(roles) / 2; half > 0 && failure != nil && failure.HasCode("PackedPolicyTooLarge") {
				assume(roles[:half])
				assume(roles[half:])
				return
			}
			hubs <- hub{roles, session, failure}
		})
	}
	for _, roles := range batches(c.plan.Spokes) {
		assume(roles)
	}
	go func() {
		calls.Wait()
		close(hubs)
	}()
	return hubs
}

// spokeSessions assumes every spoke role as soon as its hub session has arrived, in parallel, and returns the sessions
// in the order of the spokes. All of them are tried, so that one run shows everything that is wrong.
func (c *client) spokeSessions(ctx context.Context, hubs <-chan hub, tags []Tag) ([]Session, error) {
	sessions := make([]Session, len(c.plan.Spokes))
	failures := make(Errors, len(c.plan.Spokes))
	var calls sync.WaitGroup
	for hub := range hubs {
		for i, spoke := range c.plan.Spokes {
			switch {
			case !slices.Contains(hub.roles, spoke):
			case hub.failure != nil:
				failures[i] = hub.failure
			default:
				calls.Go(func() { sessions[i], failures[i] = c.assumeSpoke(ctx, hub.session, spoke, tags) })
			}
		}
	}
	calls.Wait()
	return sessions, failures.join(context.Cause(ctx))
}
