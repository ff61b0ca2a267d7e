package credproc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
)

// version of a plan's file.
const version = 2

// planFile is the file of a plan.
type planFile struct {
	Version int `json:"version"` // 2
	hop.Plan
}

// maxCall is the timeout of a call, whatever the plan's is: the SDKs for Go end a process after a minute, without its
// error. Source: aws-sdk-go-v2/credentials v1.20.16, processcreds.DefaultTimeout.
const maxCall = 55 * time.Second

func timeout(plan hop.Plan) time.Duration { return min(plan.Timeout(), maxCall) }

// readPlan reads a plan's file, a regular one of at most 128 KiB that holds one JSON object with the fields of a Plan
// and no other, and returns the SHA-256 of its bytes too, in hexadecimal. Its error is the first that prevents decoding,
// or names every invalid field with its value and what is allowed.
func readPlan(path string) (hop.Plan, string, error) {
	data, err := readFile(path)
	if err != nil {
		return hop.Plan{}, "", fmt.Errorf("reading the plan: %w", err)
	}
	var f planFile
	if err := decode(data, &f); err != nil {
		return hop.Plan{}, "", fmt.Errorf("reading the plan %q: %w", path, err)
	}
	if f.Version != version {
		return hop.Plan{}, "", fmt.Errorf("reading the plan %q: version: %d is not %d, the one that this program reads", path, f.Version, version)
	}
	if err := validate(f.Plan); err != nil {
		return hop.Plan{}, "", fmt.Errorf("reading the plan %q: %w", path, err)
	}
	digest := sha256.Sum256(data)
	return f.Plan, hex.EncodeToString(digest[:]), nil
}

// validate returns every invalid field. A credential process has one spoke.
func validate(plan hop.Plan) error {
	var problems []error
	for _, problem := range plan.Validate() {
		problems = append(problems, problem)
	}
	if n := len(plan.Spokes); n > 1 {
		problems = append(problems, fmt.Errorf("spokes: %d are more than the one that a credential process returns credentials of", n))
	}
	return errors.Join(problems...)
}

// decode decodes one JSON value that has no field but those of the target.
func decode(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("there is more than one JSON value in it")
	}
	return nil
}

// Write validates a plan and writes it to a new file with mode 0600. When root writes it, it belongs to the owner of
// its directory.
func Write(path string, plan hop.Plan) error {
	if err := validate(plan); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	data, err := json.MarshalIndent(planFile{version, plan}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	data = append(data, '\n')
	if len(data) > maxFile {
		return fmt.Errorf("writing the plan: it is larger than %d bytes", maxFile)
	}
	if err := createFile(path, data); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}
