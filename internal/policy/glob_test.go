package policy

import (
	"strings"
	"testing"
)

// matches is the textbook definition of a wildcard pattern, by dynamic programming over the prefixes of
// both: table[i][j] reports whether the first i tokens match the first j characters.
func matches(p glob, s []rune) bool {
	table := make([][]bool, len(p)+1)
	for i := range table {
		table[i] = make([]bool, len(s)+1)
		for j := range table[i] {
			switch {
			case i == 0:
				table[i][j] = j == 0
			case p[i-1] == run, p[i-1] == runInField:
				table[i][j] = table[i-1][j] || j > 0 && table[i][j-1] && (p[i-1] == run || s[j-1] != ':')
			default:
				table[i][j] = j > 0 && table[i-1][j-1] && (p[i-1] == one || p[i-1] == token(s[j-1]))
			}
		}
	}
	return table[len(p)][len(s)]
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""}, {"*", ""}, {"?", ""}, {"a*b", "axxb"}, {"*a*a*a*b", "aaaaaaaaaaaa"}, {"a?c", "aéc"}, {"**", ":"},
		{"arn:aws:i*m::*:role/*-x", "arn:aws:i:m::1:role/a/b-x"}, {"a*:b", "a:c:b"}, {"\xff*", "\xffa"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, want, got string) {
		if len(want)*len(got) > 1<<20 {
			return
		}
		p, ok := compile(want, nil, false)
		if !ok {
			t.Fatal("a pattern without variables did not compile")
		}
		if m, want := p.match(got), matches(p, []rune(got)); m != want {
			t.Errorf("%v.match(%q) is %t, want %t", p, got, m, want)
		}
		q := p.ofResource()
		if m, want := q.match(got), matches(q, []rune(got)); m != want {
			t.Errorf("%v.ofResource().match(%q) is %t, want %t", p, got, m, want)
		}
		if q.match(got) && !p.match(got) {
			t.Errorf("%v matches %q as a resource and not as a string", p, got)
		}
		if p.matchARN(got) && !p.match(got) {
			t.Errorf("%v matches %q as an ARN and not as a string", p, got)
		}
	})
}

// A backtracking matcher would not come back from the first, and one that walks whatever variables stand
// for not from the second.
func TestMatchTime(t *testing.T) {
	t.Parallel()
	p, _ := compile(strings.Repeat("*a", 500)+"b", nil, false)
	if p.match(strings.Repeat("a", 2000)) {
		t.Error("matched without a b")
	}
	ctx := Context{"a:b": {strings.Repeat("a", 2000)}}
	p, _ = compile(strings.Repeat("*${a:b}", 500), ctx, true)
	if p.match(strings.Repeat("a", 2000)) {
		t.Error("matched what is shorter than the pattern")
	}
}

func TestCompile(t *testing.T) {
	t.Parallel()
	ctx := Context{}
	ctx.Set("aws:PrincipalTag/Team", "blue*")
	ctx.Set("aws:TagKeys", "a", "b")
	for _, c := range []struct {
		in, text, matches string
		ok                bool
	}{
		{"a*${aws:principaltag/TEAM}", "a*blue*", "axblue*", true},
		{"${aws:PrincipalTag/Team}", "blue*", "blue*", true},
		{"${ aws:none , 'x, y' }", "x, y", "x, y", true},
		{"${aws:none,''}", "", "", true},
		{"${aws:none, x}", "${aws:none, x}", "", false},
		{"${aws:TagKeys}", "${aws:TagKeys}", "", false},
		{"${}", "${}", "", false},
		{"${aws:none", "${aws:none", "${aws:none", true},
		{"$${*}$", "$*$", "$*$", true},
	} {
		p, ok := compile(c.in, ctx, true)
		if ok != c.ok || p.String() != c.text || ok && !p.match(c.matches) {
			t.Errorf("compile(%q) is %q, %t, want %q, %t, and to match %q", c.in, p, ok, c.text, c.ok, c.matches)
		}
	}
	// The value of a variable is not a wildcard.
	if p, _ := compile("${aws:PrincipalTag/Team}", ctx, true); p.match("blueberry") {
		t.Error("a * in a tag's value was taken as a wildcard")
	}
}
