//go:build tools

// These tests need programs that go test ./... does not: the Terraform CLI, cfn-lint, moto's server and the
// AWS CLI. Where one is missing they fail:
//
//	go test -tags tools -count=1 ./examples/
//
// Nothing leaves the machine: the AWS CLI talks to moto on loopback, and Terraform gets no provider.
package examples_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// program runs a program in a directory with these variables and a minimal environment, and returns its standard
// output. The error contains its standard error.
func program(dir string, env map[string]string, name string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%w; install %s", err, filepath.Base(name))
	}
	command := exec.Command(path, args...)
	command.Dir = dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "TF_CLI_CONFIG_FILE=/dev/null", "CHECKPOINT_DISABLE=1"}
	for key, value := range env {
		command.Env = append(command.Env, key+"="+value)
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s %q: %w\n%s%s", name, args, err, out, stderr.Bytes())
	}
	return out, err
}

func mustRun(t *testing.T, dir string, env map[string]string, name string, args ...string) []byte {
	t.Helper()
	out, err := program(dir, env, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCFNLint(t *testing.T) {
	t.Parallel()
	mustRun(t, ".", nil, "cfn-lint", hubTemplate, spokeTemplate)
}
