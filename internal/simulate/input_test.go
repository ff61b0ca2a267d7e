package simulate

import (
	"reflect"
	"testing"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/generate"
)

func TestDefaultSubject(t *testing.T) {
	t.Parallel()
	legacy, immutable := generate.Repository{Owner: "o", Name: "r"}, generate.Repository{Owner: "o", Name: "r", OwnerID: "1", ID: "2"}
	for _, test := range []struct {
		repository generate.Repository
		claims     chain.Claims
		want       string
	}{
		{legacy, chain.Claims{"environment": "a:b", "event_name": "pull_request", "ref": "x"}, "repo:o/r:environment:a%3Ab"},
		{immutable, chain.Claims{"event_name": "pull_request", "ref": "refs/pull/1/merge"}, "repo:o@1/r@2:pull_request"},
		{immutable, chain.Claims{"event_name": "pull_request_target", "ref": "refs/heads/main"}, "repo:o@1/r@2:ref:refs/heads/main"},
		{legacy, chain.Claims{}, ""},
	} {
		if got := defaultSubject(test.repository, test.claims); got != test.want {
			t.Errorf("%v: %q, want %q", test.claims, got, test.want)
		}
	}
}

// TestOptions checks that a case can have every field of Input.
func TestOptions(t *testing.T) {
	t.Parallel()
	var in Input
	known := map[any]bool{}
	for _, option := range in.options() {
		known[option] = true
	}
	fields := reflect.ValueOf(&in).Elem()
	for i := range fields.NumField() {
		if !known[fields.Field(i).Addr().Interface()] {
			t.Errorf("options lacks %s", fields.Type().Field(i).Name)
		}
	}
	if len(known) != fields.NumField() {
		t.Errorf("%d options for %d fields", len(known), fields.NumField())
	}
}

// TestSet checks that a case extends the lists of the command line without changing them.
func TestSet(t *testing.T) {
	t.Parallel()
	base := Input{Tags: append(make([]string, 0, 4), "a=1"), Environment: "staging"}
	first, second := base, base
	for in, value := range map[*Input]any{&first: []any{"b=2", "c=3"}, &second: map[string]any{"e": "5", "d": "4"}} {
		if err := set(in.options()["tag"], value); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ got, want []string }{
		{base.Tags, []string{"a=1"}}, {first.Tags, []string{"a=1", "b=2", "c=3"}}, {second.Tags, []string{"a=1", "d=4", "e=5"}},
	} {
		if !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
	for name, value := range map[string]any{"environment": 7.0, "tag": []any{1.0}, "claim": map[string]any{"x": true}, "pull-request": "maybe"} {
		if err := set(first.options()[name], value); err == nil {
			t.Errorf("%s can be %v", name, value)
		}
	}
	if err := set(first.options()["pull-request"], true); err != nil || !first.PullRequest {
		t.Errorf("pull-request: %v", err)
	}
}
