package runner

import (
	"context"
	"errors"
	"fmt"
)

// post is a post step that has not run yet.
type post struct {
	main *Step
	run  func(context.Context, *Step) (status int, stderr string, err error)
}

// Ended is the outcome of a post step.
type Ended struct {
	Result
	Log    *Log
	Status int    // the exit status, as Run returns it
	Stderr string // what it printed on stderr
}

// register records the post step of an action that has one. This happens when main starts, so that post runs even
// if main fails (ActionRunner.cs).
func (s *Step) register(run func(context.Context, *Step) (int, string, error)) {
	if s.action.Runs.PostEntrypoint != "" {
		s.job.posts = append(s.job.posts, post{s, run})
	}
}

// Finish ends the job. It runs the post steps of the started steps in reverse order, each where its main ran and
// if its post-if is true at that time. It then removes the job's container. A post step gets the inputs of its
// main stage, the state that was saved by its End, and the job's current variables. Finish returns the steps that
// ran, in that order. The error reports what could not be run; the rest runs anyway.
func (j *Job) Finish(ctx context.Context) ([]Ended, error) {
	var all []Ended
	var errs []error
	for len(j.posts) > 0 {
		last := j.posts[len(j.posts)-1]
		j.posts = j.posts[:len(j.posts)-1]
		runs, err := evaluateIf(last.main.action.Runs.PostIf, j.status, j.Env)
		if err != nil {
			errs = append(errs, fmt.Errorf("post-if: %w", err))
		}
		if !runs {
			continue
		}
		ended, err := j.post(ctx, last)
		if err != nil {
			errs = append(errs, fmt.Errorf("running a post step: %w", err))
			continue
		}
		all = append(all, ended)
	}
	return all, errors.Join(append(errs, j.removeContainer(ctx))...)
}

func (j *Job) post(ctx context.Context, p post) (Ended, error) {
	s, err := j.Start(p.main.action, p.main.with, p.main.state)
	if err != nil {
		return Ended{}, err
	}
	status, stderr, err := p.run(ctx, s)
	if err != nil {
		return Ended{}, err
	}
	result, err := s.End()
	return Ended{result, s.Log, status, stderr}, err
}
