package simulate

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

func TestExtract(t *testing.T) {
	t.Parallel()
	const document = `{"Version": "2012-10-17",
 "Statement": {"Sid": "A", "Effect": "Allow", "Principal": "*", "Action": "sts:*"}}`
	quoted := strings.ReplaceAll(strings.ReplaceAll(document, `"`, `\"`), "\n", `\n`)
	for name, test := range map[string]struct {
		file string
		role string
		at   policy.Position // of the statement
	}{
		"as it is":           {document, "", policy.Position{Line: 2, Column: 15}},
		"get-role":           {"{\"Role\": {\n\"Arn\": \"é\", \"AssumeRolePolicyDocument\": " + document + "}}", "é", policy.Position{Line: 3, Column: 15}},
		"get-role, a string": {`{"Role": {"Arn": "x", "AssumeRolePolicyDocument": "` + quoted + `"}}`, "x", policy.Position{Line: 2, Column: 15}},
		"get-role, encoded": {`{"Role": {"AssumeRolePolicyDocument": "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%22%2A%22%2C%22Action%22%3A%22sts%3A%2A%22%7D%7D"}}`,
			"", policy.Position{Line: 1, Column: 14}},
		"get-role-policy":    {`{"PolicyName": "x", "PolicyDocument": ` + document + "}", "", policy.Position{Line: 2, Column: 15}},
		"get-policy-version": {`{"PolicyVersion": {"IsDefaultVersion": true, "Document": ` + document + "}}", "", policy.Position{Line: 2, Column: 15}},
		"describe-policy":    {`{"Policy": {"Content": "` + quoted + `"}}`, "", policy.Position{Line: 2, Column: 15}},
	} {
		text, role, err := extract([]byte(test.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d, err := policy.Parse(text)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if role.ARN != test.role || d.Statements[0].Position != test.at {
			t.Errorf("%s: role %q, statement at %+v, want %+v", name, role.ARN, d.Statements[0].Position, test.at)
		}
	}
	if _, _, err := extract([]byte(`{"Role": {"Arn": "x"}}`)); err == nil || err.Error() != "the role has no AssumeRolePolicyDocument" {
		t.Errorf("a role without a trust policy: %v", err)
	}
	full := `{"Role": {"Arn": "` + agreeHub + `", "RoleId": "AROAX", "Tags": [{"Key": "Team", "Value": "red"}], "AssumeRolePolicyDocument": {}}}`
	if _, role, err := extract([]byte(full)); err != nil || role.ARN != agreeHub || role.ID != "AROAX" || !slices.Equal(role.Tags, chain.Tags{{Key: "Team", Value: "red"}}) {
		t.Errorf("%+v, %v", role, err)
	}
}

// FuzzExtract checks that a document keeps its place.
func FuzzExtract(f *testing.F) {
	f.Add([]byte(`{"Role": {"AssumeRolePolicyDocument": {"Statement": []}}}`))
	f.Add([]byte(`{"PolicyDocument": "%7B%7D"}`))
	f.Add([]byte("{\"Policy\":\n{\"Content\": {}}}"))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, _, err := extract(data)
		if err != nil {
			return
		}
		if len(text) > len(data) {
			t.Fatalf("%q became longer: %q", data, text)
		}
		// An object keeps its place in the file, line and column; a string is another text altogether.
		inner := bytes.TrimLeft(text, " \n")
		begin := len(text) - len(inner)
		if bytes.HasPrefix(inner, []byte("{")) && bytes.Equal(data[begin:len(text)], inner) &&
			bytes.Count(data[:begin], []byte("\n")) != bytes.Count(text[:begin], []byte("\n")) {
			t.Errorf("%q: the document has moved: %q", data, text)
		}
		if d, err := policy.Parse(text); err == nil && len(d.Statements) == 0 {
			t.Errorf("%q: a policy without a statement", data)
		}
	})
}
