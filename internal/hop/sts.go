package hop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
)

// HubDuration of the hub's session is the shortest that AWS grants: it is needed for seconds.
const HubDuration = 900 * time.Second

// client talks to one STS endpoint for one hop.
type client struct {
	hop     Hop
	batches [][]ARN // of the spokes' roles
	conn    *connection
	options sts.Options                // without credentials and retryer
	tokens  [2]func() (Secret, *Error) // mint the first token and the one that replaces it, each at its first call
	slots   chan struct{}              // one taken by each call to STS

	telling sync.Mutex // held while a function of the hop is called, Export excepted
	mu      sync.Mutex
	secrets []Secret // what was masked so far; under mu
}

// open builds the client from the hop alone. The SDK's own configuration is not read: a container
// action gets whatever earlier steps exported, and AWS_ENDPOINT_URL_STS, AWS_PROFILE or
// AWS_CONFIG_FILE would send the token elsewhere or change who is asking.
func (h Hop) open(ctx context.Context) (*client, error) {
	batches, err := batches(h.Spokes)
	if err != nil {
		return nil, err
	}
	c := &client{hop: h, batches: batches, slots: make(chan struct{}, maxConcurrent)}
	for i := range c.tokens {
		c.tokens[i] = sync.OnceValues(func() (Secret, *Error) { return c.mint(ctx) })
	}
	endpoint := h.Endpoint
	if endpoint == nil {
		resolved, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{Region: aws.String(h.Region)})
		if err != nil {
			return nil, &Error{Stage: StageHub, Role: h.Hub.String(), Err: fmt.Errorf("resolving the STS endpoint of %s: %w", h.Region, err)}
		}
		endpoint = &resolved.URI
	}
	c.conn = openConnection(ctx, endpoint, h.Proxy, h.Roots)
	c.options = sts.Options{
		Region:       h.Region,
		BaseEndpoint: aws.String(endpoint.String()),
		HTTPClient:   c.conn.client,
		AppID:        "hubspoke-chain", // names this tool in CloudTrail's userAgent
	}
	return c, nil
}

func (c *client) close() { c.conn.close() }

// newRetryer retries what the SDK retries and two things more, but no certificate that is not believed and no
// proxy that forbids. Each call has one of its own: the SDK's bucket of
// retry tokens is for one caller that runs on and on, and a hundred spokes would empty it at the first
// burst of throttling.
func newRetryer(attempts int) *retry.Standard {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		ours := retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			// The same server shows the same certificate again.
			var certificate *tls.CertificateVerificationError
			if errors.As(err, &certificate) {
				return aws.FalseTernary
			}
			var proxy *proxyError // what a proxy forbids, or wants a password for, it will not allow the next time
			if errors.As(err, &proxy) && proxy.status < http.StatusInternalServerError {
				return aws.FalseTernary
			}
			// STS could not fetch GitHub's keys: passes by itself, and is the usual flake of this call.
			// Every other InvalidIdentityToken is final. The code alone does not tell them apart.
			var api smithy.APIError
			if errors.As(err, &api) && api.ErrorCode() == "InvalidIdentityToken" && strings.HasPrefix(api.ErrorMessage(), "Couldn't retrieve verification key") {
				return aws.TrueTernary
			}
			// An answer cut short is a lost connection, though the SDK meets it while decoding.
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		})
		o.Retryables = append([]retry.IsErrorRetryable{ours}, o.Retryables...) // the first that knows decides
	})
}

// ThrottleDelay is the wait behind an attempt that AWS throttled, counted from 1, for a random number from 0 to 1:
// 2^attempt seconds and a random part of as much again, which is 2 to 4, 4 to 8, 8 to 16, and 16 to 32 from attempt 4
// on. The SDK's own waits, anything from nothing to 2^(attempt-1), bring fewer jobs through a minute in which many ask at
// once, with more requests: docs/fleet.md.
func ThrottleDelay(attempt int, random float64) time.Duration {
	return time.Duration((1 + random) * float64(time.Second<<min(attempt, 4)))
}

// reportingRetryer is the SDK's standard retryer that waits longer when AWS throttles, and tells of each wait.
type reportingRetryer struct {
	*retry.Standard
	until  time.Time // when the step ends; zero when nothing ends it
	report func(err error, attempt int, wait time.Duration)
}

// RetryDelay gives the wait before the next attempt; attempt counts from 1. A wait that the step would not outlive is
// not begun: the call ends with its own error, which says what went wrong, where the step's limit would not.
func (r reportingRetryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	wait, noWait := r.Standard.RetryDelay(attempt, err)
	if noWait != nil {
		return 0, noWait
	}
	if retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary {
		wait = ThrottleDelay(attempt, rand.Float64())
	}
	if !r.until.IsZero() && time.Until(r.until) < wait {
		return 0, err
	}
	r.report(err, attempt, wait)
	return wait, nil
}

// call gives the options of one call, whose retries are told as that call's.
func (c *client) call(ctx context.Context, stage Stage, role ARN) sts.Options {
	options := c.options
	until, _ := ctx.Deadline()
	options.Retryer = reportingRetryer{newRetryer(c.hop.MaxAttempts), until, func(err error, attempt int, wait time.Duration) {
		c.retrying(c.stsError(ctx, stage, role, err), attempt, wait)
	}}
	return options
}

func (c *client) retrying(err *Error, attempt int, wait time.Duration) {
	c.telling.Lock()
	defer c.telling.Unlock()
	if c.hop.Retrying != nil {
		c.hop.Retrying(err, attempt, wait)
	}
}

// mint requests an ID token.
func (c *client) mint(ctx context.Context) (Secret, *Error) {
	start := time.Now()
	value, err := c.requestToken(ctx)
	if err != nil {
		return Secret{}, &Error{Stage: StageToken, Err: err}
	}
	c.mask(value)
	c.reached(StageToken, Session{}, start)
	return NewSecret(value), nil
}

func (c *client) requestToken(ctx context.Context) (string, error) {
	c.telling.Lock() // the second request may run beside calls for other batches
	defer c.telling.Unlock()
	return c.hop.Token(ctx, c.hop.Audience)
}

func (c *client) tags() []Tag {
	c.telling.Lock()
	defer c.telling.Unlock()
	if c.hop.Tags == nil {
		return nil
	}
	return c.hop.Tags()
}

// assumeHub exchanges the token for a hub session that is for these spokes only. ID tokens live five minutes, so one
// may expire while the call is being retried; then another is minted, once for all batches, unless retries are off.
func (c *client) assumeHub(ctx context.Context, roles []ARN, start time.Time) (Session, *Error) {
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	for mint := 1; ; mint++ {
		token, failure := c.tokens[mint-1]()
		if failure != nil {
			return Session{}, failure
		}
		s, failure := c.assumeHubWith(ctx, token, roles)
		if failure == nil {
			c.reached(StageHub, s, start)
			return s, nil
		}
		if mint >= min(len(c.tokens), c.hop.MaxAttempts) || !failure.HasCode("ExpiredToken") {
			return Session{}, failure
		}
		c.retrying(failure, mint, 0)
	}
}

func (c *client) assumeHubWith(ctx context.Context, token Secret, roles []ARN) (Session, *Error) {
	policy := HubPolicy(roles)
	out, err := sts.New(c.call(ctx, StageHub, c.hop.Hub)).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(c.hop.Hub.String()),
		RoleSessionName:  aws.String(c.hop.SessionName),
		WebIdentityToken: aws.String(token.Reveal()),
		DurationSeconds:  aws.Int32(int32(HubDuration.Seconds())),
		Policy:           aws.String(policy),
	})
	if err != nil {
		return Session{}, c.stsError(ctx, StageHub, c.hop.Hub, err)
	}
	s, err := c.session(c.hop.Hub, out.AssumedRoleUser, out.Credentials)
	if err != nil {
		return Session{}, c.stsError(ctx, StageHub, c.hop.Hub, err)
	}
	s.Policy = policy
	for _, spoke := range c.hop.Spokes {
		if slices.Contains(roles, spoke.Role) {
			s.Spokes++
		}
	}
	return s, nil
}

// assumeSpoke assumes one spoke role as the hub. When AWS finds the tags too large, the droppable
// ones are left out and the call is made once more.
func (c *client) assumeSpoke(ctx context.Context, hub Session, spoke Spoke, tags []Tag) (Session, *Error) {
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	start := time.Now()
	api := sts.New(as(hub, c.call(ctx, StageSpoke, spoke.Role)))
	out, err := api.AssumeRole(ctx, c.spokeInput(spoke, tags))
	if err != nil && c.stsError(ctx, StageSpoke, spoke.Role, err).HasCode("PackedPolicyTooLarge") {
		kept, dropped := splitDroppable(tags)
		if len(dropped) > 0 {
			c.dropped(spoke, dropped)
			tags = kept
			out, err = api.AssumeRole(ctx, c.spokeInput(spoke, tags))
		}
	}
	if err != nil {
		return Session{}, c.stsError(ctx, StageSpoke, spoke.Role, err)
	}
	s, err := c.session(spoke.Role, out.AssumedRoleUser, out.Credentials)
	if err != nil {
		return Session{}, c.stsError(ctx, StageSpoke, spoke.Role, err)
	}
	s.Tags, s.Policy = tags, spoke.Policy
	c.reached(StageSpoke, s, start)
	return s, nil
}

// as is the one place that sets credentials: without them the SDK would send AssumeRole unsigned
// and without a complaint.
func as(s Session, options sts.Options) sts.Options {
	options.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{
			AccessKeyID:     s.Credentials.AccessKeyID.Reveal(),
			SecretAccessKey: s.Credentials.SecretAccessKey.Reveal(),
			SessionToken:    s.Credentials.SessionToken.Reveal(),
		}, nil
	})
	return options
}

func (c *client) spokeInput(spoke Spoke, tags []Tag) *sts.AssumeRoleInput {
	in := &sts.AssumeRoleInput{
		RoleArn:         aws.String(spoke.Role.String()),
		RoleSessionName: aws.String(c.hop.SessionName),
		DurationSeconds: aws.Int32(int32(spoke.Duration.Seconds())),
		SourceIdentity:  optional(spoke.SourceIdentity),
		ExternalId:      optional(spoke.ExternalID),
		Policy:          optional(spoke.Policy),
	}
	for _, arn := range spoke.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: aws.String(arn)})
	}
	for _, tag := range tags {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(tag.Key), Value: aws.String(tag.Value)})
		// AWS refuses a transitive key that is not among the tags, and a value that is empty is not sent.
		if slices.ContainsFunc(spoke.TransitiveTagKeys, func(k string) bool { return strings.EqualFold(k, tag.Key) }) {
			in.TransitiveTagKeys = append(in.TransitiveTagKeys, tag.Key)
		}
	}
	return in
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func splitDroppable(tags []Tag) (kept []Tag, dropped []string) {
	for _, tag := range tags {
		if tag.Droppable {
			dropped = append(dropped, tag.Key)
		} else {
			kept = append(kept, tag)
		}
	}
	return kept, dropped
}

// session checks an answer and masks the credentials in it. What is not checked here goes into
// files that the runner parses, so an answer of the wrong form is refused, and the account and the
// role are compared with what was asked for.
func (c *client) session(role ARN, user *types.AssumedRoleUser, credentials *types.Credentials) (Session, error) {
	if user == nil || credentials == nil || credentials.Expiration == nil {
		return Session{}, &answerError{"the answer lacks the role's session or its credentials"}
	}
	id, key, token := aws.ToString(credentials.AccessKeyId), aws.ToString(credentials.SecretAccessKey), aws.ToString(credentials.SessionToken)
	if !AccessKeyID.Holds(id) || !KeyMaterial.Holds(key) || !KeyMaterial.Holds(token) {
		return Session{}, &answerError{"the answer's credentials are not of the form that AWS uses"}
	}
	c.mask(id, key, token)
	if want, got := role.Session(c.hop.SessionName), aws.ToString(user.Arn); got != want {
		return Session{}, &answerError{fmt.Sprintf("the answer is for %q, which is not %s", clip(c.redact(got), maxCode), want)}
	}
	if !credentials.Expiration.After(time.Now()) {
		return Session{}, &answerError{fmt.Sprintf("the credentials expired at %s already (is this machine's clock right?)", credentials.Expiration.UTC().Format(time.RFC3339))}
	}
	return Session{Role: role, ARN: aws.ToString(user.Arn), Credentials: Credentials{
		AccessKeyID:     NewSecret(id),
		SecretAccessKey: NewSecret(key),
		SessionToken:    NewSecret(token),
		Expires:         credentials.Expiration.UTC(),
	}}, nil
}

// mask hides values in the log, and keeps them to take them out of error texts.
func (c *client) mask(values ...string) {
	c.telling.Lock()
	defer c.telling.Unlock()
	for _, value := range values {
		c.hop.Mask(value)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, value := range values {
		c.secrets = append(c.secrets, NewSecret(value))
	}
}

// redact takes the hop's own secrets out of what answered: an answer may echo the request, and once a
// text is cut, the runner's mask no longer knows the part of a secret that is left.
func (c *client) redact(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret.Reveal(), redacted)
	}
	return text
}

func (c *client) dropped(spoke Spoke, keys []string) {
	c.telling.Lock()
	defer c.telling.Unlock()
	if c.hop.Dropped != nil {
		c.hop.Dropped(spoke, keys)
	}
}

func (c *client) reached(stage Stage, s Session, start time.Time) {
	c.telling.Lock()
	defer c.telling.Unlock()
	if c.hop.Reached != nil {
		c.hop.Reached(stage, s, time.Since(start))
	}
}
