package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRunScript(t *testing.T) {
	t.Parallel()
	job := newJob(t)
	job.Env["EARLIER"] = "hunter22"
	step, err := job.StartScript(`echo "$PWD $EARLIER $HOME $RUNNER_TEMP <${INPUT_NAME-}>"
echo "::add-mask::$EARLIER"
echo "$EARLIER"
echo "aside $EARLIER" >&2
echo "A=1" >>"$GITHUB_ENV"
false
echo never`)
	if err != nil {
		t.Fatal(err)
	}
	status, stderr, err := step.RunScript(t.Context(), []string{"PATH=" + os.Getenv("PATH"), "HOME=/of-the-user", "RUNNER_TEMP=other"})
	if status != 1 || stderr != "aside hunter22\n" || err != nil {
		t.Errorf("got status %d, stderr %q, %v", status, stderr, err)
	}
	want := job.Workspace + " hunter22 /of-the-user " + job.Temp + " <>\n***\naside ***\nError: Process completed with exit code 1.\n"
	if got := step.Log.Shown(); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got, want := fmt.Sprint(step.Log.Annotations()), "[{error  Process completed with exit code 1.}]"; got != want {
		t.Errorf("got annotations %s, want %s", got, want)
	}
	if r, err := step.End(); err != nil || !slices.Equal(r.Env, []Pair{{"A", "1"}}) || job.Env["A"] != "1" {
		t.Errorf("the script's files gave %v, %v", r, err)
	}
}

func TestDockerExec(t *testing.T) {
	t.Parallel()
	job := newJob(t)
	job.Env["AWS_CONFIG_FILE"] = filepath.Join(job.Temp, "config")
	job.Env["EARLIER"] = "hunter22"
	step, err := job.StartScript("true")
	if err != nil {
		t.Fatal(err)
	}
	args, env := step.dockerExec(JobContainer{Name: "name"})
	joined := strings.Join(args, " ")
	if want := "exec -i --workdir /__w/repo/repo -e AWS_CONFIG_FILE -e "; !strings.HasPrefix(joined, want) {
		t.Errorf("the arguments are %s; want them to begin with %s", joined, want)
	}
	if want := " name sh -e /__w/_temp/" + filepath.Base(step.script); !strings.HasSuffix(joined, want) {
		t.Errorf("the arguments are %s; want them to end with %s", joined, want)
	}
	if strings.Contains(joined, "hunter22") || strings.Contains(joined, " HOME ") {
		t.Errorf("the arguments have a value, or a HOME: %s", joined)
	}
	for _, want := range []string{
		"EARLIER=hunter22", "AWS_CONFIG_FILE=/__w/_temp/config", "RUNNER_TEMP=/__w/_temp", "GITHUB_WORKSPACE=/__w/repo/repo",
		"GITHUB_EVENT_PATH=/github/workflow/event.json", "RUNNER_WORKSPACE=/__w/repo",
		"GITHUB_ENV=/__w/_temp/_runner_file_commands/" + filepath.Base(step.Path("GITHUB_ENV")),
	} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment lacks %q: %q", want, env)
		}
	}
	if got, want := translate(job.jobMounts(), filepath.Join(job.Temp, "_github_home", "x")), "/github/home/x"; got != want {
		t.Errorf("the home became %q, want %q", got, want)
	}
}

func TestDockerCreate(t *testing.T) {
	t.Parallel()
	job := newJob(t)
	got := job.dockerCreate(JobContainer{Image: "image", Name: "name", Label: "label", Options: []string{"--network", "host"}})
	want := []string{
		"create", "--name", "name", "--label", "label", "--workdir", "/__w/repo/repo", "--network", "host",
		"-e", "HOME=/github/home", "-e", "GITHUB_ACTIONS=true", "-e", "CI=true",
		"-v", filepath.Dir(job.Temp) + ":/__w", "-v", job.Temp + ":/__w/_temp",
		"-v", filepath.Join(job.Temp, "_github_home") + ":/github/home",
		"-v", filepath.Join(job.Temp, "_github_workflow") + ":/github/workflow",
		"--entrypoint", "tail", "image", "-f", "/dev/null",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
