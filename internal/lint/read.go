package lint

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/policy"
)

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

// character returns the column of a position, counted in characters.
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

// read returns the documents of a file, unreadable ones included.
func read(f File, kind Kind) []*document {
	s := newSource(f)
	root, ok := readTree(f.Data)
	if ok && !root.has("Statement") && !root.has("Version") && !root.has("Id") {
		w := walk{source: s, kind: kind}
		w.visit(root)
		if len(w.found) > 0 {
			return w.found
		}
	}
	d := &document{source: s, kind: kind, start: policy.Position{Line: 1, Column: 1}}
	d.parse(f.Data)
	return []*document{d}
}

// walk looks for documents in the output of a command: aws iam get-role, list-roles, get-role-policy,
// get-policy-version, get-account-authorization-details, aws organizations describe-policy, or a part of it.
type walk struct {
	source *source
	kind   Kind
	found  []*document
}

func (w *walk) visit(n *tree) {
	for _, item := range n.items {
		w.visit(item)
	}
	if n.kind == '"' && looksLikePolicy(n.text) {
		w.document(n, w.kind, role{})
	}
	for _, m := range n.members {
		switch {
		case m.name == "AssumeRolePolicyDocument":
			w.document(m.value, Trust, n.role(w.source))
		case m.name == "PolicyDocument":
			w.document(m.value, w.or(Permissions), role{})
		case m.name == "Document" && n.has("VersionId"):
			// Only the default version is in force.
			if v := n.member("IsDefaultVersion"); v == nil || v.text != "false" {
				w.document(m.value, w.or(Managed), role{})
			}
		case m.name == "Content" && n.has("PolicySummary"):
			w.document(m.value, w.or(SCP), role{})
		case m.value.kind != '"':
			w.visit(m.value)
		}
	}
}

// or returns the kind that the caller chose, else the member's own. No such member contains a trust policy.
func (w *walk) or(own Kind) Kind {
	if w.kind == Detect || w.kind == Trust {
		return own
	}
	return w.kind
}

func (w *walk) document(n *tree, kind Kind, r role) {
	d := &document{source: w.source, kind: kind, role: r, start: w.source.position(n.begin)}
	text := w.source.Data[n.begin:n.end]
	if n.kind == '"' {
		// IAM's API returns documents percent-encoded by RFC 3986, some tools plain JSON in a string.
		d.whole, text = true, []byte(n.text)
		if decoded, err := url.PathUnescape(n.text); err == nil && !strings.HasPrefix(strings.TrimSpace(n.text), "{") {
			text = []byte(decoded)
		}
	}
	d.parse(text)
	w.found = append(w.found, d)
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

// maxTree limits the depth of a tree; the output of a command has about a dozen levels.
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

// readTree reads JSON; ok is false for anything else, which policy.Parse reports better.
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
