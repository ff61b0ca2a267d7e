package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/spf13/pflag"

	"github.com/org/hubspoke-chain/internal/cli"
)

const program = "hubspoke-chain"

// actionFlag is the flag of the commands that run the action.
func actionFlag(flags *pflag.FlagSet) *string {
	return flags.String("action", "", "the hubspoke-chain `FILE` to run (default the one next to hubspoke-lab, "+
		"in a checkout one built from it, else the one in PATH)")
}

// findProgram returns the path of the hubspoke-chain to run. In a checkout, where there is none next to this program, it
// builds one into dir.
func findProgram(ctx context.Context, action, dir string) (string, error) {
	if action != "" {
		path, err := exec.LookPath(action)
		if err == nil {
			path, err = filepath.Abs(path) // a step has a working directory of its own
		}
		if err != nil {
			return "", cli.UsageError{Err: fmt.Errorf("--action: %w", err)}
		}
		return path, nil
	}
	if own, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(own), program)); err == nil {
			return path, nil
		}
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if module := checkout(here); module != "" {
		path := filepath.Join(dir, program)
		_, err := output(ctx, "go", "build", "-C", module, "-o", path, "./cmd/"+program)
		return path, err
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", errors.New("hubspoke-chain is not next to hubspoke-lab and not in PATH: " +
			"install it there, or name it with --action FILE")
	}
	return filepath.Abs(path)
}

var ownModule = regexp.MustCompile(`(?m)^module github\.com/org/hubspoke-chain$`)

// checkout returns the root of the checkout of this module that dir is in, or nothing.
func checkout(dir string) string {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && ownModule.Match(text) {
			return dir
		}
		parent := filepath.Dir(dir)
		if err == nil || parent == dir {
			return ""
		}
		dir = parent
	}
}
