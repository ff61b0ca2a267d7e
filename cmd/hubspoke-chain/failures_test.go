package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/org/hubspoke-chain/internal/golden"
	"github.com/org/hubspoke-chain/internal/lint"
)

const failuresDocument = "../../docs/failures.md"

// TestFailures causes failures, one per script, and checks the log and the summary of each against golden files. The policies in
// them lint clean. docs/failures.md shows all of them.
func TestFailures(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { // after the scripts, which may have been updated
		files, err := filepath.Glob("testdata/failures/*.txtar")
		if err != nil || len(files) < 60 {
			t.Errorf("there are %d failures, %v", len(files), err)
		}
		var all []failure
		for _, file := range files {
			f, err := readFailure(file)
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			all = append(all, f)
			for _, p := range policies.FindAllStringSubmatch(f.summary, -1) {
				for _, finding := range lint.Lint(lint.Detect, lint.File{Name: file, Data: []byte(p[1])}) {
					if finding.Severity.AtLeast(lint.Warning) {
						t.Errorf("%s: suggested policy: %s: %s", file, finding.Rule, finding.Message)
					}
				}
			}
		}
		golden.File(t, failuresDocument, document(all))
	})
	runScripts(t, "testdata/failures")
}

// failure is the failure in one script. The first line of its comment is the title. If the explanation lists
// several causes, the second line names the actual one: "# cause: " and a part of its title.
type failure struct {
	title string
	stage int    // index in stages; the last is for a step that sends no request
	says  string // GitHub or AWS
	place string // of the cause in the list in the log; empty if there is only one
	cause string // Markdown
	fix   string // Markdown

	log, summary string
}

var stages = []string{"minting the ID token: ", "assuming hub role ", "assuming spoke role ", ""}

var (
	titles    = regexp.MustCompile(`(?m)^(?:Cause: |Likely: |[0-9]+\. )(.*)$`)
	headings  = regexp.MustCompile(`(?m)^#### (?:[0-9]+\. )?(.*)$`)
	fixes     = regexp.MustCompile(`(?m)^\*\*Fix:\*\* (.*)$`)
	requestID = regexp.MustCompile(` \(request REQUEST-ID\)`)
	policies  = regexp.MustCompile("(?ms)^```json\n(.*?)^```$")
	roleARN   = regexp.MustCompile(`^arn:\S+: `)
)

func readFailure(file string) (failure, error) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		return failure{}, err
	}
	var f failure
	for _, a := range archive.Files {
		switch a.Name {
		case "want-log":
			f.log = string(a.Data)
		case "want-summary":
			f.summary = string(a.Data)
		}
	}
	comment := strings.Split(string(archive.Comment), "\n")
	_, line, found := strings.Cut(f.log, "Error: ")
	line, _, _ = strings.Cut(line, "\n")
	if f.title = strings.TrimPrefix(comment[0], "# "); !found || f.title == comment[0] {
		return failure{}, errors.New("it begins with no title, or its log has no error")
	}
	for i, stage := range stages {
		if after, found := strings.CutPrefix(line, stage); found {
			f.stage, line = i, roleARN.ReplaceAllString(after, "")
			break
		}
	}
	if stages[f.stage] == "" { // the inputs were wrong, and that is all there is to say
		f.cause = "`" + line + "`"
		return f, nil
	}
	causes, headings, fixes := titles.FindAllStringSubmatch(f.log, -1), headings.FindAllStringSubmatch(f.summary, -1), fixes.FindAllStringSubmatch(f.summary, -1)
	if len(causes) == 0 || len(causes) != len(fixes) || len(headings) < len(causes) {
		return failure{}, fmt.Errorf("%d causes, %d headings, %d fixes", len(causes), len(headings), len(fixes))
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, causes[0][1]), "likely: ")
	f.says = requestID.ReplaceAllString(strings.TrimSuffix(line, "; "), "")
	was := 0
	if len(causes) > 1 {
		part, found := strings.CutPrefix(comment[1], "# cause: ")
		if was = slices.IndexFunc(causes, func(c []string) bool { return strings.Contains(c[1], part) }); !found || was < 0 {
			return failure{}, fmt.Errorf("none of the causes is the one that it was: %q", part)
		}
		f.place = fmt.Sprintf("%d of %d: ", was+1, len(causes))
	}
	f.cause, f.fix = headings[was][1], fixes[was][1]
	return f, nil
}

// document is docs/failures.md: a table in the order of the hop, and below it the whole log of each failure.
func document(all []failure) string {
	slices.SortStableFunc(all, func(a, b failure) int {
		return cmp.Or(cmp.Compare(a.stage, b.stage), strings.Compare(a.title, b.title))
	})
	var b strings.Builder
	fmt.Fprintf(&b, `# Failures

What GitHub or AWS says when a hop fails, and what the action says of it: %d failures, each provoked by a script in
`+"`cmd/hubspoke-chain/testdata/failures`"+`, from which this page is made. Where the answer leaves several causes, the action
gives all of them, the likeliest first, and the table shows the one that it was and where it stands; the log below has
the others too, and the command that tells them apart.

| Failure | What GitHub or AWS says | What the action says |
| --- | --- | --- |
`, len(all))
	for _, f := range all {
		says := "nobody was asked"
		if f.says != "" {
			says = "`" + strings.ReplaceAll(f.says, "|", `\|`) + "`"
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", text.Replace(f.title), anchor(f.title), says,
			strings.TrimSuffix(f.place+f.cause+"<br>Fix: "+f.fix, "<br>Fix: "))
	}
	for _, f := range all {
		fmt.Fprintf(&b, "\n## %s\n\n<details>\n<summary>The log</summary>\n\n```text\n%s```\n\n</details>\n", text.Replace(f.title), f.log)
	}
	return b.String()
}

// text are the characters of a title that Markdown would read as its own.
var text = strings.NewReplacer("*", `\*`, "_", `\_`, "|", `\|`)

// anchor returns the anchor that GitHub generates for a heading.
func anchor(title string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case c == '-' || c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			return c
		}
		return -1
	}, strings.ToLower(title))
}
