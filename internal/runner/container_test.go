package runner

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	s := &Step{job: &Job{Temp: "/w/_temp", Workspace: "/w/repo/repo"}}
	for value, want := range map[string]string{
		"/w/_temp":                                 "/github/runner_temp",
		"/w/_temp/x":                               "/github/runner_temp/x",
		"/w/_temp/_github_home":                    "/github/home",
		"/w/_temp/_github_workflow/event.json":     "/github/workflow/event.json",
		"/w/_temp/_runner_file_commands/set_env_1": "/github/file_commands/set_env_1",
		"/w/repo/repo/sub":                         "/github/workspace/sub",
		"/w/_temp:/w/repo/repo":                    "/w/_temp:/w/repo/repo", // the start is /w/_temp: and no mapping
		"/w/_temp/a:/w/repo/repo/b":                "/github/runner_temp/a:/w/repo/repo/b",
		"host:/w/_temp":                            "host:/w/_temp",
		"/w/_temporary":                            "/w/_temporary",
		"/w/repo":                                  "/w/repo",
		"":                                         "",
	} {
		if got := translate(s.mounts(Container{}), value); got != want {
			t.Errorf("%q became %q, want %q", value, got, want)
		}
	}
	if got := translate(s.mounts(Container{OldTemp: true}), "/w/_temp/x"); got != "/w/_temp/x" {
		t.Errorf("an old runner made %q of a path that it does not mount", got)
	}
	if got := translate(s.mounts(Container{OldTemp: true}), "/w/_temp/_github_home"); got != "/github/home" {
		t.Errorf("an old runner made %q of the home", got)
	}
}

func TestDockerRun(t *testing.T) {
	t.Parallel()
	job, err := NewJob(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	job.Env["EARLIER"] = "hunter22"
	temp := "${{ runner.temp }}"
	var action Action
	action.Inputs = map[string]Input{"role-to-assume": {}, "host-temp": {Default: &temp}}
	action.Runs.Args = []string{"action", "--host-temp=${{ inputs.host-temp }}"}
	action.Runs.PreEntrypoint, action.Runs.PostEntrypoint = "/before", "/after"
	step, err := job.Start(action, map[string]string{"role-to-assume": "deploy"}, []Pair{{"kept", "1"}})
	if err != nil {
		t.Fatal(err)
	}
	c := Container{Image: "image", Name: "name", Label: "label", Options: []string{"--network", "host"}}
	args, env, err := step.DockerRun(c)
	if err != nil {
		t.Fatal(err)
	}

	joined := strings.Join(args, " ")
	if want := "run --name name --label label --workdir /github/workspace --rm -e "; !strings.HasPrefix(joined, want) {
		t.Errorf("the arguments are %s; want them to begin with %s", joined, want)
	}
	want := strings.Join([]string{
		"-e GITHUB_ACTIONS=true",
		"-v " + job.Temp + ":/github/runner_temp",
		"-v " + filepath.Join(job.Temp, "_github_home") + ":/github/home",
		"-v " + filepath.Join(job.Temp, "_github_workflow") + ":/github/workflow",
		"-v " + filepath.Join(job.Temp, "_runner_file_commands") + ":/github/file_commands",
		"-v " + job.Workspace + ":/github/workspace",
		"--network host image action --host-temp=" + job.Temp,
	}, " ")
	if !strings.HasSuffix(joined, want) {
		t.Errorf("the arguments are %s; want them to end with %s", joined, want)
	}
	if strings.Contains(joined, "hunter22") {
		t.Errorf("a value is among the arguments: %s", joined)
	}
	for _, variable := range []string{"EARLIER", "INPUT_ROLE-TO-ASSUME", "STATE_kept", "CI"} {
		if !strings.Contains(joined, " -e "+variable+" ") {
			t.Errorf("the arguments do not name %s: %s", variable, joined)
		}
	}
	for _, want := range []string{
		"EARLIER=hunter22", "INPUT_ROLE-TO-ASSUME=deploy", "STATE_kept=1", "HOME=/github/home",
		"RUNNER_TEMP=/github/runner_temp", "INPUT_HOST-TEMP=/github/runner_temp", "GITHUB_WORKSPACE=/github/workspace",
		"GITHUB_ENV=/github/file_commands/" + filepath.Base(step.Path("GITHUB_ENV")),
		"RUNNER_WORKSPACE=" + filepath.Dir(job.Workspace), // a directory above every mapping
	} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment lacks %q: %q", want, env)
		}
	}
}

func TestEntrypoint(t *testing.T) {
	t.Parallel()
	var action Action
	action.Runs.PreEntrypoint, action.Runs.PostEntrypoint = "/before", "/after"
	step := &Step{action: action, env: map[string]string{"INPUT_ENTRYPOINT": "/of-the-caller"}}
	for stage, want := range map[Stage]string{Pre: "/before", Main: "/of-the-caller", Post: "/after"} {
		if got := step.entrypoint(stage); got != want {
			t.Errorf("stage %d begins at %q, want %q", stage, got, want)
		}
	}
	step.action.Runs.Entrypoint = "/of-the-action"
	if got := step.entrypoint(Main); got != "/of-the-action" {
		t.Errorf("the caller's entrypoint went before the action's: %q", got)
	}
}
