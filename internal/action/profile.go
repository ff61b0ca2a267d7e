package action

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/hubspoke-chain/internal/credproc"
	"github.com/org/hubspoke-chain/internal/handover"
	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/idtoken"
	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/profile"
)

// Names in the folder for later steps, and what the post step finds it by.
const (
	configFile      = "config"
	credentialsFile = "credentials"
	programFile     = "hubspoke-chain"
	caBundleFile    = "ca-bundle.pem"
	planSuffix      = ".json"
	folderState     = "folder"                  // the folder's name, in GITHUB_STATE
	cleanUpVariable = "HUBSPOKE_CHAIN_CLEAN_UP" // true once there is something to remove; action.yml's post-if looks at it
)

// tryFor is how long the program may take to print its version, which takes milliseconds.
const tryFor = 10 * time.Second

// files are what profiles need: the folder and the texts of the files of earlier steps.
type files struct {
	folder              handover.Folder
	config, credentials string
}

// prepare creates the folder for profiles, and for auto-refresh copies this program into it and tries it there, so that
// what cannot work is reported now and not when the first session expires. It returns the problems.
func (s *step) prepare(ctx context.Context) []string {
	if !s.in.profiles() {
		return nil
	}
	var problems []string
	problem := func(err error) {
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	var err error
	s.files.config, err = handover.Existing(s.getenv, "AWS_CONFIG_FILE")
	problem(err)
	s.files.credentials, err = handover.Existing(s.getenv, "AWS_SHARED_CREDENTIALS_FILE")
	problem(err)
	if other := s.getenv("AWS_DEFAULT_PROFILE"); other != "" && s.in.several {
		problem(fmt.Errorf("spokes: AWS_DEFAULT_PROFILE is %s, which the AWS CLI and boto3 prefer to AWS_PROFILE, and a step cannot unset it; remove it where it is set", plain.Quote(other)))
	}
	for _, d := range s.in.destinations {
		if profile.Ambiguous(s.files.config, profile.Config, d.profile) || profile.Ambiguous(s.files.credentials, profile.Credentials, d.profile) {
			problem(fmt.Errorf("%s: AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE has an indented profile header, at or in %s, which SDKs read differently; remove the indentation", s.profileInput(), plain.Quote(d.profile)))
		}
		if profile.Has(s.files.config, profile.Config, d.profile) || profile.Has(s.files.credentials, profile.Credentials, d.profile) {
			if !s.in.overwriteProfile && !s.own(d.profile) {
				problem(fmt.Errorf("%s: the profile %s is already in AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE; overwrite-aws-profile: true replaces it for later steps", s.profileInput(), plain.Quote(d.profile)))
			}
			s.files.config = profile.Without(s.files.config, profile.Config, d.profile)
			s.files.credentials = profile.Without(s.files.credentials, profile.Credentials, d.profile)
		}
	}
	if len(problems) > 0 {
		return problems
	}
	if s.files.folder, err = handover.Make(s.getenv, s.options.HostTemp); err != nil {
		return []string{s.profileInput() + ": " + err.Error()}
	}
	if s.in.autoRefresh {
		if err := s.leaveProgram(ctx); err != nil {
			s.discard()
			return []string{"auto-refresh: " + err.Error()}
		}
	}
	return nil
}

// own reports whether an earlier use of this action wrote the profile, which another use replaces.
func (s *step) own(name string) bool {
	other := func(text string, f profile.File) bool {
		return profile.Has(text, f, name) && !slices.Contains(profile.Own(text, f), name)
	}
	return !other(s.files.config, profile.Config) && !other(s.files.credentials, profile.Credentials)
}

// profileInput returns the input that requires profiles.
func (s *step) profileInput() string {
	switch {
	case s.in.several:
		return "spokes"
	case s.log.GetInput("aws-profile") != "":
		return "aws-profile"
	}
	return "auto-refresh"
}

// leaveProgram copies this program into the folder and runs it from there: on a disk that is mounted noexec it does not
// run.
func (s *step) leaveProgram(ctx context.Context) error {
	if err := s.files.folder.CopyProgram(programFile, s.options.Program); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	command := exec.CommandContext(ctx, "./"+programFile, "--version")
	command.Dir = s.files.folder.Path // the handle in this path may not outlive what the child does with its own files
	command.Env = []string{}          // it needs nothing of the step's
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("a program does not run in the runner's temp directory: %w %s", err, shorten(string(bytes.TrimSpace(out))))
	}
	return nil
}

// discard removes what prepare created, when nothing is exported.
func (s *step) discard() {
	if s.files.folder.Path == "" {
		return
	}
	if err := s.files.folder.Remove(); err != nil {
		s.log.warning("the files for later steps were not removed: " + err.Error())
	}
}

// writeProfiles writes the files of the profiles. With auto-refresh a profile has a process, and the process a plan and
// the session of this step as its first; without, the profile has the session.
func (s *step) writeProfiles(sessions []hop.Session) error {
	config, credentials := s.files.config, s.files.credentials
	if s.in.autoRefresh && s.in.caBundle != "" {
		if err := s.files.folder.Write(caBundleFile, s.in.caBundle); err != nil {
			return err
		}
	}
	for i, session := range sessions {
		d := s.in.destinations[i]
		settings := []profile.Setting{{Name: "region", Value: d.region}}
		var err error
		if s.in.autoRefresh {
			plan := path.Join(s.files.folder.Path, d.profile+planSuffix)
			if err := credproc.Write(plan, s.planOf(session)); err != nil {
				return err
			}
			if err := credproc.Seed(plan, session); err != nil {
				return err
			}
			settings = append(settings, profile.Setting{Name: "credential_process", Value: process(s.files.folder, d.profile)})
		} else if credentials, err = profile.With(credentials, profile.Credentials, d.profile,
			profile.Setting{Name: "aws_access_key_id", Value: session.Credentials.AccessKeyID.Reveal()},
			profile.Setting{Name: "aws_secret_access_key", Value: session.Credentials.SecretAccessKey.Reveal()},
			profile.Setting{Name: "aws_session_token", Value: session.Credentials.SessionToken.Reveal()},
		); err != nil {
			return err
		}
		if config, err = profile.With(config, profile.Config, d.profile, settings...); err != nil {
			return err
		}
	}
	if err := s.files.folder.Write(configFile, config); err != nil {
		return err
	}
	if err := s.files.folder.Write(credentialsFile, credentials); err != nil {
		return err
	}
	return s.files.folder.HandOver()
}

// process returns the command of a profile. RUNNER_TEMP is right in each step, on the host, in a job's container and in
// an action's; one absolute path would be right in one of them only. The AWS CLI and boto3 run the command without a
// shell, so it starts one.
func process(f handover.Folder, name string) string {
	return fmt.Sprintf(`sh -c 'exec "$RUNNER_TEMP/%[1]s/%[2]s" credential-process --chain "$RUNNER_TEMP/%[1]s/%[3]s"'`, f.FromTemp, programFile, name+planSuffix)
}

// planOf returns the plan by which later steps renew a session.
func (s *step) planOf(session hop.Session) hop.Plan {
	plan := s.in.plan
	plan.Spokes, plan.Tags = []hop.ARN{session.Role}, session.Tags
	if s.in.caBundle != "" {
		plan.CABundle = caBundleFile
	}
	return plan
}

// profileEnv are the variables by which later steps find the profiles.
func (s *step) profileEnv(sessions []hop.Session) []pair {
	host := s.files.folder.Host
	pairs := []pair{
		{"AWS_CONFIG_FILE", path.Join(host, configFile)},
		{"AWS_SHARED_CREDENTIALS_FILE", path.Join(host, credentialsFile)},
		{"AWS_SDK_LOAD_CONFIG", "1"}, // AWS's SDK for Go v1 reads no config file without it
		{cleanUpVariable, "true"},
	}
	if !s.in.several {
		pairs = append(pairs, pair{"AWS_PROFILE", s.in.destinations[0].profile})
		if s.getenv("AWS_DEFAULT_PROFILE") != "" { // which botocore prefers
			pairs = append(pairs, pair{"AWS_DEFAULT_PROFILE", s.in.destinations[0].profile})
		}
	}
	if s.in.exportEnv {
		return pairs
	}
	if !s.in.several {
		pairs = append(pairs, pair{"AWS_REGION", s.in.plan.Region}, pair{"AWS_DEFAULT_REGION", s.in.plan.Region})
	}
	for _, name := range s.stale() {
		pairs = append(pairs, pair{name, ""})
	}
	switch {
	case !s.in.autoRefresh:
		pairs = append(pairs, pair{"AWS_CREDENTIAL_EXPIRATION", earliest(sessions).Format(time.RFC3339)})
	case s.getenv("AWS_CREDENTIAL_EXPIRATION") != "":
		pairs = append(pairs, pair{"AWS_CREDENTIAL_EXPIRATION", ""})
	}
	return pairs
}

// stale returns the variables of earlier steps that most SDKs prefer to a profile. To them an empty one is unset.
func (s *step) stale() []string {
	// AWS_ACCESS_KEY and AWS_SECRET_KEY are other names that the AWS SDK for Go accepts, and so Terraform.
	names := []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"}
	return slices.DeleteFunc(names, func(name string) bool { return s.getenv(name) == "" })
}

// disabled is the process of a disabled profile: it fails with a message.
const disabled = `sh -c 'echo "hubspoke-chain: error: a later step that uses the action failed, and its unset-current-credentials disabled this profile" >&2; exit 1'`

// disable disables the profiles of earlier uses of this action when this use failed and unset-current-credentials must
// leave nothing stale. Their files are changed, since a variable cannot be unset. The AWS CLI, boto3, Terraform and the
// SDK for Go then print the message of the process; those for Java and JavaScript continue with their next source of
// credentials, as they do where the variables are blank.
func (s *step) disable() {
	if !s.in.unsetCurrent {
		return
	}
	if err := handover.Disable(s.getenv, configFile, credentialsFile, disabled); err != nil {
		s.log.warning("unset-current-credentials: profiles of an earlier step are still valid: " + err.Error())
	}
}

// profileNotices reports what a user may not expect of a profile.
func (s *step) profileNotices() {
	if !s.in.profiles() {
		return
	}
	if stale := s.stale(); len(stale) > 0 && !s.in.exportEnv {
		s.log.notice(strings.Join(stale, ", ") + " of an earlier step: blank now, because they would override the profile. If a step sets them itself, the AWS CLI, boto3, Terraform and the SDKs for Go and Java ignore the profile; the SDK for JavaScript does not")
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		region := s.getenv(name)
		i := slices.IndexFunc(s.in.destinations, func(d destination) bool { return d.region != region })
		if s.in.several && region != "" && i >= 0 {
			s.log.warning(fmt.Sprintf("%s is %s: it overrides the regions of profiles, such as %s of %s. Remove it where it is set", name, plain.Quote(region), s.in.destinations[i].region, s.in.destinations[i].profile))
		}
	}
	if s.in.autoRefresh && s.files.folder.InHome {
		s.log.notice("this runner does not mount its temp directory into containers (before v2.329): container actions later in the job will not find the profile's program; steps on the host and in the job's container do")
	}
}

// renews returns how long the profiles can renew their credentials. GitHub ends that, at a time that only the request
// token has.
func (s *step) renews() string {
	const job = "automatically, while the job runs and GitHub accepts its request token"
	expires, ok := idtoken.RequestExpires(s.getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	if !ok {
		return job + ", which has no expiration"
	}
	return fmt.Sprintf("%s, at the latest until %s (in %s)", job, expires.UTC().Format(time.RFC3339), remaining(time.Until(expires)))
}

// CleanUp is the post step: it removes the folder that the main step created for the steps between them.
func CleanUp(stdout io.Writer, getenv func(string) string) int {
	log := log{githubactions.New(githubactions.WithWriter(&stream{to: stdout}), githubactions.WithGetenv(getenv))}
	name := getenv("STATE_" + folderState)
	if name == "" {
		log.line("There is nothing to remove: the step has left nothing for later ones.")
		return 0
	}
	found, err := handover.CleanUp(getenv, name)
	switch {
	case err != nil:
		log.warning("the AWS profiles of this job were not removed: " + err.Error())
	case found:
		log.line("removed the AWS profiles of this job: %s", name)
	}
	return 0
}
