package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxDocument limits the input. IAM's largest policy is 10,240 characters, not counting white space ("IAM and
	// AWS STS quotas" in the IAM User Guide). The limit allows generous indentation and bounds the work that a
	// document can cause.
	maxDocument = 64 << 10 // bytes

	// maxDepth is twice the depth that the grammar of a policy allows: document, statements, statement, condition,
	// operator, values.
	maxDepth = 12
)

// SyntaxError reports a document that is not JSON, or is not a policy by IAM's grammar.
type SyntaxError struct {
	Position
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

func syntax(at Position, format string, args ...any) error {
	return &SyntaxError{Position: at, Message: fmt.Sprintf(format, args...)}
}

// shape is the type of a JSON value, in words for an error message.
type shape string

const (
	object  shape = "an object"
	list    shape = "a list"
	text    shape = "a string"
	number  shape = "a number"
	boolean shape = "a boolean"
	null    shape = "null"
)

// node is a JSON value with its position.
type node struct {
	Position
	shape  shape
	text   string // of a string, decoded; of a number or boolean, as written
	fields []field
	items  []node
}

type field struct {
	name  Value
	value node
}

type reader struct {
	data    []byte
	lines   []int // offsets at which a line begins
	decoder *json.Decoder
}

// readJSON parses one JSON value that must be the whole document.
func readJSON(data []byte) (node, error) {
	r := &reader{data: data, lines: []int{0}, decoder: json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	if len(data) > maxDocument {
		return node{}, syntax(r.position(0), "the document is %d bytes long; IAM's largest policy is 10,240 characters, "+
			"and no more than %d bytes are read", len(data), maxDocument)
	}
	for i, c := range data {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	// encoding/json silently replaces bytes that are not UTF-8, and unpaired surrogates. Two documents that differ
	// must not parse to the same value.
	if !utf8.Valid(data) {
		return node{}, syntax(r.position(invalid(data)), "the document is not UTF-8")
	}
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return node{}, syntax(r.position(0), "not JSON: it begins with a byte order mark; save it as UTF-8 without one")
	}
	// The decoder below assumes valid JSON, so the whole document is validated first.
	var failure *json.SyntaxError
	if err := json.Unmarshal(data, new(json.RawMessage)); errors.As(err, &failure) {
		return node{}, syntax(r.position(max(int(failure.Offset)-1, 0)), "not JSON: %s", failure)
	}
	return r.value(0)
}

// invalid returns the offset of the first byte that is not UTF-8.
func invalid(data []byte) int {
	offset := 0
	for offset < len(data) {
		c, size := utf8.DecodeRune(data[offset:])
		if c == utf8.RuneError && size == 1 {
			break
		}
		offset += size
	}
	return offset
}

func (r *reader) position(offset int) Position {
	line, found := slices.BinarySearch(r.lines, offset)
	if !found {
		line--
	}
	return Position{line + 1, offset - r.lines[line] + 1}
}

// token returns the next token, its text as written and its position.
func (r *reader) token() (t json.Token, raw string, at Position, err error) {
	begin := int(r.decoder.InputOffset())
	for begin < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[begin]) >= 0 {
		begin++
	}
	at = r.position(begin)
	if t, err = r.decoder.Token(); err != nil {
		return nil, "", at, syntax(at, "not JSON: %v", err)
	}
	raw = string(r.data[begin:r.decoder.InputOffset()])
	if s, ok := t.(string); ok && strings.ContainsRune(s, utf8.RuneError) && !strings.ContainsRune(raw, utf8.RuneError) {
		return nil, "", at, syntax(at, "the string has an escape that is no character")
	}
	return t, raw, at, nil
}

func (r *reader) value(depth int) (node, error) {
	t, raw, at, err := r.token()
	switch v := t.(type) {
	case json.Delim:
		if depth == maxDepth {
			return node{}, syntax(at, "nested more than %d deep", maxDepth)
		}
		if v == '{' {
			return r.object(at, depth)
		}
		return r.list(at, depth)
	case string:
		return node{Position: at, shape: text, text: v}, err
	case json.Number:
		return node{Position: at, shape: number, text: raw}, err
	case bool:
		return node{Position: at, shape: boolean, text: raw}, err
	}
	return node{Position: at, shape: null}, err
}

func (r *reader) object(at Position, depth int) (node, error) {
	n := node{Position: at, shape: object}
	seen := map[string]bool{}
	for r.decoder.More() {
		t, _, at, err := r.token()
		if err != nil {
			return n, err
		}
		name := Value{fmt.Sprint(t), at}
		// "Individual elements must not contain multiple instances of the same key": "Grammar of the IAM
		// JSON policy language".
		if seen[name.Text] {
			return n, syntax(at, "%q is there twice", name.Text)
		}
		seen[name.Text] = true
		value, err := r.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.fields = append(n.fields, field{name, value})
	}
	_, _, _, err := r.token()
	return n, err
}

func (r *reader) list(at Position, depth int) (node, error) {
	n := node{Position: at, shape: list}
	for r.decoder.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.items = append(n.items, item)
	}
	_, _, _, err := r.token()
	return n, err
}
