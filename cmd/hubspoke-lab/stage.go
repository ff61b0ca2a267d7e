package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	hubspokechain "github.com/org/hubspoke-chain"
	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// stage is a lab in which the action runs as a process, the way the runner starts it.
type stage struct {
	*lab.Lab
	servers *lab.Servers
	action  runner.Action
	binary  string // path of hubspoke-chain
	root    string // all files are written here; removed at the end
}

// openLab starts a lab on loopback with the world in the named file, or the built-in one of examples/lab.
func openLab(world string, o lab.Options) (*lab.Lab, *lab.Servers, error) {
	files, name := fs.FS(examples.Lab), "lab/world.json"
	if world != "" {
		files, name = os.DirFS(filepath.Dir(world)), filepath.Base(world)
	}
	w, err := lab.ReadWorld(files, name)
	if err != nil {
		return nil, nil, err
	}
	l := lab.New(w, o)
	servers, err := l.Start()
	return l, servers, err
}

// openStage starts a lab and finds the action's program; action is its path where the user named it.
func openStage(ctx context.Context, world, action string, o lab.Options) (*stage, error) {
	l, servers, err := openLab(world, o)
	if err != nil {
		return nil, err
	}
	s := &stage{Lab: l, servers: servers}
	if s.root, err = os.MkdirTemp("", "hubspoke-lab-"); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.binary, err = findProgram(ctx, action, s.root); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.action, err = runner.ParseAction(hubspokechain.ActionYAML); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) close() error {
	return errors.Join(s.servers.Close(), os.RemoveAll(s.root))
}

// output runs a program and returns what it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// outcome is how a step ended.
type outcome struct {
	runner.Result
	log    *runner.Log
	status int
	job    *runner.Job
}

// step runs the action as one step of a new job, in the environment that the runner sets.
func (s *stage) step(ctx context.Context, jobName string, with map[string]string) (outcome, error) {
	claims, err := s.Job(jobName)
	if err != nil {
		return outcome{}, err
	}
	root, err := os.MkdirTemp(s.root, "job-")
	if err != nil {
		return outcome{}, err
	}
	job, err := runner.NewJob(root)
	if err != nil {
		return outcome{}, err
	}
	maps.Copy(job.Env, s.RequestEnv(s.servers.IssuerURL, claims))
	// The endpoint is the only difference from a real run.
	inputs := maps.Clone(with)
	inputs["sts-endpoint"] = s.servers.STSURL
	step, err := job.Start(s.action, inputs, nil)
	if err != nil {
		return outcome{}, err
	}
	status, _, err := step.Run(ctx, s.binary)
	if err != nil {
		return outcome{}, err
	}
	result, err := step.End()
	if err != nil {
		return outcome{}, err
	}
	return outcome{result, step.Log, status, job}, nil
}

// finishWithin is the time that post steps have, also after an interrupt. A canceled job has as much on GitHub (GitHub
// Docs, "Workflow cancellation reference").
const finishWithin = 5 * time.Minute

// finish ends the job of a step and returns the log of its post steps. They run even after an interrupt.
func finish(ctx context.Context, job *runner.Job) (log string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	ended, err := job.Finish(ctx)
	for _, e := range ended {
		log += e.Log.Shown()
		if e.Status != 0 {
			err = errors.Join(err, fmt.Errorf("a post step ended with status %d", e.Status))
		}
		err = errors.Join(err, e.Err)
	}
	return log, err
}

// leaked returns the number of the lab's secrets that are in a text.
func (s *stage) leaked(text string) int {
	return len(slices.DeleteFunc(s.Secrets(), func(secret string) bool { return !strings.Contains(text, secret) }))
}
