package lint

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/golden"
	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// cases returns the cases of testdata: each NAME.json, and the files of each folder together.
func cases(t testing.TB) map[string][]File {
	t.Helper()
	found := map[string][]File{}
	for _, pattern := range []string{"testdata/*.json", "testdata/*/*.json"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimSuffix(path, ".json")
			if filepath.Dir(path) != "testdata" {
				name = filepath.Dir(path)
			}
			found[name] = append(found[name], File{filepath.Base(path), text})
		}
	}
	return found
}

// TestGolden lints testdata. A case is named after a rule: RULE-bad... violates it and RULE-good... nearly does. Every
// rule has both.
func TestGolden(t *testing.T) {
	t.Parallel()
	bad, good := map[string]bool{}, map[string]bool{}
	for name, files := range cases(t) {
		findings := Lint(Detect, files...)
		var b bytes.Buffer
		if err := WriteText(&b, findings); err != nil {
			t.Fatal(err)
		}
		golden.File(t, name+".golden", b.String())
		for _, f := range findings {
			verify(t, files, f)
		}
		if rule := ruleOfCase.FindStringSubmatch(filepath.Base(name)); rule != nil {
			if r, found := Explain(rule[1]); !found || r.Name != rule[1] {
				t.Errorf("%s: there is no rule %q", name, rule[1])
			}
		}
		for _, r := range Rules() {
			rest, of := strings.CutPrefix(filepath.Base(name), r.Name+"-")
			found := slices.ContainsFunc(findings, func(f Finding) bool { return f.Rule == r.Name })
			switch {
			case of && strings.HasPrefix(rest, "bad"):
				bad[r.Name] = true
				if !found {
					t.Errorf("%s: nothing found", name)
				}
			case of && strings.HasPrefix(rest, "good"):
				good[r.Name] = true
				if found {
					t.Errorf("%s: found\n%s", name, &b)
				}
			}
		}
	}
	for _, r := range Rules() {
		if !bad[r.Name] || !good[r.Name] {
			t.Errorf("%s: testdata has a bad case: %v, a good one: %v", r.Name, bad[r.Name], good[r.Name])
		}
	}
}

var ruleOfCase = regexp.MustCompile(`^([a-z-]+?)-(bad|good)(-.*)?$`)

// verify checks what must be true of every finding: its position is in its file, its texts are safe to print, and
// the document as it is allows the outsider that it shows.
func verify(t *testing.T, files []File, f Finding) {
	t.Helper()
	var lines []string
	var text []byte
	for _, file := range files {
		if plain.Defused(file.Name) == f.File {
			text, lines = file.Data, strings.Split(string(file.Data), "\n")
		}
	}
	if f.Line < 1 || f.Line > len(lines) || f.Column < 1 || f.Column > len(lines[f.Line-1])+1 || f.character < 1 ||
		f.character > f.Column {
		t.Errorf("%+v is outside its file", f)
	}
	for _, s := range []string{f.File, f.Message, f.Fix, f.Witness} {
		if strings.Contains(s, "##[") || strings.HasPrefix(s, "::") ||
			strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == 0x202e }) ||
			len(s) > maxText+len("... (18446744073709551615 bytes)") {
			t.Errorf("%q is not safe to print", s)
		}
	}
	r, found := Explain(f.Rule)
	if !found || f.Rule != r.Name || f.Fix == "" && r.Fix != "" || f.Message == "" || f.Help != r.Doc ||
		f.Severity == "" {
		t.Errorf("%+v is incomplete", f)
	}
	if f.admitted == nil {
		return
	}
	d, err := policy.Parse(text)
	if err != nil {
		return // output of a command; its documents are in other cases as files
	}
	if got := d.Decide(policy.Trust, f.admitted.request); got.Effect != policy.Allow {
		t.Errorf("%s: the outsider %q is not allowed: %v", f.Rule, f.admitted.subject, got.Misses)
	}
	issuer := strings.SplitN(f.admitted.request.Caller.Federated, ":oidc-provider/", 2)[1]
	if values, _ := f.admitted.request.Context.Values(issuer + ":sub"); len(values) != 1 ||
		values[0] != f.admitted.subject {
		t.Errorf("%s: the request's subject is %q", f.Rule, values)
	}
}

// TestExamples lints the lab's policies, each alone and all together.
func TestExamples(t *testing.T) {
	t.Parallel()
	var all []File
	for _, name := range []string{"hub-trust", "hub-permissions", "spoke-trust", "spoke-trust-untagged"} {
		text, err := os.ReadFile("../../examples/lab/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		f := File{name + ".json", text}
		all = append(all, f)
		clean(t, f)
	}
	clean(t, all...)
}

func clean(t *testing.T, files ...File) {
	t.Helper()
	for _, f := range Lint(Detect, files...) {
		if f.Severity.AtLeast(Warning) {
			t.Errorf("%s:%d:%d: %s: %s", f.File, f.Line, f.Column, f.Rule, f.Message)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	text := []byte("{\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\",\n" +
		"\"Sid\": \"é\", \"Principal\": {\"AWS\": \"*\"}, \"Action\": \"sts:AssumeRole\", \"Condition\":\n" +
		`  {"StringEqualz": {"aws:x": "y"}, "ForAllValues:StringEquals": {"sts:##[add-mask]100%": "::error::\u001b[31m, \u202e"}}}}`)
	findings := Lint(Trust, File{"::a,b:c%\n##[x].json", text})
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":   func(b *bytes.Buffer) error { return WriteText(b, findings) },
		"json":   func(b *bytes.Buffer) error { return WriteJSON(b, findings) },
		"sarif":  func(b *bytes.Buffer) error { return WriteSARIF(b, "1.2.3", findings) },
		"github": func(b *bytes.Buffer) error { return WriteGitHub(b, findings) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden.File(t, "testdata/format-"+name+".golden", b.String())
		if strings.Contains(b.String(), "##[") {
			t.Errorf("%s: the output contains a workflow command from the file", name)
		}
		if (name == "json" || name == "sarif") && !json.Valid(b.Bytes()) {
			t.Errorf("%s is not JSON", name)
		}
	}
	var b bytes.Buffer
	if err := WriteJSON(&b, nil); err != nil || b.String() != "[]\n" {
		t.Errorf("without findings: got %q, %v", &b, err)
	}
}

// FuzzLint lints anything. It must not panic, and its findings must be true and safe to print.
func FuzzLint(f *testing.F) {
	for _, files := range cases(f) {
		for _, file := range files {
			f.Add(file.Data, byte(0))
			f.Add(file.Data, byte(len(file.Data)))
		}
	}
	kinds := append([]Kind{Detect}, Kinds...)
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		file := File{"a.json", data}
		// The second file is the other side of a hop.
		spoke := File{"b.json", []byte(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:*"}}`)}
		findings := Lint(kinds[int(kind)%len(kinds)], file, spoke)
		for _, found := range findings {
			verify(t, []File{file, spoke}, found)
		}
		var b bytes.Buffer
		if err := WriteSARIF(&b, "", findings); err != nil || !json.Valid(b.Bytes()) {
			t.Errorf("SARIF is not JSON: %v", err)
		}
	})
}

// FuzzSubject tests the search for outsiders with a pattern in a valid trust policy, alone or next to conditions that
// pin the owner or the repository.
func FuzzSubject(f *testing.F) {
	for _, seed := range []string{
		"repo:your-org-*/your-repo-*:environment:production", "repo:octo-org/*", "repo:*@1234567/*@89012345:*", "*",
		"?*", "*:*", "repo:octo-org@1/octo-repo@2:ref:refs/heads/*", "repository_owner:octo-*:environment:?",
		"repo:octo-${*}/x:pull_request", "r*o*:*?/*",
		"repo:octo-org/octo-repo:environment:${token.actions.githubusercontent.com:aud}",
		"job_workflow_ref:*/x@refs/heads/main", "environment:x",
	} {
		f.Add(seed, byte(0))
		f.Add(seed, byte(1))
		f.Add(seed, byte(2))
	}
	pins := []string{"", `"repository_owner_id": "1234567"`,
		`"repository_id": "89012345", "environment": "production"`,
		`"job_workflow_ref": "octo-org/w/x@refs/heads/main"`}
	f.Fuzz(func(t *testing.T, pattern string, pin byte) {
		value, err := json.Marshal(pattern)
		if err != nil {
			t.Fatal(err)
		}
		const issuer = "token.actions.githubusercontent.com"
		equals := pins[int(pin)%len(pins)]
		equals = regexp.MustCompile(`"([a-z_]+)":`).ReplaceAllString(equals, `"`+issuer+`:$1":`)
		text := `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/` + issuer + `"}, "Condition": {
"StringLike": {"` + issuer + `:sub": ` + string(value) + `}, "StringEquals": {` + equals + `}}}}`
		if equals == "" {
			text = strings.Replace(text, `, "StringEquals": {}`, "", 1)
		}
		file := File{"a.json", []byte(text)}
		for _, found := range Lint(Detect, file) {
			verify(t, []File{file}, found)
			if found.Witness == pattern && strings.Contains(pattern, "repo:") {
				t.Errorf("%q is reported as its own outsider", pattern)
			}
			// With the IDs or the workflow pinned by claims, no other owner's token is allowed.
			if found.admitted != nil && pin%4 != 0 && found.admitted.crossed == crossesOrganization {
				t.Errorf("%q: %q is reported, whose claims do not match", pattern, found.Witness)
			}
		}
	})
}
