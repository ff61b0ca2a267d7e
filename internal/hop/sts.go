package hop

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/transport"
)

// client talks to one STS endpoint for one hop.
type client struct {
	plan    Plan
	hooks   Hooks
	conn    *transport.Connection
	options sts.Options                // without credentials and retryer
	tokens  [2]func() (Secret, *Error) // request the first token and the one that replaces it, each at its first call
	slots   chan struct{}              // one taken by each call to STS

	hooking sync.Mutex // held while a hook runs, Export excepted
	mu      sync.Mutex
	secrets []Secret // what was masked so far; under mu
}

// open builds the client from the plan alone. The SDK's own configuration is not read: a container action gets
// whatever earlier steps exported, and AWS_ENDPOINT_URL_STS, AWS_PROFILE or AWS_CONFIG_FILE would send the token
// elsewhere or change the caller's identity.
func open(ctx context.Context, plan Plan, network transport.Network, hooks Hooks) (*client, error) {
	c := &client{plan: plan, hooks: hooks, slots: make(chan struct{}, maxConcurrent)}
	for i := range c.tokens {
		c.tokens[i] = sync.OnceValues(func() (Secret, *Error) { return c.token(ctx) })
	}
	endpoint, err := plan.endpoint(ctx)
	if err != nil {
		return nil, &Error{Stage: StageHub, Role: plan.Hub.String(), Err: err}
	}
	c.conn = network.Connect(ctx, endpoint, maxConcurrent)
	c.options = sts.Options{
		Region:       plan.Region,
		BaseEndpoint: aws.String(endpoint.String()),
		HTTPClient:   c.conn.Client,
		AppID:        "hubspoke-chain", // names this tool in CloudTrail's userAgent
	}
	return c, nil
}

// endpoint returns the URL of the plan's endpoint or else of the region's.
func (p Plan) endpoint(ctx context.Context) (*url.URL, error) {
	if p.Endpoint != "" {
		return transport.ParseEndpoint(p.Endpoint)
	}
	resolved, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{Region: aws.String(p.Region)})
	if err != nil {
		return nil, fmt.Errorf("resolving the STS endpoint of %s: %w", p.Region, err)
	}
	return &resolved.URI, nil
}

func (c *client) close() { c.conn.Close() }

func (c *client) retrying(err *Error, attempt int, wait time.Duration) {
	c.hooking.Lock()
	defer c.hooking.Unlock()
	if c.hooks.Retrying != nil {
		c.hooks.Retrying(err, attempt, wait)
	}
}

// token requests an ID token.
func (c *client) token(ctx context.Context) (Secret, *Error) {
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
	c.hooking.Lock() // the second request may run while other batches are called
	defer c.hooking.Unlock()
	return c.hooks.Token(ctx, c.plan.Audience)
}

func (c *client) tags() []Tag {
	c.hooking.Lock()
	defer c.hooking.Unlock()
	if c.hooks.Tags == nil {
		return c.plan.Tags
	}
	return c.hooks.Tags()
}

// assumeHub exchanges the token for a hub session that is for these spokes only. ID tokens live five minutes, so one
// may expire while the call is being retried; then another is requested, once for all batches, unless retries are off.
func (c *client) assumeHub(ctx context.Context, roles []ARN, start time.Time) (Session, *Error) {
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	for request := 1; ; request++ {
		token, failure := c.tokens[request-1]()
		if failure != nil {
			return Session{}, failure
		}
		s, failure := c.assumeHubWith(ctx, token, roles)
		if failure == nil {
			c.reached(StageHub, s, start)
			return s, nil
		}
		if request >= min(len(c.tokens), c.plan.MaxAttempts) || !failure.HasCode("ExpiredToken") {
			return Session{}, failure
		}
		c.retrying(failure, request, 0)
	}
}

func (c *client) assumeHubWith(ctx context.Context, token Secret, roles []ARN) (Session, *Error) {
	out, err := sts.New(c.call(ctx, StageHub, c.plan.Hub)).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(c.plan.Hub.String()),
		RoleSessionName:  aws.String(c.plan.SessionName),
		WebIdentityToken: aws.String(token.Reveal()),
		DurationSeconds:  aws.Int32(int32(HubDuration.Seconds())),
		Policy:           aws.String(HubPolicy(roles)),
	})
	if err != nil {
		return Session{}, c.stsError(ctx, StageHub, c.plan.Hub, err)
	}
	s, err := c.session(c.plan.Hub, out.AssumedRoleUser, out.Credentials)
	if err != nil {
		return Session{}, c.stsError(ctx, StageHub, c.plan.Hub, err)
	}
	for _, spoke := range c.plan.Spokes {
		if slices.Contains(roles, spoke) {
			s.Spokes++
		}
	}
	return s, nil
}

// assumeSpoke assumes one spoke role as the hub. When AWS finds the tags too large, the droppable
// ones are left out and the call is made once more.
func (c *client) assumeSpoke(ctx context.Context, hub Session, spoke ARN, tags []Tag) (Session, *Error) {
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	start := time.Now()
	api := sts.New(as(hub, c.call(ctx, StageSpoke, spoke)))
	out, err := api.AssumeRole(ctx, c.spokeInput(spoke, tags))
	if err != nil && c.stsError(ctx, StageSpoke, spoke, err).HasCode("PackedPolicyTooLarge") {
		kept, dropped := splitDroppable(tags)
		if len(dropped) > 0 {
			c.dropped(spoke, dropped)
			tags = kept
			out, err = api.AssumeRole(ctx, c.spokeInput(spoke, tags))
		}
	}
	if err != nil {
		return Session{}, c.stsError(ctx, StageSpoke, spoke, err)
	}
	s, err := c.session(spoke, out.AssumedRoleUser, out.Credentials)
	if err != nil {
		return Session{}, c.stsError(ctx, StageSpoke, spoke, err)
	}
	s.Tags = tags
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

func (c *client) spokeInput(spoke ARN, tags []Tag) *sts.AssumeRoleInput {
	in := &sts.AssumeRoleInput{
		RoleArn:         aws.String(spoke.String()),
		RoleSessionName: aws.String(c.plan.SessionName),
		DurationSeconds: aws.Int32(int32(c.plan.DurationSeconds)),
		SourceIdentity:  optional(c.plan.SourceIdentity),
		ExternalId:      optional(c.plan.ExternalID),
		Policy:          optional(c.plan.Policy),
	}
	for _, arn := range c.plan.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: aws.String(arn)})
	}
	for _, tag := range tags {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(tag.Key), Value: aws.String(tag.Value)})
		// AWS refuses a transitive key that is not among the tags, and a value that is empty is not sent.
		if slices.ContainsFunc(c.plan.TransitiveTagKeys, func(k string) bool { return strings.EqualFold(k, tag.Key) }) {
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

// session validates a response and masks its credentials. They go into files that the runner parses, so a response of
// another form is an error, and the account and the role are compared with the request.
func (c *client) session(role ARN, user *types.AssumedRoleUser, credentials *types.Credentials) (Session, error) {
	if user == nil || credentials == nil || credentials.Expiration == nil {
		return Session{}, wrongResponse("the response lacks the role's session or its credentials")
	}
	id, key, token := aws.ToString(credentials.AccessKeyId), aws.ToString(credentials.SecretAccessKey), aws.ToString(credentials.SessionToken)
	if !AccessKeyID.Matches(id) || !KeyMaterial.Matches(key) || !KeyMaterial.Matches(token) {
		return Session{}, wrongResponse("the credentials in the response do not have the form that AWS uses")
	}
	c.mask(id, key, token)
	if want, got := role.Session(c.plan.SessionName), aws.ToString(user.Arn); got != want {
		return Session{}, wrongResponse("the response is for %q instead of %s", plain.Shorten(c.redact(got), maxCode), want)
	}
	if !credentials.Expiration.After(time.Now()) {
		return Session{}, &responseError{transport.ClockSkew, "the credentials expired at " + credentials.Expiration.UTC().Format(time.RFC3339) + " already (is the runner's clock right?)"}
	}
	return Session{Role: role, ARN: aws.ToString(user.Arn), Credentials: Credentials{
		AccessKeyID:     NewSecret(id),
		SecretAccessKey: NewSecret(key),
		SessionToken:    NewSecret(token),
		Expires:         credentials.Expiration.UTC(),
	}}, nil
}

// mask hides values in the log, and keeps them for redact.
func (c *client) mask(values ...string) {
	c.hooking.Lock()
	defer c.hooking.Unlock()
	for _, value := range values {
		c.hooks.Mask(value)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, value := range values {
		c.secrets = append(c.secrets, NewSecret(value))
	}
}

// redact removes the hop's own secrets from a text of the response, which may echo the request: once the text is cut,
// the runner's mask does not match the rest of a secret.
func (c *client) redact(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret.Reveal(), redacted)
	}
	return text
}

func (c *client) dropped(spoke ARN, keys []string) {
	c.hooking.Lock()
	defer c.hooking.Unlock()
	if c.hooks.Dropped != nil {
		c.hooks.Dropped(spoke, keys)
	}
}

func (c *client) reached(stage Stage, s Session, start time.Time) {
	c.hooking.Lock()
	defer c.hooking.Unlock()
	if c.hooks.Reached != nil {
		c.hooks.Reached(stage, s, time.Since(start))
	}
}
