package hop

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/org/hubspoke-chain/internal/transport"
)

// call returns the options of one call, with a retryer of its own: the SDK's bucket of retry tokens is for one caller
// that runs on and on, and a hundred spokes would empty it at the first burst of throttling.
func (c *client) call(ctx context.Context, stage Stage, role ARN) sts.Options {
	options := c.options
	until, _ := ctx.Deadline()
	standard := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = c.plan.MaxAttempts
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(retryable)}, o.Retryables...) // the first that knows decides
	})
	options.Retryer = retryer{standard, until, func(err error, attempt int, wait time.Duration) {
		c.retrying(c.stsError(ctx, stage, role, err), attempt, wait)
	}}
	return options
}

// retryable decides what the SDK does not know.
func retryable(err error) aws.Ternary {
	if transport.Permanent(err) {
		return aws.FalseTernary
	}
	// STS could not fetch GitHub's keys: transient, and the usual failure of this call. Every other
	// InvalidIdentityToken is permanent, and has the same code.
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "InvalidIdentityToken" && strings.HasPrefix(api.ErrorMessage(), "Couldn't retrieve verification key") {
		return aws.TrueTernary
	}
	// A response that was cut short is a lost connection, though the SDK meets it while decoding.
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// ThrottleDelay returns the wait after an attempt that AWS throttled, counted from 1, for a random number from 0 to 1:
// 2^attempt seconds and a random part of as much again, which is 2 to 4, 4 to 8, 8 to 16, and 16 to 32 from attempt 4
// on. The SDK's own waits, anything from nothing to 2^(attempt-1), bring fewer jobs through a minute in which many
// call at once, with more requests: docs/fleet.md.
func ThrottleDelay(attempt int, random float64) time.Duration {
	return time.Duration((1 + random) * float64(time.Second<<min(attempt, maxThrottleDoublings)))
}

// retryer is the SDK's standard retryer that waits longer when AWS throttles, and reports each wait.
type retryer struct {
	*retry.Standard
	until  time.Time // when the step ends; zero when nothing ends it
	report func(err error, attempt int, wait time.Duration)
}

// RetryDelay returns the wait before the next attempt; attempt counts from 1. A wait longer than the step's remaining
// time is not begun: the call ends with its own error, which names the cause where the step's timeout would not.
func (r retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
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
