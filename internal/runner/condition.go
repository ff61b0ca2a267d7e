package runner

import (
	"fmt"
	"regexp"
	"strings"
)

// jobStatus is the status of the job so far, as a condition sees it.
type jobStatus int

const (
	jobSucceeded jobStatus = iota
	jobFailed
	jobCancelled
)

// comparison requires a text that begins with a letter. The runner converts both sides to numbers if the variable
// is not set, and a text that begins with a letter is not a number.
var comparison = regexp.MustCompile(`^always\(\) && env\.([A-Za-z_][A-Za-z0-9_-]*) == '([A-Za-z][^']*)'$`)

// evaluateIf evaluates a post-if. The runner has a whole expression language. A condition that is not one of
//
//	always()    success()    failure()    cancelled()    always() && env.NAME == 'text'
//
// or empty, which means always() (ActionManifestManager.cs), is rejected, so that nobody assumes that it works.
// Texts are compared without case; names of variables are case-sensitive (EvaluationResult.cs, StepsRunner.cs).
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
