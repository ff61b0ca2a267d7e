package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEvaluateIf(t *testing.T) {
	t.Parallel()
	env := map[string]string{"AUTO": "True", "EMPTY": ""}
	for condition, want := range map[string]string{ // of a job that succeeded, failed and was cancelled
		"":                                     "true true true",
		"always()":                             "true true true",
		"success()":                            "true false false",
		"failure()":                            "false true false",
		"cancelled()":                          "false false true",
		"always() && env.AUTO == 'true'":       "true true true",
		"always() && env.AUTO == 'other'":      "false false false",
		"always() && env.auto == 'true'":       "false false false",
		"always() && env.EMPTY == 'true'":      "false false false",
		"always() && env.NOT_THERE == 'true'":  "false false false",
		"always() && env.AUTO == ''":           `the condition "always() && env.AUTO == ''" is not one that this transcription knows`,
		"always() && env.AUTO == '0'":          `the condition "always() && env.AUTO == '0'" is not one that this transcription knows`,
		"always()  && env.AUTO == 'true'":      `the condition "always()  && env.AUTO == 'true'" is not one that this transcription knows`,
		"env.AUTO == 'true'":                   `the condition "env.AUTO == 'true'" is not one that this transcription knows`,
		"always() && env.AUTO != 'true'":       `the condition "always() && env.AUTO != 'true'" is not one that this transcription knows`,
		"always() && env.A == 'b' || always()": `the condition "always() && env.A == 'b' || always()" is not one that this transcription knows`,
		"${{ always() }}":                      `the condition "${{ always() }}" is not one that this transcription knows`,
	} {
		var got []string
		for _, status := range []jobStatus{jobSucceeded, jobFailed, jobCancelled} {
			runs, err := evaluateIf(condition, status, env)
			if err != nil {
				got = []string{err.Error()}
				continue
			}
			got = append(got, fmt.Sprint(runs))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%q gave %s, want %s", condition, got, want)
		}
	}
}

// shellAction is an action whose program is sh, which passes the script the name by which it was called.
func shellAction(script string) Action {
	a := Action{Inputs: map[string]Input{"name": {}}}
	a.Runs.Args = []string{"-c", script}
	a.Runs.PostEntrypoint = "/after"
	return a
}

// steps starts, runs and ends steps of one action, one for each of the inputs' maps, on the host.
func steps(t *testing.T, ctx context.Context, job *Job, action Action, names ...string) (log string) {
	t.Helper()
	for _, name := range names {
		step, err := job.Start(action, map[string]string{"name": name}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := step.Run(ctx, "/bin/sh"); err != nil {
			t.Fatal(err)
		}
		if _, err := step.End(); err != nil {
			t.Fatal(err)
		}
		log += step.Log.Shown()
	}
	return log
}

func newJob(t *testing.T) *Job {
	t.Helper()
	job, err := NewJob(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestFinish(t *testing.T) {
	t.Parallel()
	job := newJob(t)
	action := shellAction(`echo "$0 $INPUT_NAME state=$STATE_kept later=$LATER"
if [ "$0" = /after ]; then echo post=$INPUT_NAME >>"$GITHUB_ENV"; echo ::add-mask::hunter22; exit 0; fi
echo "kept=$INPUT_NAME" >>"$GITHUB_STATE"
test "$INPUT_NAME" != second`)
	log := steps(t, t.Context(), job, action, "first", "second", "third")
	if want := "/bin/sh first state= later=\n/bin/sh second state= later=\n/bin/sh third state= later=\n"; log != want {
		t.Errorf("the main stages printed %q, want %q", log, want)
	}
	job.Env["LATER"] = "yes"
	ended, err := job.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log = ""
	for _, e := range ended {
		log += fmt.Sprintf("%d %q %s", e.Status, e.Stderr, e.Log.Shown())
	}
	want := "0 \"\" /after third state=third later=yes\n0 \"\" /after second state=second later=yes\n0 \"\" /after first state=first later=yes\n"
	if log != want {
		t.Errorf("the posts printed %q, want %q", log, want)
	}
	if !slices.Equal(ended[2].Env, []Pair{{"post", "first"}}) || job.Env["post"] != "first" || !job.Masks.Has("hunter22") {
		t.Errorf("the job keeps nothing of its posts: %v, %v", ended[2].Env, job.Env)
	}
	if again, err := job.Finish(t.Context()); len(again) != 0 || err != nil {
		t.Errorf("the posts run again: %v, %v", again, err)
	}
}

func TestFinishIf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		postIf  string
		script  string // of the main stage
		cancels bool   // it is cancelled while it runs
		want    bool   // the post runs
	}{
		"success after success":           {"success()", "true", false, true},
		"failure after success":           {"failure()", "true", false, false},
		"failure after failure":           {"failure()", "exit 3", false, true},
		"failure after a bad file":        {"failure()", `echo bad >>"$GITHUB_ENV"`, false, true},
		"success after failure":           {"success()", "exit 3", false, false},
		"cancelled after a cancellation":  {"cancelled()", "", true, true},
		"failure after a cancellation":    {"failure()", "", true, false},
		"always after a cancellation":     {"always()", "", true, true},
		"a variable that main exported":   {"always() && env.AUTO == 'true'", `echo AUTO=true >>"$GITHUB_ENV"`, false, true},
		"a variable that nobody exported": {"always() && env.AUTO == 'true'", "true", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := newJob(t)
			action := shellAction(`test "$0" = /after || { ` + c.script + `; }`)
			action.Runs.PostIf = c.postIf
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.cancels {
				action.Runs.Args[1] = `test "$0" = /after || { : >"$RUNNER_TEMP/started"; exec /bin/sleep 60; }`
				go func() {
					for ctx.Err() == nil {
						if _, err := os.Stat(filepath.Join(job.Temp, "started")); err == nil {
							cancel()
						}
						time.Sleep(time.Millisecond)
					}
				}()
			}
			steps(t, ctx, job, action, "only")
			ended, err := job.Finish(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := len(ended) == 1; got != c.want {
				t.Errorf("%d posts ran", len(ended))
			}
		})
	}
	action := shellAction("true")
	action.Runs.PostIf = "hashFiles('x') != ''"
	_, err := newJob(t).Start(action, nil, nil)
	if got, want := fmt.Sprint(err), `post-if: the condition "hashFiles('x') != ''" is not one that this transcription knows`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFinishErrors has a program that is gone by the time of the posts, between two that are there.
func TestFinishErrors(t *testing.T) {
	t.Parallel()
	job := newJob(t)
	action := shellAction("true")
	program := filepath.Join(t.TempDir(), "program")
	if err := os.Symlink("/bin/sh", program); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"/bin/sh", program, "/bin/sh"} {
		step, err := job.Start(action, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := step.Run(t.Context(), program); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	ended, err := job.Finish(t.Context())
	if got, want := fmt.Sprint(err), "running a post step: fork/exec "+program+": no such file or directory"; len(ended) != 2 || got != want {
		t.Errorf("%d posts ran with %s, want 2 and %s", len(ended), got, want)
	}
}
