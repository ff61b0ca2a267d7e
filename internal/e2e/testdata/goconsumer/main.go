// Command goconsumer calls GetCallerIdentity repeatedly, with one client and the credentials that its
// environment selects: goconsumer SECONDS. It prints the numbers of calls and of failures, and exits with
// status 1 if a call failed. It is a separate module, so that its dependencies do not become the action's.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	ctx := context.Background()
	if len(os.Args) != 2 {
		fatal("usage: goconsumer SECONDS")
	}
	length, err := time.ParseDuration(os.Args[1] + "s")
	if err != nil {
		fatal(err)
	}
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		fatal(err)
	}
	// Without retries, which would hide a failure.
	client := sts.NewFromConfig(settings, func(o *sts.Options) { o.Retryer = aws.NopRetryer{} })
	calls, failures := 0, 0
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		calls++
		if _, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
			failures++
			fmt.Fprintln(os.Stderr, err)
		}
	}
	fmt.Printf("%d calls, %d failures\n", calls, failures)
	if failures > 0 {
		os.Exit(1)
	}
}

func fatal(what any) {
	fmt.Fprintln(os.Stderr, "goconsumer:", what)
	os.Exit(2)
}
