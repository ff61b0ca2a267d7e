package lint

import "strings"

// piece is a part of a pattern: text, or one wildcard.
type piece struct {
	text string
	wild byte // * or ?, or 0
}

// pieces splits a value of a condition. With wild, * and ? are wildcards; with variables, ${*}, ${?} and ${$}
// are those characters ("IAM policy elements: Variables and tags"). Other variables stay as they are, and
// variable is true.
func pieces(value string, wild, variables bool) (ps []piece, variable bool) {
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			ps = append(ps, piece{text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case variables && len(value) >= i+4 && value[i:i+2] == "${" && value[i+3] == '}' &&
			strings.IndexByte("*?$", value[i+2]) >= 0:
			text.WriteByte(value[i+2])
			i += 3
		case wild && (c == '*' || c == '?'):
			flush()
			if c != '*' || len(ps) == 0 || ps[len(ps)-1].wild != '*' { // ** is *
				ps = append(ps, piece{wild: c})
			}
		default:
			variable = variable || variables && strings.HasPrefix(value[i:], "${")
			text.WriteByte(c)
		}
	}
	flush()
	return ps, variable
}

// filled returns a pattern whose wildcards are replaced, and which bytes replace them.
func filled(ps []piece, fill func(wildcard int, wild byte) string) (text string, wild []bool) {
	var b strings.Builder
	n := 0
	for _, p := range ps {
		part := p.text
		if p.wild != 0 {
			part = fill(n, p.wild)
			n++
		}
		b.WriteString(part)
		for range len(part) {
			wild = append(wild, p.wild != 0)
		}
	}
	return b.String(), wild
}

// wildcards returns the number of wildcards.
func wildcards(ps []piece) int {
	n := 0
	for _, p := range ps {
		if p.wild != 0 {
			n++
		}
	}
	return n
}

// literal returns the text before the first wildcard.
func literal(ps []piece) string {
	if len(ps) > 0 && ps[0].wild == 0 {
		return ps[0].text
	}
	return ""
}
