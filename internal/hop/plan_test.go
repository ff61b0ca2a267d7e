package hop

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// full returns a valid plan with every field set.
func full() Plan {
	return Plan{
		Region:            "us-east-1",
		Hub:               roles(hubRole)[0],
		Spokes:            roles(spokeRole, "arn:aws:iam::222222222222:role/ci/read"),
		SessionName:       "gh-1-1",
		Audience:          "sts.amazonaws.com",
		DurationSeconds:   3600,
		Tags:              []Tag{{Key: "Repository", Value: "o/r"}, {Key: "Job", Value: "j", Droppable: true}},
		TransitiveTagKeys: []string{"Repository"},
		SourceIdentity:    "alice",
		ExternalID:        "ext/1",
		Policy:            `{"Statement":[]}`,
		PolicyARNs:        []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"},
		Endpoint:          "https://sts.us-east-1.amazonaws.com",
		Proxy:             "http://user@proxy.example:3128",
		NoProxy:           "localhost,.internal.example",
		CABundle:          "ca.pem",
		MaxAttempts:       12,
		TimeoutSeconds:    60,
	}
}

// minimal returns a valid plan with the required fields only.
func minimal() Plan {
	return Plan{
		Region:          "us-east-1",
		Hub:             roles(hubRole)[0],
		Spokes:          roles(spokeRole),
		SessionName:     "gh-1-1",
		Audience:        "sts.amazonaws.com",
		DurationSeconds: 900,
		MaxAttempts:     1,
		TimeoutSeconds:  1,
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, valid := range []Plan{full(), minimal()} {
		if problems := valid.Validate(); problems != nil {
			t.Errorf("a valid plan: %v", problems)
		}
	}
	reported := map[string]bool{}
	for _, test := range slices.Concat(requiredChanges(), tagChanges(), sessionChanges(), networkChanges()) {
		t.Run(test.name, func(t *testing.T) {
			p := full()
			test.make(&p)
			if reflect.DeepEqual(p, full()) && test.want != nil {
				t.Error("nothing is changed")
			}
			got := p.Validate()
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			for _, problem := range got {
				reported[problem.Field] = true
				if problem.Error() != problem.Field+": "+problem.Text || strings.Contains(problem.Error(), "hunter2") {
					t.Errorf("the error is %s", problem.Error())
				}
			}
		})
	}
	for name := range fields(t) {
		if !reported[name] {
			t.Errorf("no test has an invalid %s", name)
		}
	}
}

// TestValidateAll has every field invalid: all are reported, in the order of the plan's checks.
func TestValidateAll(t *testing.T) {
	t.Parallel()
	p := Plan{
		Region: "x", SessionName: "x", Audience: " ", DurationSeconds: 1, Tags: []Tag{{}}, TransitiveTagKeys: []string{""},
		SourceIdentity: "x", ExternalID: "x", Policy: "x", PolicyARNs: []string{"x"}, Endpoint: "x", Proxy: "socks5://x",
		NoProxy: "\n", CABundle: ".",
	}
	var got []string
	for _, problem := range p.Validate() {
		got = append(got, problem.Field)
	}
	want := fields(t)
	if len(got) != len(want) || slices.ContainsFunc(got, func(name string) bool { return !want[name] }) {
		t.Errorf("got %q, want one problem of each field", got)
	}
}

// fields returns the names of the plan's fields in JSON.
func fields(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for field := range reflect.TypeFor[Plan]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" || names[name] {
			t.Errorf("%s has no name of its own in JSON", field.Name)
		}
		names[name] = true
	}
	return names
}

// TestPlanJSON writes plans and reads them back.
func TestPlanJSON(t *testing.T) {
	t.Parallel()
	value := reflect.ValueOf(full())
	for i := range value.NumField() {
		if value.Field(i).IsZero() {
			t.Errorf("%s is not set", value.Type().Field(i).Name)
		}
	}
	for _, want := range []Plan{full(), minimal()} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Plan
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", text, got, want)
		}
	}
	text, err := json.Marshal(minimal())
	const want = `{"region":"us-east-1","hub":"arn:aws:iam::123456789012:role/hub","spokes":["arn:aws:iam::222222222222:role/deploy"],` +
		`"sessionName":"gh-1-1","audience":"sts.amazonaws.com","durationSeconds":900,"maxAttempts":1,"timeoutSeconds":1}`
	if err != nil || string(text) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, text, want)
	}
	for _, text := range []string{`{"hub":"hub"}`, `{"spokes":[""]}`, `{"hub":1}`, `{"spokes":"` + spokeRole + `"}`} {
		if err := json.Unmarshal([]byte(text), new(Plan)); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}

// TestPlanHoldsNoSecret walks the types that a plan consists of.
func TestPlanHoldsNoSecret(t *testing.T) {
	t.Parallel()
	if path := secretIn(reflect.TypeFor[Plan](), nil); path != "" {
		t.Errorf("a plan holds a secret in %s", path)
	}
	if path := secretIn(reflect.TypeFor[[]map[string]*Session](), nil); path != ".Credentials.AccessKeyID" {
		t.Errorf("the secret of a session is found in %q", path)
	}
}

// secretIn returns the path of a Secret that a value of the type can hold; empty for none.
func secretIn(typ reflect.Type, within []reflect.Type) string {
	if slices.Contains(within, typ) {
		return ""
	}
	within = append(slices.Clone(within), typ)
	switch typ.Kind() {
	case reflect.Interface, reflect.Func, reflect.Chan:
		return "(a value of any type)"
	case reflect.Map:
		return secretIn(typ.Key(), within) + secretIn(typ.Elem(), within)
	case reflect.Slice, reflect.Array, reflect.Pointer:
		return secretIn(typ.Elem(), within)
	case reflect.Struct:
		for field := range typ.Fields() {
			if field.Type == reflect.TypeFor[Secret]() {
				return "." + field.Name
			}
			if path := secretIn(field.Type, within); path != "" {
				return "." + field.Name + path
			}
		}
	}
	return ""
}

func TestTimes(t *testing.T) {
	t.Parallel()
	p := Plan{DurationSeconds: 900, TimeoutSeconds: 60}
	if p.Duration() != 15*time.Minute || p.Timeout() != time.Minute {
		t.Errorf("got %s and %s", p.Duration(), p.Timeout())
	}
}
