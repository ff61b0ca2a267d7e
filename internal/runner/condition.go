package runner

import (
	"fmt"
	"regexp"
	"strings"
)

// jobStatus is what a condition asks of the job so far.
type jobStatus int

const (
	jobSucceeded jobStatus = iota
	jobFailed
	jobCancelled
)

// comparison begins its text with a letter: the runner makes numbers of both sides where the variable is not set,
// and a letter keeps the text from being one.
var comparison = regexp.MustCompile(`^always\(\) && env\.([A-Za-z_][A-Za-z0-9_-]*) == '([A-Za-z][^']*)'$`)

// evaluateIf decides a post-if. The runner has its whole expression language here; what is not one of
//
//	always()    success()    failure()    cancelled()    always() && env.NAME == 'text'
//
// or empty, which is always() (ActionManifestManager.cs), is refused, so that nobody takes it for working.
// Texts are equal whatever their case, names of variables are not (EvaluationResult.cs, StepsRunner.cs).
func evaluateIf(condition string, status jobStatus, env map[string]string) (bool, error) {
	switch condition {
	case "", "always()":
		return true, nil
	case "success()":
		return status == jobSucceeded, nil
	case "failure()":
		return status == jobFailed, nil
	case "cancelled()":
		return status == jobCancelled, nil
	}
	m := comparison.FindStringSubmatch(condition)
	if m == nil {
		return false, fmt.Errorf("the condition %q is not one that this transcription knows", condition)
	}
	return strings.EqualFold(env[m[1]], m[2]), nil
}
