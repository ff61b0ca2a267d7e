package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// document is a policy document of a file, and what the file says of it.
type document struct {
	*policy.Document
	*report
	kind Kind
	size int // characters, as the quota of its kind counts them
	role role

	source *source
	start  policy.Position // where the document begins in the file
	whole  bool            // it is in the file as a string, whose place all its findings have
	budget int             // of candidates for a stranger that may still be tried
	spent  bool            // the budget, and it has been said
	before int             // findings that others had when this document's turn came
}

// role is what the output of a command says of the role that a trust policy belongs to.
type role struct {
	arn        string
	maxSession int // seconds; 0 when it is not said
	place      policy.Position
}

// source is a file and where its lines begin.
type source struct {
	File
	shown string // its name
	lines []int

	// The last place whose characters were counted. A file can be one line of megabytes with a finding in
	// every corner, so they are counted from there.
	counted, characters int
}

func newSource(f File) *source {
	s := &source{File: f, shown: plain.Defused(plain.Shorten(f.Name, maxValue)), lines: []int{0}}
	for i, c := range f.Data {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

func (s *source) position(offset int) policy.Position {
	line, found := slices.BinarySearch(s.lines, offset)
	if !found {
		line--
	}
	return policy.Position{Line: line + 1, Column: offset - s.lines[line] + 1}
}

// character is the column of a position, counted in characters.
func (s *source) character(at policy.Position) int {
	begin := s.lines[at.Line-1]
	end := min(begin+at.Column-1, len(s.Data))
	if s.counted < begin || at.Line < len(s.lines) && s.counted >= s.lines[at.Line] {
		s.counted, s.characters = begin, 0
	}
	if end >= s.counted {
		s.characters += utf8.RuneCount(s.Data[s.counted:end])
	} else {
		s.characters -= utf8.RuneCount(s.Data[end:s.counted])
	}
	s.counted = end
	return s.characters + 1
}

// read finds the documents of a file. One that does not read as a policy becomes a finding.
func (r *report) read(f File, kind Kind) []*document {
	s := newSource(f)
	root, ok := readTree(f.Data)
	if ok && !root.has("Statement") && !root.has("Version") && !root.has("Id") {
		var found []*document
		w := walk{report: r, source: s, kind: kind}
		w.visit(root, &found)
		if w.any {
			return found
		}
	}
	d := &document{report: r, source: s, kind: kind, start: policy.Position{Line: 1, Column: 1}}
	if !d.parse(f.Data) {
		return nil
	}
	return []*document{d}
}

// parse reads the document's text; when it is no policy, that is a finding.
func (d *document) parse(text []byte) bool {
	parsed, err := policy.Parse(text)
	var failure *policy.SyntaxError
	if errors.As(err, &failure) {
		d.add("syntax", failure.Position, finding{message: failure.Message})
		return false
	}
	d.Document, d.budget = parsed, maxCandidates
	trust := func(s policy.Statement) bool { return s.Principals != nil || s.NotPrincipals != nil }
	if d.kind == Detect {
		d.kind = Permissions
		if slices.ContainsFunc(parsed.Statements, trust) {
			d.kind = Trust
		}
	}
	d.size = utf8.RuneCount(text)
	if !sizes[d.kind].spaces {
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err == nil {
			d.size = utf8.RuneCount(compact.Bytes())
		}
	}
	return true
}

// at is the place in the file of a position in the document.
func (d *document) at(p policy.Position) policy.Position {
	switch {
	case d.whole:
		return d.start
	case p.Line > 1:
		return policy.Position{Line: d.start.Line + p.Line - 1, Column: p.Column}
	}
	return policy.Position{Line: d.start.Line, Column: d.start.Column + p.Column - 1}
}

// finding is what a rule says beside its own words.
type finding struct {
	message  string
	fix      string   // instead of the rule's
	severity Severity // instead of the rule's
	stranger *stranger
}

// add reports a finding at a position in the document.
func (d *document) add(name string, at policy.Position, f finding) { d.put(name, d.at(at), f) }

// put reports a finding at a position in the file.
func (d *document) put(name string, at policy.Position, f finding) {
	rule, _ := Explain(name)
	found := Finding{
		File: d.source.shown, Line: at.Line, Column: at.Column, character: d.source.character(at),
		Rule: name, Severity: rule.Severity, Help: rule.Doc,
		Message: plain.Shorten(plain.Defused(f.message), maxText), Fix: rule.Fix,
	}
	if f.severity != "" {
		found.Severity = f.severity
	}
	if f.fix != "" {
		found.Fix = plain.Shorten(plain.Defused(f.fix), maxText)
	}
	if f.stranger != nil {
		found.Stranger, found.admitted = plain.Defused(f.stranger.subject), f.stranger
	}
	d.findings = append(d.findings, found)
}

// walk looks for documents in the output of a command: aws iam get-role, list-roles, get-role-policy,
// get-policy-version, get-account-authorization-details, aws organizations describe-policy, or a part of it.
type walk struct {
	*report
	source *source
	kind   Kind
	any    bool // something was found, be it no policy
}

func (w *walk) visit(n *tree, found *[]*document) {
	for _, item := range n.items {
		w.visit(item, found)
	}
	if n.kind == '"' && looksLikePolicy(n.text) {
		w.document(n, w.kind, role{}, found)
	}
	for _, m := range n.members {
		switch {
		case m.name == "AssumeRolePolicyDocument":
			w.document(m.value, Trust, n.role(w.source), found)
		case m.name == "PolicyDocument":
			w.document(m.value, w.or(Permissions), role{}, found)
		case m.name == "Document" && n.has("VersionId"):
			// Only the default version is in force.
			if v := n.member("IsDefaultVersion"); v == nil || v.text != "false" {
				w.document(m.value, w.or(Managed), role{}, found)
			}
		case m.name == "Content" && n.has("PolicySummary"):
			w.document(m.value, w.or(SCP), role{}, found)
		case m.value.kind != '"':
			w.visit(m.value, found)
		}
	}
}

// or is the kind that was asked for, else the one that the member has by itself. A trust policy is in none of
// those members.
func (w *walk) or(own Kind) Kind {
	if w.kind == Detect || w.kind == Trust {
		return own
	}
	return w.kind
}

func (w *walk) document(n *tree, kind Kind, r role, found *[]*document) {
	w.any = true
	d := &document{report: w.report, source: w.source, kind: kind, role: r, start: w.source.position(n.begin)}
	text := w.source.Data[n.begin:n.end]
	if n.kind == '"' {
		// IAM's API answers with documents percent-encoded by RFC 3986, some tools with plain JSON in a string.
		d.whole, text = true, []byte(n.text)
		if decoded, err := url.PathUnescape(n.text); err == nil && !strings.HasPrefix(strings.TrimSpace(n.text), "{") {
			text = []byte(decoded)
		}
	}
	if d.parse(text) {
		*found = append(*found, d)
	}
}

func looksLikePolicy(s string) bool {
	s = strings.TrimSpace(s)
	return strings.HasPrefix(s, "{") || strings.HasPrefix(strings.ToUpper(s), "%7B")
}

func (n *tree) role(s *source) role {
	r := role{}
	if arn := n.member("Arn"); arn != nil && strings.HasPrefix(arn.text, "arn:") && strings.Count(arn.text, ":") == 5 {
		r.arn = arn.text
	}
	if max := n.member("MaxSessionDuration"); max != nil {
		if seconds, err := strconv.Atoi(max.text); err == nil {
			r.maxSession, r.place = seconds, s.position(max.begin)
		}
	}
	return r
}

// maxTree bounds how deep a tree is followed; the output of a command is no deeper than a dozen.
const maxTree = 32

// tree is a JSON value and where it stands.
type tree struct {
	begin, end int  // offsets
	kind       byte // { [ " or 0
	text       string
	members    []member
	items      []*tree
}

type member struct {
	name  string
	value *tree
}

func (n *tree) has(name string) bool { return n.member(name) != nil }

func (n *tree) member(name string) *tree {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// readTree reads JSON; ok is false for what is not, which policy.Parse says better.
func readTree(data []byte) (root *tree, ok bool) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return readValue(data, decoder, 0)
}

func readValue(data []byte, decoder *json.Decoder, depth int) (*tree, bool) {
	begin := int(decoder.InputOffset())
	for begin < len(data) && strings.IndexByte(" \t\r\n,:", data[begin]) >= 0 {
		begin++
	}
	t, err := decoder.Token()
	if err != nil || depth > maxTree {
		return nil, false
	}
	n := &tree{begin: begin}
	switch v := t.(type) {
	case string:
		n.kind, n.text = '"', v
	case json.Number:
		n.text = v.String()
	case bool:
		n.text = strconv.FormatBool(v)
	case json.Delim:
		n.kind = byte(v)
		for decoder.More() {
			name := ""
			if v == '{' {
				key, err := decoder.Token()
				if err != nil {
					return nil, false
				}
				name, _ = key.(string)
			}
			value, ok := readValue(data, decoder, depth+1)
			if !ok {
				return nil, false
			}
			if v == '{' {
				n.members = append(n.members, member{name, value})
			} else {
				n.items = append(n.items, value)
			}
		}
		if _, err := decoder.Token(); err != nil {
			return nil, false
		}
	}
	n.end = int(decoder.InputOffset())
	return n, true
}
