// Package hop walks from a GitHub Actions ID token over a hub role to spoke roles. It talks to AWS
// STS and to nobody else: where the token comes from, how a value is masked and where the
// credentials go are functions that the caller hands over. Reading inputs, GitHub's log and
// explaining a failure are left to others.
package hop

import (
	"context"
	"crypto/x509"
	"net/url"
	"sync"
	"time"
)

// Hop is one walk: a token, one hub session, one session for each spoke.
type Hop struct {
	// Token mints an ID token for the audience; go-githubactions' GetIDToken has this shape.
	Token func(ctx context.Context, audience string) (string, error)
	// Mask hides a value in everything that is printed from then on; AddMask has this shape.
	Mask func(value string)
	// Export hands the spokes' sessions on, all of them or, with an error, none.
	Export func(spokes []Session) error

	Audience    string // of the ID token, sts.amazonaws.com for example
	Hub         ARN    // the role that trusts GitHub's OIDC provider
	Spokes      []Spoke
	SessionName string // of every session, 2 to 64 of [\w+=,.@-]
	// Tags gives the session tags of the spokes; it is called once the token is minted. Nil for none.
	Tags func() []Tag

	Region      string   // of the STS endpoint and of the signature
	Endpoint    *url.URL // in place of the region's STS endpoint; nil for the region's
	Proxy       func(*url.URL) (*url.URL, error)
	Roots       *x509.CertPool // whose certificates are believed; nil for the system's authorities
	MaxAttempts int            // of one call, 1 or more

	// What follows tells how the walk goes; nil where nobody listens. Neither of them nor Mask is called while
	// another is running, though the spokes are assumed side by side.

	Reached  func(stage Stage, s Session, took time.Duration)  // no session at StageToken, where the token is masked by then
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
	Credentials Credentials
}

// Credentials are temporary AWS credentials.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken Secret
	Expires                                    time.Time // UTC, whole seconds
}

// Run walks the hop. Every secret is masked in the line that receives it, the roles' credentials in
// client.session. On an error nothing has been exported; it is an *Error, or Errors when several spokes
// failed. The token and the hub's credentials do not outlive the call.
func Run(ctx context.Context, h Hop) error {
	sts, err := h.open(ctx) // connects while the token is being minted
	if err != nil {
		return err
	}
	defer sts.close()

	hub, err := sts.hubSession(ctx)
	if err != nil {
		return err
	}
	spokes, err := sts.assumeSpokes(ctx, hub)
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

// hubSession mints the token and assumes the hub role with it. ID tokens live five minutes, so one
// may expire while the call is being retried; then another is minted, once, unless retries are off.
func (c *client) hubSession(ctx context.Context) (Session, error) {
	for mint := 1; ; mint++ {
		start := time.Now()
		value, err := c.hop.Token(ctx, c.hop.Audience)
		if err != nil {
			return Session{}, &Error{Stage: StageToken, Err: err}
		}
		c.mask(value)
		c.reached(StageToken, Session{}, start)
		hub, failure := c.assumeHub(ctx, NewSecret(value))
		if failure == nil {
			return hub, nil
		}
		if mint == min(2, c.hop.MaxAttempts) || !failure.HasCode("ExpiredToken") {
			return Session{}, failure
		}
		c.retrying(failure, mint, 0)
	}
}

// maxConcurrent is how many spokes are assumed at a time, each on a connection of its own.
const maxConcurrent = 50

// assumeSpokes assumes every spoke role with the hub's session, side by side, and gives the sessions in the
// order of the spokes. All of them are tried, so that one run shows everything that is wrong.
func (c *client) assumeSpokes(ctx context.Context, hub Session) ([]Session, error) {
	var tags []Tag
	if c.hop.Tags != nil {
		tags = c.hop.Tags()
	}
	sessions := make([]Session, len(c.hop.Spokes))
	failures := make(Errors, len(c.hop.Spokes))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(maxConcurrent, len(c.hop.Spokes)) {
		workers.Go(func() {
			for i := range next {
				sessions[i], failures[i] = c.assumeSpoke(ctx, hub, c.hop.Spokes[i], tags)
			}
		})
	}
	for i := range c.hop.Spokes {
		next <- i
	}
	close(next)
	workers.Wait()
	return sessions, failures.join(context.Cause(ctx))
}
