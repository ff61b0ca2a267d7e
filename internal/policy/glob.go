package policy

import (
	"strings"
	"unicode/utf8"
)

// Context maps the condition keys of a request to their values. Keys are stored in lower case, because the names
// of condition keys are case-insensitive ("IAM JSON policy elements: Condition"); Set lowercases them. A key
// without a value is absent, as in IAM.
type Context map[string][]string

// Set sets a key's values and replaces any previous ones.
func (c Context) Set(key string, values ...string) { c[strings.ToLower(key)] = values }

// Values returns the values of a key and reports whether the request has the key.
func (c Context) Values(key string) ([]string, bool) {
	values := c[strings.ToLower(key)]
	return values, len(values) > 0
}

// token is one character of a pattern, or one of the wildcards.
type token rune

const (
	run        token = -1 // *
	one        token = -2 // ?
	runInField token = -3 // * that does not match a colon
)

// glob is a string of a policy with its variables replaced.
type glob []token

// compile parses a pattern. With variables (only under Version 2012-10-17), ${key} and ${key, 'default'} are
// replaced, and ${*}, ${?} and ${$} are those characters, taken literally ("IAM policy elements: Variables and
// tags"). The value of a variable is literal: a * in it is not a wildcard, so that nobody can widen a policy by
// choosing a value. A variable needs a key with one value, or a default; otherwise ok is false.
func compile(s string, ctx Context, variables bool) (p glob, ok bool) {
	ok = true
	for s != "" {
		if variables && strings.HasPrefix(s, "${") {
			if inside, rest, closed := strings.Cut(s[2:], "}"); closed {
				value, found := variable(inside, ctx)
				p, ok, s = append(p, literal(value)...), ok && found, rest
				continue
			}
		}
		c, size := utf8.DecodeRuneInString(s)
		switch c {
		case '*':
			p = append(p, run)
		case '?':
			p = append(p, one)
		default:
			p = append(p, token(c))
		}
		s = s[size:]
	}
	return p, ok
}

func variable(inside string, ctx Context) (string, bool) {
	switch inside {
	case "*", "?", "$":
		return inside, true
	}
	key, fallback, defaulted := strings.Cut(inside, ",")
	if values, _ := ctx.Values(strings.TrimSpace(key)); len(values) == 1 {
		return values[0], true
	}
	fallback = strings.TrimSpace(fallback)
	if defaulted && len(fallback) >= 2 && fallback[0] == '\'' && fallback[len(fallback)-1] == '\'' {
		return fallback[1 : len(fallback)-1], true
	}
	return "${" + inside + "}", false
}

func literal(s string) glob {
	var p glob
	for _, c := range s {
		p = append(p, token(c))
	}
	return p
}

// String returns the pattern as text, for display and for comparison without wildcards.
func (p glob) String() string {
	var b strings.Builder
	for _, t := range p {
		switch t {
		case run, runInField:
			b.WriteByte('*')
		case one:
			b.WriteByte('?')
		default:
			b.WriteRune(rune(t))
		}
	}
	return b.String()
}

// match reports whether the pattern matches the whole of s. It follows all ways to match at once, so that its time
// is at most the length of the pattern times the length of s, whatever they contain.
func (p glob) match(s string) bool {
	// Variables can make a pattern far longer than the document. A pattern that is longer than s cannot match.
	fixed := 0
	for _, t := range p {
		if t != run && t != runInField {
			fixed++
		}
	}
	if fixed > utf8.RuneCountInString(s) {
		return false
	}
	// now[i] reports that the first i tokens can match the part of s that has been read.
	now, next := make([]bool, len(p)+1), make([]bool, len(p)+1)
	now[0] = true
	p.skipRuns(now)
	for _, c := range s {
		alive := false
		clear(next)
		for i, t := range p {
			if !now[i] {
				continue
			}
			switch {
			case t == run || t == runInField && c != ':':
				next[i], alive = true, true
			case t == one || t == token(c):
				next[i+1], alive = true, true
			}
		}
		if !alive {
			return false
		}
		p.skipRuns(next)
		now, next = next, now
	}
	return now[len(p)]
}

// skipRuns marks the positions that are reached when a run matches nothing.
func (p glob) skipRuns(reached []bool) {
	for i, t := range p {
		if reached[i] && (t == run || t == runInField) {
			reached[i+1] = true
		}
	}
}

// matchARN implements ArnEquals and ArnLike: "each of the six colon-delimited components of the ARN is checked
// separately" ("IAM JSON policy elements: Condition operators"). Colons beyond the fifth belong to the resource. A
// string with fewer components is not an ARN and does not match, on either side.
func (p glob) matchARN(s string) bool {
	got := strings.SplitN(s, ":", 6)
	if len(got) < 6 {
		return false
	}
	begin, field := 0, 0
	for i, t := range p {
		if t != ':' || field == 5 {
			continue
		}
		if !p[begin:i].match(got[field]) {
			return false
		}
		begin, field = i+1, field+1
	}
	return field == 5 && p[begin:].match(got[5])
}

// ofResource returns the pattern as the Resource element reads it. A * stays within its colon-separated segment
// unless it is the segment's last character, when it "can expand to match beyond the colon boundaries" ("IAM JSON
// policy elements: Resource", using wildcards in resource ARNs).
func (p glob) ofResource() glob {
	q := append(glob(nil), p...)
	colons := 0
	for i, t := range q {
		if t == ':' {
			colons++
		}
		if t == run && colons < 5 && i+1 < len(q) && q[i+1] != ':' {
			q[i] = runInField
		}
	}
	return q
}

// matchAction compares actions; neither service nor name is case-sensitive ("IAM JSON policy elements: Action").
func matchAction(want, action string) bool {
	p, _ := compile(strings.ToLower(want), nil, false)
	return p.match(strings.ToLower(action))
}
