package profile

import (
	"slices"
	"strings"
	"testing"
)

// people is a file as people have it: comments, a quoted name, a profile in the old spelling, settings set in.
const people = `# of the platform team
[default]
region = eu-west-1

# for the audits
[profile "audit"]
role_arn = arn:aws:iam::333333333333:role/audit
s3 =
  max_concurrent_requests = 20
  [not a header]

; the last one
[profile build] # a remark
region=us-east-1`

func TestHas(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"default": true, "audit": true, "build": true, "not": false, "a header": false, "profile": false, "": false, "Audit": false} {
		if got := Has(people, Config, name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	const credentials = "[default]\n[profile x]\n[ y ]\n"
	for name, want := range map[string]bool{"default": true, "x": true, "profile x": true, "y": true, "z": false} {
		if got := Has(credentials, Credentials, name); got != want {
			t.Errorf("%q in the credentials: %v", name, got)
		}
	}
	if !Has("[profile default]\n", Config, "default") {
		t.Error("[profile default] is the default profile too")
	}
}

func TestAmbiguous(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"[staging]\na=1\n":                 false,
		"  [staging]\n  a=1\n":             true,
		"[x]\na=1\n\t[staging]\nb=2\n":     true,
		"[staging]\na=1\n  [other]\nb=2\n": true,
		"[x]\na=1\n  [other]\nb=2\n":       false,
		"":                                 false,
	} {
		if got := Ambiguous(text, Credentials, "staging"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"audit": `# of the platform team
[default]
region = eu-west-1

# for the audits

; the last one
[profile build] # a remark
region=us-east-1`,
		"default": `# of the platform team

# for the audits
[profile "audit"]
role_arn = arn:aws:iam::333333333333:role/audit
s3 =
  max_concurrent_requests = 20
  [not a header]

; the last one
[profile build] # a remark
region=us-east-1`,
		"build":  strings.TrimSuffix(people, "[profile build] # a remark\nregion=us-east-1"),
		"absent": people,
	} {
		if got := Without(people, Config, name); got != want {
			t.Errorf("without %s:\n%s\nwant\n%s", name, got, want)
		}
	}
	if got := Without("[x]\na=1\n[y]\n[x]\r\nb=2\r\n", Credentials, "x"); got != "[y]\n" {
		t.Errorf("a profile that stands twice leaves %q", got)
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		file File
		name string
		want string
	}{
		{"", Config, "deploy", "[profile deploy]\n# made by hubspoke-chain\nregion = us-east-1\n"},
		{"", Config, "default", "[default]\n# made by hubspoke-chain\nregion = us-east-1\n"},
		{"", Credentials, "deploy", "[deploy]\n# made by hubspoke-chain\nregion = us-east-1\n"},
		{"[x]", Credentials, "deploy", "[x]\n\n[deploy]\n# made by hubspoke-chain\nregion = us-east-1\n"},
		{people, Config, "deploy", people + "\n\n[profile deploy]\n# made by hubspoke-chain\nregion = us-east-1\n"},
	} {
		got, err := With(test.text, test.file, test.name, Setting{"region", "us-east-1"})
		if err != nil || got != test.want {
			t.Errorf("%q: got %q, %v, want %q", test.text, got, err, test.want)
		}
		if own := Own(got, test.file); !slices.Equal(own, []string{test.name}) || Own(people, test.file) != nil {
			t.Errorf("%q: ours are %q", got, own)
		}
		if !Has(got, test.file, test.name) || Without(got, test.file, test.name) == got {
			t.Errorf("%q is not read back", got)
		}
	}
	for _, value := range []string{"", " a", "a ", "a\nb", "a\r", "a\x00", "#a", ";a", "a #b", "a ;b"} {
		got, err := With("", Credentials, "x", Setting{"key", value})
		if err == nil || err.Error() != "the value of key is not valid in a file of profiles" || got != "" {
			t.Errorf("%q: got %q, %v", value, got, err)
		}
	}
}

// FuzzText edits any file: what is added is there, what is taken out is gone, and taking out what was added gives
// the file as it was, but for the line ends between.
func FuzzText(f *testing.F) {
	f.Add(people, "deploy")
	f.Add("[deploy]\n[deploy]", "deploy")
	f.Add("]\n[", "x")
	f.Fuzz(func(t *testing.T, text, name string) {
		for _, file := range []File{Config, Credentials} {
			without := Without(text, file, "fuzzed")
			if Has(without, file, "fuzzed") {
				t.Fatalf("%q still has the profile", without)
			}
			with, err := With(without, file, "fuzzed", Setting{"region", "us-east-1"})
			if err != nil || !strings.HasPrefix(with, without) || !Has(with, file, "fuzzed") {
				t.Fatalf("%q became %q, %v", without, with, err)
			}
			if got := Without(with, file, "fuzzed"); strings.TrimRight(got, "\n") != strings.TrimRight(without, "\n") {
				t.Fatalf("%q became %q", without, got)
			}
			if name != "fuzzed" && Has(with, file, name) != Has(without, file, name) {
				t.Fatalf("adding a profile changed %q", name)
			}
		}
	})
}
