package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
)

// maxFile is the largest file that is read, in bytes: ten times get-role's output for the largest policy.
const maxFile = 1 << 20

// Files reads the files that an Input names. It reads each once, since standard input cannot be read again.
type Files struct {
	Stdin io.Reader // the file named -

	data map[string][]byte
}

func (f *Files) read(name string) ([]byte, error) {
	if data, found := f.data[name]; found {
		return data, nil
	}
	var data []byte
	var err error
	if name == "-" {
		data, err = io.ReadAll(io.LimitReader(f.Stdin, maxFile+1))
	} else {
		data, err = readRegular(name)
	}
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%q is larger than %d bytes", name, maxFile)
	}
	if err != nil {
		return nil, err
	}
	if f.data == nil {
		f.data = map[string][]byte{}
	}
	f.data[name] = data
	return data, nil
}

// readRegular reads a file, but no device or pipe, which a cases file from a pull request could name.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !strings.HasPrefix(name, "/dev/fd/") { // the name of a shell's <(...)
		return nil, fmt.Errorf("%q is not a regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}

// extract returns the policy document of a file: the file itself, or the document in the output of aws iam get-role,
// get-role-policy or get-policy-version, or of aws organizations describe-policy. For get-role it also returns the
// role. A document that is an object in the output keeps its line and column: the text before it is blanked.
func extract(data []byte) (document []byte, role chain.Role, err error) {
	var output struct {
		Role *struct {
			AssumeRolePolicyDocument json.RawMessage
			Arn                      string
			RoleID                   string `json:"RoleId"`
			Tags                     chain.Tags
		}
		PolicyDocument json.RawMessage
		PolicyVersion  *struct{ Document json.RawMessage }
		Policy         *struct{ Content json.RawMessage }
	}
	if json.Unmarshal(data, &output) != nil {
		return data, chain.Role{}, nil // policy.Parse has the better error
	}
	var inner json.RawMessage
	switch {
	case output.Role != nil:
		r := output.Role
		inner, role = r.AssumeRolePolicyDocument, chain.Role{ARN: r.Arn, ID: r.RoleID, Tags: r.Tags}
		if inner == nil {
			return nil, chain.Role{}, errors.New("the role has no AssumeRolePolicyDocument")
		}
	case output.PolicyVersion != nil:
		inner = output.PolicyVersion.Document
	case output.Policy != nil:
		inner = output.Policy.Content
	default:
		inner = output.PolicyDocument
	}
	if inner == nil {
		return data, role, nil
	}
	var text string
	if json.Unmarshal(inner, &text) == nil {
		// IAM's API returns documents percent-encoded by RFC 3986; the CLI decodes most of them.
		if decoded, err := url.PathUnescape(text); err == nil && !strings.HasPrefix(text, "{") {
			text = decoded
		}
		return []byte(text), role, nil
	}
	before := bytes.Clone(data[:bytes.Index(data, inner)])
	for i, c := range before {
		if c != '\n' {
			before[i] = ' '
		}
	}
	return append(before, inner...), role, nil
}
