package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/examples"
	"github.com/org/hubspoke-chain/internal/lab"
	"github.com/org/hubspoke-chain/internal/runner"
)

// stage is the lab and a runner's job before it, in which the real action runs as its own process.
type stage struct {
	*lab.Lab
	servers *lab.Servers
	action  runner.Action
	binary  string // the built action
	root    string // holds all that is written; removed at the end
}

// openLab starts a lab on loopback. An empty name takes the world that is built in, examples/lab.
func openLab(world string, o lab.Options) (*lab.Lab, *lab.Servers, error) {
	w, err := openWorld(world)
	if err != nil {
		return nil, nil, err
	}
	l := lab.New(w, o)
	servers, err := l.Start()
	return l, servers, err
}

// openWorld reads a world. An empty name takes the one that is built in, examples/lab.
func openWorld(world string) (*lab.World, error) {
	if world == "" {
		return lab.ReadWorld(examples.Lab, "lab/world.json")
	}
	return lab.ReadWorld(os.DirFS(filepath.Dir(world)), filepath.Base(world))
}

// openStage starts a lab and builds the action from the module that the current directory is in.
func openStage(ctx context.Context, world string, o lab.Options) (*stage, error) {
	l, servers, err := openLab(world, o)
	if err != nil {
		return nil, err
	}
	s := &stage{Lab: l, servers: servers}
	if s.root, err = os.MkdirTemp("", "hubspoke-lab-"); err != nil {
		return nil, errors.Join(err, s.close())
	}
	module, err := output(ctx, "go", "env", "GOMOD")
	if err == nil && filepath.Base(module) != "go.mod" {
		err = errors.New("this command builds the action, so it runs inside a checkout of hubspoke-chain")
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	directory := filepath.Dir(module)
	s.binary = filepath.Join(s.root, "hubspoke-chain")
	if _, err := output(ctx, "go", "build", "-C", directory, "-o", s.binary, "./cmd/hubspoke-chain"); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.action, err = runner.ReadAction(filepath.Join(directory, "action.yml")); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) close() error {
	return errors.Join(s.servers.Close(), os.RemoveAll(s.root))
}

// output runs a program of this machine and gives what it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// outcome is what a step came to.
type outcome struct {
	runner.Result
	log    *runner.Log
	status int
	job    *runner.Job
}

// step runs the action as one step of a new job, with the environment that a runner gives it.
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
	// The lab stands in the place of the region's endpoint; nothing else differs from a real run.
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

// finishWithin is the time that post steps have, also after an interrupt: what GitHub gives to a job that is
// cancelled (GitHub Docs, "Workflow cancellation reference").
const finishWithin = 5 * time.Minute

// finish ends the job of a step and gives the log of its posts. An interrupt does not keep them from running.
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

// leaked counts the lab's secrets that a text shows.
func (s *stage) leaked(text string) int {
	return len(slices.DeleteFunc(s.Secrets(), func(secret string) bool { return !strings.Contains(text, secret) }))
}
