package policy

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// statementWith is a document with one valid statement, and more in it.
func statementWith(more string) string {
	return `{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole"` + more + `}}`
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ document, want string }{
		{``, `line 1, column 1: not JSON: unexpected end of JSON input`},
		{`[]`, `line 1, column 1: a policy document is an object, not a list`},
		{"\xef\xbb\xbf{}", `line 1, column 1: not JSON: it begins with a byte order mark; save it as UTF-8 without one`},
		{"{\"Id\":\n \"a\xff\"}", `line 2, column 4: the document is not UTF-8`},
		{strings.Repeat(" ", 65537), `line 1, column 1: the document is 65537 bytes long; IAM's largest policy is 10,240 characters, and no more than 65536 bytes are read`},
		{strings.Repeat("[", 12) + strings.Repeat("]", 12), `line 1, column 1: a policy document is an object, not a list`},
		{strings.Repeat("[", 13) + strings.Repeat("]", 13), `line 1, column 13: nested more than 12 deep`},
		{statementWith("") + "\n {}", `line 2, column 2: not JSON: invalid character '{' after top-level value`},
		{`{"Version" "2012-10-17"}`, `line 1, column 12: not JSON: invalid character '"' after object key`},
		{`{"Version": "2012-10-17" "Id": "x"}`, `line 1, column 26: not JSON: invalid character '"' after object key:value pair`},
		{`{"Version": "2012-10-17",}`, `line 1, column 26: not JSON: invalid character '}' looking for beginning of object key string`},
		{`{Version: 1}`, `line 1, column 2: not JSON: invalid character 'V' looking for beginning of object key string`},
		{`{"Statement": [{} {}]}`, `line 1, column 19: not JSON: invalid character '{' after array element`},
		{`{"Statement": [{},]}`, `line 1, column 19: not JSON: invalid character ']' looking for beginning of value`},
		{`{"Id": "a` + "\n" + `b"}`, `line 1, column 10: not JSON: invalid character '\n' in string literal`},
		{`{"Id": "a\q"}`, `line 1, column 11: not JSON: invalid character 'q' in string escape code`},
		{`{"Id": "\ud800"}`, `line 1, column 8: the string has an escape that is no character`},
		{`{"Id": "a`, `line 1, column 9: not JSON: unexpected end of JSON input`},
		{`{"Id": 01}`, `line 1, column 9: not JSON: invalid character '1' after object key:value pair`},
		{`{"Id": 1}`, `line 1, column 8: Id is a string, not a number`},
		{`{"Id": null}`, `line 1, column 8: Id is a string, not null`},
		{`{"Id": "a", "Id": "b"}`, `line 1, column 13: "Id" is there twice`},
		{`{"Id": "a", "\u0049d": "b"}`, `line 1, column 13: "Id" is there twice`},
		{`{}`, `line 1, column 1: Statement is missing`},
		{`{"Statement": []}`, `line 1, column 15: Statement is empty`},
		{`{"Statement": ["x"]}`, `line 1, column 16: a statement is an object, not a string`},
		{`{"statement": []}`, `line 1, column 2: a policy document has no element "statement" (elements are Version, Id and Statement, in this spelling)`},
		{`{"Version": "2012-10-18", "Statement": []}`, `line 1, column 13: Version is 2012-10-17 or 2008-10-17, not "2012-10-18"`},
		{`{"Version": ["2012-10-17"]}`, `line 1, column 13: Version is a string, not a list`},
		{`{"Statement": {"Action": "sts:*"}}`, `line 1, column 15: the statement has no Effect`},
		{`{"Statement": {"Effect": "allow"}}`, `line 1, column 26: Effect is Allow or Deny, not "allow"`},
		{`{"Statement": {"Effect": "Allow"}}`, `line 1, column 15: the statement has neither Action nor NotAction`},
		{statementWith(`, "Actions": "x"`), `line 1, column 63: a statement has no element "Actions"`},
		{statementWith(`, "NotAction": "x"`), `line 1, column 63: a statement has Action or NotAction, not both`},
		{statementWith(`, "Resource": "*", "NotResource": "*"`), `line 1, column 80: a statement has Resource or NotResource, not both`},
		{statementWith(`, "NotPrincipal": "*", "Principal": "*"`), `line 1, column 84: a statement has NotPrincipal or Principal, not both`},
		{statementWith(`, "Resource": []`), `line 1, column 75: Resource is an empty list`},
		{statementWith(`, "Resource": ["*", 1]`), `line 1, column 81: Resource has a number where a string belongs`},
		{statementWith(`, "Resource": [["*"]]`), `line 1, column 76: Resource has a list where a string belongs`},
		{statementWith(`, "Sid": true`), `line 1, column 70: Sid is a string, not a boolean`},
		{statementWith(`, "Principal": "arn:aws:iam::123456789012:root"`), `line 1, column 76: Principal is "*" or an object such as {"AWS": "..."}`},
		{statementWith(`, "Principal": {}`), `line 1, column 76: Principal is empty`},
		{statementWith(`, "Principal": {"aws": "*"}`), `line 1, column 77: Principal has no type "aws" (types are AWS, Federated, Service and CanonicalUser)`},
		{statementWith(`, "Principal": {"AWS": []}`), `line 1, column 84: AWS is an empty list`},
		{statementWith(`, "Condition": []`), `line 1, column 76: Condition is an object, not a list`},
		{statementWith(`, "Condition": {"StringEquals": "x"}`), `line 1, column 93: StringEquals is an object of condition keys, not a string`},
		{statementWith(`, "Condition": {"StringEquals": {}}`), `line 1, column 93: StringEquals has no condition key`},
		{statementWith(`, "Condition": {"StringEquals": {"a:b": []}}`), `line 1, column 101: a:b is an empty list`},
		{statementWith(`, "Condition": {"StringEquals": {"a:b": null}}`), `line 1, column 101: a:b has null where a string belongs`},
		{statementWith(`, "Condition": {"StringEquals": {"a:b": "x", "a:b": "y"}}`), `line 1, column 106: "a:b" is there twice`},
	} {
		d, err := Parse([]byte(c.document))
		var failure *SyntaxError
		if !errors.As(err, &failure) || err.Error() != c.want || d != nil {
			t.Errorf("Parse(%.80q)\n got %v\nwant %s", c.document, err, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	d := parse(t, `{
  "Id": "hub",
  "Version": "2012-10-17",
  "Statement": {
    "Sid": "One",
    "Effect": "Allow",
    "Principal": {"AWS": ["123456789012", "222222222222"], "Federated": "cognito-identity.amazonaws.com"},
    "NotAction": "sts:TagSession",
    "Condition": {
      "NumericLessThan": {"a:n": [1e1, "2"]},
      "Bool": {"a:b": true}
    }
  }
}`)
	s := d.Statements[0]
	for what, ok := range map[string]bool{
		"id":          d.ID == Value{"hub", Position{2, 9}},
		"version":     d.Version == Value{"2012-10-17", Position{3, 14}},
		"statement":   s.Position == Position{4, 16} && s.Effect == Allow,
		"sid":         s.SID == Value{"One", Position{5, 12}},
		"principals":  len(s.Principals) == 3 && s.Principals[1] == Principal{Value{"AWS", Position{7, 19}}, Value{"222222222222", Position{7, 43}}},
		"federated":   s.Principals[2].Type == Value{"Federated", Position{7, 60}},
		"absent":      s.Actions == nil && s.Resources == nil && s.NotPrincipals == nil,
		"not action":  len(s.NotActions) == 1 && s.NotActions[0] == Value{"sts:TagSession", Position{8, 18}},
		"number":      s.Conditions[0].Values[0] == Value{"1e1", Position{10, 35}},
		"second":      s.Conditions[0].Values[1] == Value{"2", Position{10, 40}},
		"boolean":     s.Conditions[1].Values[0] == Value{"true", Position{11, 23}},
		"key":         s.Conditions[1].Key == Value{"a:b", Position{11, 16}},
		"operator":    s.Conditions[1].Operator == Value{"Bool", Position{11, 7}},
		"white space": d.characters == 348 && d.size == 274,
	} {
		if !ok {
			t.Errorf("%s is wrong in %+v", what, d)
		}
	}
	everyone := parse(t, statementWith(`, "Principal": "*", "Condition": {}`)).Statements[0]
	if len(everyone.Principals) != 1 || everyone.Principals[0].Type.Text != "*" || everyone.Principals[0].Text != "*" || everyone.Conditions != nil {
		t.Errorf("got %+v, want everyone without a condition", everyone)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`, statementWith(``), statementWith(`, "Resource": ["arn:aws:iam::*:role/${aws:PrincipalTag/Team, 'x'}*"]`),
		statementWith(`, "Principal": {"AWS": "123456789012"}, "Condition": {"ForAnyValue:StringLike": {"aws:TagKeys": "*a*?${*}"}}`),
		`{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "NotAction": "*", "NotResource": "*", "Condition": {
			"NumericLessThan": {"a:n": 1e999999999}, "DateEquals": {"a:d": "2026"}, "IpAddress": {"a:i": "::/0"},
			"ArnLike": {"a:a": "arn:*:*:*:*:*"}, "BinaryEquals": {"a:x": "QQ=="}, "Null": {"a:z": true}}}]}`,
		`{"Id": "\ud83d\ude00\n", "Statement": [` + strings.Repeat("[", 20),
	} {
		f.Add([]byte(seed), "sts:AssumeRole", "arn:aws:iam::222222222222:role/x", "aws:TagKeys", "value")
	}
	f.Fuzz(func(t *testing.T, document []byte, action, resource, key, value string) {
		if len(action)+len(resource)+len(value) > 4096 {
			return // longer than any that STS takes
		}
		begin := time.Now()
		d, err := Parse(document)
		if err != nil {
			var failure *SyntaxError
			if !errors.As(err, &failure) || failure.Line < 1 || failure.Column < 1 {
				t.Fatalf("error %v is no syntax error with a position", err)
			}
			return
		}
		ctx := Context{}
		ctx.Set(key, value)
		for _, s := range d.Statements {
			for _, c := range s.Conditions {
				ctx.Set(c.Key.Text, value, "", "1")
			}
		}
		r := Request{action, resource, Caller{Account: "123456789012", RoleARN: value, RoleID: "AROA", SessionARN: key}, ctx}
		for _, kind := range []Kind{Trust, Identity, Session, Boundary, SCP} {
			_ = d.Check(kind, "arn:aws:iam::123456789012:role/x")
			decision := d.Decide(kind, r)
			if (decision.Effect == Implicit) != (decision.Statement == -1) || len(decision.Misses) > len(d.Statements) {
				t.Fatalf("decision %+v contradicts itself", decision)
			}
			if decision.Effect != Implicit && d.Statements[decision.Statement].Effect != decision.Effect {
				t.Fatalf("decision %+v is not its statement's effect", decision)
			}
		}
		// Generous: the race detector and a loaded machine are slow, exponential work is slower.
		if took := time.Since(begin); took > 20*time.Second {
			t.Fatalf("took %v", took)
		}
	})
}
