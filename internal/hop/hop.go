// Package hop walks from a GitHub Actions ID token over a hub role to spoke roles. It talks to AWS
// STS and to nobody else: where the token comes from, how a value is masked and where the
// credentials go are functions that the caller hands over. Reading inputs, GitHub's log and
// explaining a failure are left to others.
package hop

import (
	"context"
	"crypto/x509"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Hop is one walk: a token, a hub session for each batch of spokes, a session for each spoke.
type Hop struct {
	// Token mints an ID token for the audience; go-githubactions' GetIDToken has this shape. It is called once more
	// when the first token has expired.
	Token func(ctx context.Context, audience string) (string, error)
	// Mask hides a value in everything that is printed from then on; AddMask has this shape.
	Mask func(value string)
	// Export hands the spokes' sessions on, all of them or, with an error, none.
	Export func(spokes []Session) error

	Audience    string // of the ID token, sts.amazonaws.com for example
	Hub         ARN    // the role that trusts GitHub's OIDC provider
	Spokes      []Spoke
	SessionName string // of every session, 2 to 64 of [\w+=,.@-]
	// Tags returns the session tags of the spokes; it is called once, when the first token is minted. Nil for none.
	Tags func() []Tag

	Region      string   // of the STS endpoint and of the signature
	Endpoint    *url.URL // in place of the region's STS endpoint; nil for the region's
	Proxy       func(*url.URL) (*url.URL, error)
	Roots       *x509.CertPool // whose certificates are believed; nil for the system's authorities
	MaxAttempts int            // of one call, 1 or more

	// What follows reports progress; nil where nobody listens. None of them, Mask, Token and Tags is called while
	// another is running, though roles are assumed side by side.

	// Reached is called for the token, which is masked by then and has no session, for the hub session of each batch,
	// with the time since the first hub call, and for each spoke.
	Reached  func(stage Stage, s Session, took time.Duration)
	Retrying func(err *Error, attempt int, wait time.Duration) // after attempt, counted from 1
	Dropped  func(spoke Spoke, keys []string)                  // tags left out because AWS found them too large
}

// Spoke is a role to assume from the hub and how.
type Spoke struct {
	Role              ARN
	Duration          time.Duration // of the session, 900 s to the 3600 s that AWS allows a chained one
	TransitiveTagKeys []string      // of the tags, those that later role chaining carries on
	SourceIdentity    string        // 2 to 64 of [\w+=,.@-]; empty for none
	ExternalID        string        // 2 to 1224 of [\w+=,.@:/-]; empty for none
	Policy            string        // inline session policy, JSON; empty for none
	PolicyARNs        []string      // managed session policies, up to 10
}

// Tag is a session tag. A droppable one is left out when AWS finds the tags too large.
type Tag struct {
	Key       string `json:"key"`                 // 1 to 128 characters
	Value     string `json:"value"`               // up to 256 characters
	Droppable bool   `json:"droppable,omitempty"` // false for one that must be sent
}

// Session is what assuming a role gave.
type Session struct {
	Role        ARN
	ARN         string // arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION
	Tags        []Tag  // as sent
	Policy      string // inline session policy as sent; empty for none
	Spokes      int    // that a hub session is for; 0 for the session of a spoke
	Credentials Credentials
}

// Credentials are temporary AWS credentials.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken Secret
	Expires                                    time.Time // UTC, whole seconds
}

// Run walks the hop. Every secret is masked in the line that receives it, the roles' credentials in
// client.session. On an error nothing has been exported; it is an *Error, or Errors when several calls
// failed. The token and the hub's credentials do not outlive the call.
func Run(ctx context.Context, h Hop) error {
	sts, err := h.open(ctx) // connects while the token is being minted
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
	if ctx.Err() != nil { // cancelled after the last answer: the job is over, so nothing is exported
		return &Error{Stage: StageExport, Err: context.Cause(ctx)}
	}
	if err := h.Export(spokes); err != nil {
		return &Error{Stage: StageExport, Err: err}
	}
	return nil
}

// maxConcurrent is how many calls are made at a time, each on a connection of its own.
const maxConcurrent = 50

// hub is the session of one batch of spokes, or why there is none.
type hub struct {
	roles   []ARN // of the spokes
	session Session
	failure *Error
}

// hubSessions exchanges the token for one session for each batch, side by side. A batch whose policy AWS finds too
// large is halved: the limit on a session's size is not one on the characters of a policy.
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
	for _, roles := range c.batches {
		assume(roles)
	}
	go func() {
		calls.Wait()
		close(hubs)
	}()
	return hubs
}

// spokeSessions assumes every spoke role as soon as its hub session is there, side by side, and returns the sessions
// in the order of the spokes. All of them are tried, so that one run shows everything that is wrong.
func (c *client) spokeSessions(ctx context.Context, hubs <-chan hub, tags []Tag) ([]Session, error) {
	sessions := make([]Session, len(c.hop.Spokes))
	failures := make(Errors, len(c.hop.Spokes))
	var calls sync.WaitGroup
	for hub := range hubs {
		for i, spoke := range c.hop.Spokes {
			switch {
			case !slices.Contains(hub.roles, spoke.Role):
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
