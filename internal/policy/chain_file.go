package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
)

// Extract gives the policy document that a file holds: the file as it is, or what the AWS CLI prints, of which
// it knows aws iam get-role, get-role-policy and get-policy-version, and aws organizations describe-policy.
// Of get-role's output it gives the role too, as far as it is said there. A document that stands in the
// output as an object keeps its place: what is around it is blanked. Parse is for the caller.
func Extract(data []byte) (document []byte, role Role, err error) {
	var output struct {
		Role *struct {
			AssumeRolePolicyDocument json.RawMessage
			Arn                      string
			RoleID                   string `json:"RoleId"`
			Tags                     Tags
		}
		PolicyDocument json.RawMessage
		PolicyVersion  *struct{ Document json.RawMessage }
		Policy         *struct{ Content json.RawMessage }
	}
	if json.Unmarshal(data, &output) != nil {
		return data, Role{}, nil // Parse says better what is wrong with it
	}
	var inner json.RawMessage
	switch {
	case output.Role != nil:
		r := output.Role
		inner, role = r.AssumeRolePolicyDocument, Role{ARN: r.Arn, ID: r.RoleID, Tags: r.Tags}
		if inner == nil {
			return nil, Role{}, errors.New("the role has no AssumeRolePolicyDocument")
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
		// IAM's API answers with documents percent-encoded by RFC 3986; the CLI decodes most of them.
		if decoded, err := url.PathUnescape(text); err == nil && !bytes.HasPrefix([]byte(text), []byte("{")) {
			text = decoded
		}
		return []byte(text), role, nil
	}
	around := bytes.Clone(data[:bytes.Index(data, inner)])
	for i, c := range around {
		if c != '\n' {
			around[i] = ' '
		}
	}
	return append(around, inner...), role, nil
}
