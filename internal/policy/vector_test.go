package policy

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// vector is one line of testdata/vectors: what one document has to say to one request, and the public page
// or issue that says so. The callers are in testdata/callers.json. The files are plain JSON for the use of
// other tools.
type vector struct {
	Name      string
	Source    string // URL
	Kind      Kind
	Document  json.RawMessage
	Caller    string
	Action    string
	Resource  string
	Context   map[string][]string
	Effect    Effect
	Statement int // that decided, -1 for none
	Miss      *struct {
		Statement              int
		Element, Operator, Key string
		Present                bool
	} // one of the misses
	Delegates bool
}

func readStrict(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	for _, name := range files {
		var vs []vector
		readStrict(t, name, &vs)
		all = append(all, vs...)
	}
	if len(all) < 150 {
		t.Fatalf("found %d vectors, want all of them", len(all))
	}
	return all
}

func TestVectors(t *testing.T) {
	t.Parallel()
	callers := map[string]Caller{}
	readStrict(t, "testdata/callers.json", &callers)
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			if !strings.HasPrefix(v.Source, "https://docs.aws.amazon.com/") && !strings.HasPrefix(v.Source, "https://github.com/") {
				t.Errorf("source %q is no public page", v.Source)
			}
			caller, known := callers[v.Caller]
			if !known {
				t.Fatalf("no caller %q", v.Caller)
			}
			d, err := Parse(v.Document)
			if err != nil {
				t.Fatal(err)
			}
			ctx := Context{}
			for key, values := range v.Context {
				ctx.Set(key, values...)
			}
			got := d.Decide(v.Kind, Request{Action: v.Action, Resource: v.Resource, Caller: caller, Context: ctx})
			if got.Effect != v.Effect || got.Statement != v.Statement || got.Delegates != v.Delegates {
				t.Errorf("decided %q by statement %d, delegates %t, want %q by %d, %t; misses: %v", got.Effect, got.Statement, got.Delegates, v.Effect, v.Statement, v.Delegates, got.Misses)
			}
			if v.Effect == Implicit && v.Miss == nil {
				t.Error("a vector that no statement decides must say what misses")
			}
			if v.Miss == nil {
				return
			}
			for _, m := range got.Misses {
				if m.Statement != v.Miss.Statement {
					continue
				}
				if m.Element != v.Miss.Element || m.Operator != v.Miss.Operator || m.Key != v.Miss.Key || m.Present != v.Miss.Present {
					t.Errorf("missed by %+v, want %+v", m, *v.Miss)
				}
				return
			}
			t.Errorf("no miss of statement %d", v.Miss.Statement)
		})
	}
}

func TestMiss(t *testing.T) {
	t.Parallel()
	const document = `{"Version": "2012-10-17", "Statement": [
		{"Sid": "Team", "Effect": "Allow", "Action": "sts:TagSession", "Resource": "*", "Condition": {
			"StringLike": {"aws:RequestTag/Team": ["${aws:PrincipalTag/Team}-*", "ops"]}}},
		{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}`
	d := parse(t, document)
	ctx := Context{}
	ctx.Set("aws:PrincipalTag/Team", "blue")
	r := Request{Action: "sts:TagSession", Resource: "arn:aws:iam::222222222222:role/x", Context: ctx}
	want := []Miss{
		{Element: "Condition", Operator: "StringLike", Key: "aws:RequestTag/Team", Want: []string{"blue-*", "ops"}},
		{Statement: 1, Element: "Action"},
	}
	if got := d.Decide(Identity, r).Misses; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := want[0].String(), `StringLike aws:RequestTag/Team: want "blue-*" or "ops", and the request has no such key`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	ctx.Set("aws:RequestTag/Team", "red")
	miss := d.Decide(Identity, r).Misses[0]
	if got, want := miss.String(), `StringLike aws:RequestTag/Team: want "blue-*" or "ops", got "red"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := d.Describe(0)+", "+d.Describe(1), `statement 1 ("Team"), statement 2`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := (Miss{Element: "Action"}).String(), "Action does not match"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func parse(t *testing.T, document string) *Document {
	t.Helper()
	d, err := Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What Check refuses must not open a role either, should a caller forget to ask it.
func TestUnchecked(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		`{"Statement": {"Effect": "Allow", "NotPrincipal": {"AWS": "333333333333"}, "Action": "*"}}`,
		`{"Statement": {"Effect": "Allow", "Action": "*"}}`,
		`{"Statement": {"Effect": "Allow", "Principal": {"AWS": ""}, "Action": "*"}}`,
		`{"Statement": {"Effect": "Allow", "Principal": {"Service": "*", "CanonicalUser": "*"}, "Action": "*"}}`,
		`{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Condition": {"StringSame": {"a:b": "c"}}}}`,
		`{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Condition": {"NumericEquals": {"a:b": "c"}}}}`,
	} {
		d := parse(t, document)
		if d.Check(Trust, role) == nil {
			t.Errorf("Check passes %s", document)
		}
		r := Request{Action: "sts:AssumeRole", Caller: Caller{Account: "123456789012"}, Context: Context{"a:b": {"c"}}}
		if got := d.Decide(Trust, r); got.Effect != Implicit {
			t.Errorf("decided %q by %s", got.Effect, document)
		}
		if got := d.Decide(Identity, r); got.Effect != Implicit {
			t.Errorf("decided %q as an identity-based policy by %s", got.Effect, document)
		}
	}
}
