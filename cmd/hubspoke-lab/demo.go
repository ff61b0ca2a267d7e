package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
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
	title string
	about string
	job   string            // of the world
	with  map[string]string // the inputs that differ from the defaults
	works bool
}

var scenes = []scene{
	{
		title: "From a GitHub token to a role in another account",
		about: "A job in the environment staging deploys to account 222222222222.",
		job:   "staging",
		works: true,
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
	},
	{
		title: "A job that must not get in",
		about: "A job on a feature branch, in no environment, asks for the same hub role.",
		job:   "feature",
	},
}

func demoCommand(getenv func(string) string) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "walk the whole hop three times and show what users see",
		Long: `Walk the hop three times in a new lab, with the real action as its own process. Show the masked log, the job
summary, the identity of the credentials and CloudTrail. Fail if anything differs from what is shown.`,
		Example:     "hubspoke-lab demo",
		Annotations: map[string]string{cli.ExitStatus: "0  success\n1  something went differently\n2  bad command line"},
		Args:        cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := demo(c.Context(), getenv, c.OutOrStdout()); err != nil {
				fmt.Fprintf(c.ErrOrStderr(), "hubspoke-lab: error: %v\n", err)
				return cli.Status(1)
			}
			return nil
		},
	}
}

// demo walks the scenes and checks what it shows.
func demo(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	start := time.Now()
	s, err := openStage(ctx, "", "", lab.Options{})
	if err != nil {
		return err
	}
	defer s.close()

	p := printer{stdout, colored(stdout, getenv)}
	p.say("A GitHub OIDC issuer and an AWS STS run on this machine, with the accounts, roles and policies of examples/lab.")
	p.say("The action is the real one, as its own process, in the environment that GitHub's runner gives it.")
	for i, scene := range scenes {
		p.heading(fmt.Sprintf("%d. %s", i+1, scene.title))
		p.say(scene.about)
		if err := s.play(ctx, p, scene); err != nil {
			return fmt.Errorf("%s: %w", scene.title, err)
		}
	}
	p.heading("What was checked")
	issuer, sts := s.Counts()["issuer"], s.Counts()["sts"]
	p.say(fmt.Sprintf("%d secrets were issued; none is in a log or a summary. What was exported is masked.", len(s.Secrets())))
	p.say(fmt.Sprintf("GitHub got %d requests, AWS %d. The whole demo took %.1f s.", issuer.Requests, sts.Requests, time.Since(start).Seconds()))
	return nil
}

func (s *stage) play(ctx context.Context, p printer, scene scene) error {
	with := defaults("")
	maps.Copy(with, scene.with)
	p.part("step", "- uses: org/hubspoke-chain@v1\n  with:\n"+yaml(with))

	before := len(s.Events())
	got, err := s.step(ctx, scene.job, with)
	if err != nil {
		return err
	}
	err = s.show(ctx, p, scene, got, before)
	log, failed := finish(ctx, got.job)
	if log != "" {
		p.part("the end of the job", log)
	}
	if n := s.leaked(log); n > 0 {
		failed = errors.Join(failed, fmt.Errorf("%d secrets are in the log of the job's end", n))
	}
	return errors.Join(err, failed)
}

// show shows what a step came to, and checks it; before is how many events there were ahead of it.
func (s *stage) show(ctx context.Context, p printer, scene scene, got outcome, before int) error {
	log := got.log.Shown()
	p.part("log", log)
	p.part("job summary", got.Summary)
	if n := s.leaked(log + got.Summary); n > 0 {
		return fmt.Errorf("%d secrets are in the log or the summary", n)
	}
	if got.Err != nil {
		return got.Err
	}
	if scene.works != (got.status == 0) {
		return fmt.Errorf("the step ended with status %d", got.status)
	}
	if scene.works {
		proof, err := s.identity(ctx, got)
		if err != nil {
			return err
		}
		p.part("the next step: aws sts get-caller-identity", proof)
	} else {
		if len(got.Env)+len(got.Output) > 0 {
			return fmt.Errorf("the step failed and exported %d variables and %d outputs", len(got.Env), len(got.Output))
		}
		p.part("the next step", fmt.Sprintf("Nothing was exported. The step ended with status %d, which ends the job.", got.status))
	}
	p.part("CloudTrail", trail(s.Events()[before:]))
	return nil
}

// identity asks who the exported credentials belong to, in a request that they sign.
func (s *stage) identity(ctx context.Context, got outcome) (string, error) {
	env := map[string]string{}
	for _, p := range got.Env {
		env[p.Name] = p.Value
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		if !got.job.Masks.Has(env[name]) {
			return "", fmt.Errorf("%s was exported and not masked", name)
		}
	}
	client := sts.New(sts.Options{
		Region:       env["AWS_REGION"],
		BaseEndpoint: aws.String(s.servers.STSURL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{
				AccessKeyID: env["AWS_ACCESS_KEY_ID"], SecretAccessKey: env["AWS_SECRET_ACCESS_KEY"], SessionToken: env["AWS_SESSION_TOKEN"],
			}, nil
		}),
	})
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("asking AWS with the exported credentials: %w", err)
	}
	for _, p := range got.Output {
		if p.Name == "authenticated-arn" && p.Value != aws.ToString(out.Arn) {
			return "", errors.New("the output authenticated-arn is not what AWS says")
		}
	}
	return fmt.Sprintf("Account: %s\nArn:     %s", aws.ToString(out.Account), aws.ToString(out.Arn)), nil
}

func yaml(with map[string]string) string {
	var b strings.Builder
	// The required inputs first, in the order in which the hop uses them.
	order := []string{"aws-region", "hub-role-to-assume", "role-to-assume"}
	for _, name := range slices.Sorted(maps.Keys(with)) {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	for _, name := range order {
		fmt.Fprintf(&b, "    %s: %s\n", name, with[name])
	}
	return b.String()
}

// printer lays the demo out for a terminal.
type printer struct {
	out     io.Writer
	colored bool
}

// colored tells whether out is a terminal that wants colours (no-color.org).
func colored(out io.Writer, getenv func(string) string) bool {
	file, ok := out.(*os.File)
	if !ok || getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p printer) style(code, text string) string {
	if !p.colored {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p printer) say(text string) { fmt.Fprintln(p.out, text) }

func (p printer) heading(text string) { fmt.Fprintf(p.out, "\n%s\n", p.style("1", text)) }

// part prints a text set in under its name, with a rule at its left.
func (p printer) part(name, text string) {
	fmt.Fprintf(p.out, "\n  %s\n", p.style("36", name))
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		if strings.HasPrefix(line, "Error: ") {
			line = p.style("31", line)
		}
		fmt.Fprintf(p.out, "  %s %s\n", p.style("2", "│"), line)
	}
}

// trail shows CloudTrail's records, a call a line: one across accounts stands in both under one id.
func trail(events []lab.Event) string {
	var lines []string
	seen := map[string]bool{}
	for _, e := range events {
		if e.SharedEventID != "" && seen[e.SharedEventID] {
			continue
		}
		seen[e.SharedEventID] = true
		who := e.UserIdentity.ARN
		if who == "" {
			who = e.UserIdentity.UserName
		}
		lines = append(lines, fmt.Sprintf("%s %s by %s", e.EventTime, e.EventName, who))
		if role, ok := e.RequestParameters["roleArn"]; ok {
			lines = append(lines, fmt.Sprintf("    role  %v", role))
		}
		if tags, ok := e.RequestParameters["tags"].([]map[string]string); ok {
			var pairs []string
			for _, tag := range tags {
				pairs = append(pairs, tag["key"]+"="+tag["value"])
			}
			lines = append(lines, "    tags  "+strings.Join(pairs, ", "))
		}
		if e.ErrorCode != "" {
			lines = append(lines, fmt.Sprintf("    %s: %s", e.ErrorCode, e.ErrorMessage))
		}
	}
	return strings.Join(lines, "\n")
}
