package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"

	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/lab"
)

// scene is one step of the demo.
type scene struct {
	title  string
	about  string
	job    string            // of the world
	with   map[string]string // the inputs that differ from the defaults
	works  bool
	tagged bool     // the spoke's session has session tags
	brief  []string // beginnings of the log lines in the short form; none for all lines
	proof  string   // what the scene proves
}

var scenes = []scene{
	{
		title:  "From a GitHub token to a role in another account",
		about:  "A job in the environment staging deploys to account 222222222222.",
		job:    "staging",
		works:  true,
		tagged: true,
		proof:  "The exported credentials work and belong to the requested role.",
	},
	{
		title: "A spoke that does not allow session tags",
		about: "The trust policy of shared-services lacks sts:TagSession, so the step skips tagging.",
		job:   "staging",
		with: map[string]string{
			"role-to-assume":            "arn:aws:iam::444444444444:role/shared-services",
			"role-skip-session-tagging": "true",
		},
		works: true,
		brief: []string{"spoke "},
		proof: "A spoke that does not allow session tags is reached without them.",
	},
	{
		title: "A job that must be refused",
		about: "A job on a feature branch, without an environment, requests the same hub role.",
		job:   "feature",
		brief: []string{"token ", "Error: ", "Fix: "},
		proof: "A job that the hub does not trust is refused and exports nothing.",
	},
}

func demoCommand(getenv func(string) string) *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "run the action three times and show what a user sees",
		Long: `Run the action three times, as a process, in a lab of its own. The demo shows its masked log, checks the exported
credentials and ends with what that proves. It fails when a check fails.`,
		Example:     "hubspoke-lab demo\n\nhubspoke-lab demo --full",
		Annotations: map[string]string{cli.ExitStatus: "0  success\n1  a check failed\n2  bad command line"},
		Args:        cli.NoArgs,
	}
	flags := c.Flags()
	full := flags.Bool("full", false, "print everything: all of each log, the job summaries and CloudTrail")
	action := actionFlag(flags)
	c.RunE = func(c *cobra.Command, _ []string) error {
		err := demo(c.Context(), newPrinter(c.OutOrStdout(), getenv, *full), *action)
		var usage cli.UsageError
		if err == nil || errors.As(err, &usage) {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "hubspoke-lab: error: %v\n", err)
		return cli.Status(1)
	}
	return c
}

// demo plays the scenes and checks what it shows.
func demo(ctx context.Context, p printer, action string) error {
	start := time.Now()
	s, err := openStage(ctx, "", action, lab.Options{})
	if err != nil {
		return err
	}
	defer s.close()

	p.say("GitHub's OIDC issuer and AWS STS run on this machine, with the accounts, roles and policies " +
		"of examples/lab. The action is the real one, in its own process and in the environment that GitHub's runner sets.")
	if !p.full {
		p.say("This is the short form. --full prints everything.")
	}
	for i, scene := range scenes {
		p.heading(fmt.Sprintf("%d. %s", i+1, scene.title))
		p.say(scene.about)
		if err := s.play(ctx, p, scene); err != nil {
			return fmt.Errorf("%s: %w", scene.title, err)
		}
	}
	p.heading("What this proved")
	for _, scene := range scenes {
		p.point(scene.proof)
	}
	p.point("Only the spoke's credentials were exported, and they are masked.")
	p.point(fmt.Sprintf("None of the %d secrets that were issued is in a log or a job summary.", len(s.Secrets())))
	issuer, sts := s.Counts()["issuer"], s.Counts()["sts"]
	p.say(fmt.Sprintf("%d requests to GitHub and %d to AWS, in %.1f s.",
		issuer.Requests, sts.Requests, time.Since(start).Seconds()))
	return nil
}

func (s *stage) play(ctx context.Context, p printer, scene scene) error {
	with := defaults("")
	maps.Copy(with, scene.with)
	switch {
	case p.full || scene.works && len(scene.with) == 0:
		p.part("step", "- uses: org/hubspoke-chain@v1\n  with:\n"+yaml(with))
	case len(scene.with) > 0:
		p.part("step, with other inputs", strings.ReplaceAll(yaml(scene.with), "    ", ""))
	}

	before := len(s.Events())
	got, err := s.step(ctx, scene.job, with)
	if err != nil {
		return err
	}
	err = s.show(ctx, p, scene, with, got, before)
	log, failed := finish(ctx, got.job)
	if log != "" && p.full {
		p.part("the end of the job", log)
	}
	if n := s.leaked(log); n > 0 {
		failed = errors.Join(failed, fmt.Errorf("%d secrets are in the log of the job's end", n))
	}
	return errors.Join(err, failed)
}

// show shows how a step with these inputs ended, and checks it. There were before events when it started.
func (s *stage) show(ctx context.Context, p printer, scene scene, with map[string]string, got outcome,
	before int) error {
	log := got.log.Shown()
	if p.full {
		p.part("log", log)
		p.part("job summary", got.Summary)
	} else {
		excerpt := scene.excerpt(log)
		if !scene.works {
			excerpt += "\n   ... --full prints that statement and the other possible causes"
		}
		p.part("log", excerpt)
	}
	if n := s.leaked(log + got.Summary); n > 0 {
		return fmt.Errorf("%d secrets are in the log or the summary", n)
	}
	if got.Err != nil {
		return got.Err
	}
	if scene.works != (got.status == 0) {
		return fmt.Errorf("the step ended with status %d", got.status)
	}
	if !scene.works {
		if len(got.Env)+len(got.Output) > 0 {
			return fmt.Errorf("the step failed and exported %d variables and %d outputs", len(got.Env), len(got.Output))
		}
		p.part("next step", fmt.Sprintf("Not run: the step exported nothing and ended with status %d.", got.status))
	} else {
		if tagged := hasTags(s.Events()[before:]); tagged != scene.tagged {
			return fmt.Errorf("the spoke's session has session tags: %t, want %t", tagged, scene.tagged)
		}
		arn, err := s.identity(ctx, got, with["role-to-assume"])
		if err != nil {
			return err
		}
		p.part("next step: aws sts get-caller-identity", arn)
	}
	if p.full {
		p.part("CloudTrail", trail(s.Events()[before:]))
	}
	return nil
}

// excerpt returns the part of a log that the short form shows: the first line with each beginning that the scene names.
func (s scene) excerpt(log string) string {
	if len(s.brief) == 0 {
		return log
	}
	var shown []string
	for _, begin := range s.brief {
		for line := range strings.SplitSeq(log, "\n") {
			if strings.HasPrefix(strings.TrimLeft(line, " "), begin) {
				shown = append(shown, line)
				break
			}
		}
	}
	return strings.Join(shown, "\n")
}

// credentials are the variables that hold the spoke's credentials.
var credentials = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}

// hasTags reports whether a spoke call among the events sent session tags.
func hasTags(events []lab.Event) bool {
	return slices.ContainsFunc(events, func(e lab.Event) bool {
		tags, ok := e.RequestParameters["tags"].([]map[string]string)
		return e.EventName == "AssumeRole" && ok && len(tags) > 0
	})
}

// identity returns the ARN that the exported credentials belong to, by a request that they sign. It checks that they are
// the only secrets that the step exported, and masked.
func (s *stage) identity(ctx context.Context, got outcome, role string) (string, error) {
	env := map[string]string{}
	var exported strings.Builder
	for _, p := range got.Output {
		exported.WriteString(p.Value + "\n")
	}
	for _, p := range got.Env {
		env[p.Name] = p.Value
		if !slices.Contains(credentials, p.Name) {
			exported.WriteString(p.Value + "\n")
		} else if !got.job.Masks.Has(p.Value) {
			return "", fmt.Errorf("%s was exported and not masked", p.Name)
		}
	}
	if n := s.leaked(exported.String()); n > 0 {
		return "", fmt.Errorf("%d more secrets were exported", n)
	}
	client := sts.New(sts.Options{
		Region:       env["AWS_REGION"],
		BaseEndpoint: aws.String(s.servers.STSURL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{
				AccessKeyID:     env["AWS_ACCESS_KEY_ID"],
				SecretAccessKey: env["AWS_SECRET_ACCESS_KEY"],
				SessionToken:    env["AWS_SESSION_TOKEN"],
			}, nil
		}),
	})
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("calling AWS with the exported credentials: %w", err)
	}
	want := strings.NewReplacer(":iam::", ":sts::", ":role/", ":assumed-role/").Replace(role) + "/"
	if arn := aws.ToString(out.Arn); !strings.HasPrefix(arn, want) {
		return "", fmt.Errorf("the exported credentials belong to %s, not to %s", arn, role)
	}
	for _, p := range got.Output {
		if p.Name == "authenticated-arn" && p.Value != aws.ToString(out.Arn) {
			return "", errors.New("the output authenticated-arn is not the ARN that AWS returns")
		}
	}
	return aws.ToString(out.Arn), nil
}

func yaml(with map[string]string) string {
	var b strings.Builder
	// The required inputs first, in the order in which the hop uses them.
	required := []string{"aws-region", "hub-role-to-assume", "role-to-assume"}
	names := slices.Concat(required, slices.DeleteFunc(slices.Sorted(maps.Keys(with)), func(name string) bool {
		return slices.Contains(required, name)
	}))
	for _, name := range names {
		if with[name] == "" {
			continue
		}
		fmt.Fprintf(&b, "    %s: %s\n", name, with[name])
	}
	return b.String()
}
