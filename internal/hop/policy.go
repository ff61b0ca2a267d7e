package hop

import (
	"encoding/json"
	"math"
	"slices"
	"sort"
	"strings"
)

// maxSessionPolicy is how long a session policy may be, in characters of its plaintext.
// Source: AssumeRoleWithWebIdentity, Policy, AWS STS API Reference.
const maxSessionPolicy = 2048

// HubPolicy is the inline session policy of the hub's session: it narrows it to what this hop does. It
// is at most 2048 characters of JSON, as AWS demands, and allows sts:AssumeRole, sts:TagSession and
// sts:SetSourceIdentity on every spoke, whatever their number and order; there is to be one at least.
//
// As long as there is room, which is for some 40 roles, it names exactly the spokes. Beyond that it
// admits more, little by little until it fits: digits of accounts become ?, and only when no two entries
// name the same role, the end of a role's path and name becomes *. So spokes that are one role in many
// accounts never let the session into another role, unless that role's ARN alone is too long. A partition
// is never widened.
func HubPolicy(spokes []Spoke) string {
	patterns, room := []pattern{}, maxSessionPolicy-len(document(nil))+1 // the last entry has no comma
	for _, spoke := range spokes {
		r := spoke.Role
		patterns = append(patterns, newPattern(r.Partition, r.AccountID, strings.TrimPrefix(r.Path, "/")+r.Name, false))
	}
	// From here on the order of the spokes, or how often one is named, changes nothing.
	slices.SortFunc(patterns, func(a, b pattern) int { return strings.Compare(a.text, b.text) })
	patterns = slices.CompactFunc(patterns, func(a, b pattern) bool { return a.text == b.text })
	resources := []string{}
	for _, p := range widen(patterns, room) {
		resources = append(resources, p.text)
	}
	slices.Sort(resources)
	return document(resources)
}

// document is the policy that allows the hop's actions on the resources.
func document(resources []string) string {
	type statement struct {
		Effect           string
		Action, Resource []string
	}
	return encode(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{{"Allow", []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}, append([]string{}, resources...)}}})
}

// encode leaves <, > and & as they are: a role's path may hold them, and escaped they are six characters.
func encode(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // strings always marshal
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// literal spells out what IAM would read as a wildcard or a variable: a role's path may hold any of
// the three, and as a wildcard it would let the hub's session into other roles.
// Source: IAM user guide, "IAM policy elements: Variables and tags", special characters.
var literal = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")

// pattern is one entry of Resource. It is widened while it is taken apart and not yet escaped, so that
// no escape is ever cut in half.
type pattern struct {
	partition string
	account   string // 12 digits, or ? for any
	role      string // path and name, without the slash that they begin with
	open      bool   // every role that begins like this
	digits    int    // that are ?
	text      string // as the policy has it
	size      int    // in the policy's characters, with the comma; 0 for an entry that is gone
}

func newPattern(partition, account, role string, open bool) pattern {
	p := pattern{partition: partition, account: account, role: role, open: open, digits: strings.Count(account, "?")}
	p.text = "arn:" + partition + ":iam::" + account + ":role/" + literal.Replace(role)
	if open {
		p.text += "*"
	}
	p.size = len(encode(p.text)) + 1
	return p
}

// covers tells whether p admits all that q admits.
func (p pattern) covers(q pattern) bool {
	if p.partition != q.partition || !p.sharesRole(q) && !(p.open && strings.HasPrefix(q.role, p.role)) {
		return false
	}
	for i := range p.account {
		if p.account[i] != '?' && p.account[i] != q.account[i] {
			return false
		}
	}
	return true
}

// sharesRole tells whether joining p and q leaves their role as it is.
func (p pattern) sharesRole(q pattern) bool { return p.role == q.role && p.open == q.open }

// join is the least that covers p and q, which are of one partition.
func (p pattern) join(q pattern) pattern {
	account := []byte(p.account)
	for i := range account {
		if account[i] != q.account[i] {
			account[i] = '?'
		}
	}
	if p.sharesRole(q) {
		return newPattern(p.partition, string(account), p.role, p.open)
	}
	return newPattern(p.partition, string(account), p.role[:common(p.role, q.role)], true)
}

// cut opens p's role as far from its end as makes p at most size characters, or else all of it.
func (p pattern) cut(size int) pattern {
	end := func(i int) pattern { return newPattern(p.partition, p.account, p.role[:len(p.role)-1-i], true) }
	i := sort.Search(len(p.role)-1, func(i int) bool { return end(i).size <= size })
	return end(i)
}

// common is the length of what both begin with, in bytes.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// cost is how many ARNs an entry admits that were not admitted. Where a role stays exact, that is a
// number of accounts, and the power is 0. An open role admits so many that their power of ten decides:
// each character that is left to choose is one of 94, which is nearly two digits.
type cost struct {
	power    int
	accounts int64
}

// never is the cost of what must not be done.
var never = cost{power: math.MaxInt}

func (c cost) less(d cost) bool {
	return c.power < d.power || c.power == d.power && c.accounts < d.accounts
}

// openCost is the cost of roles left open after the first n characters, in accounts with so many ?.
func openCost(n, digits int, accounts int64) cost {
	return cost{digits + 2*(maxRolePath+maxRoleName-n), accounts}
}

// joinCost is the cost of joining p and q.
func (p pattern) joinCost(q pattern) cost {
	if p.partition != q.partition {
		return never
	}
	digits, shared, apart := 0, 0, false
	for i := range p.account {
		a, b := p.account[i], q.account[i]
		switch {
		case a == '?' && b == '?':
			digits, shared = digits+1, shared+1
		case a != b:
			digits, apart = digits+1, apart || a != '?' && b != '?'
		}
	}
	accounts := tens[digits] - tens[p.digits] - tens[q.digits]
	if !apart {
		accounts += tens[shared] // what both admit was subtracted twice
	}
	switch {
	case !p.sharesRole(q):
		return openCost(common(p.role, q.role), digits, accounts)
	case p.open:
		return openCost(len(p.role), digits, accounts)
	}
	return cost{0, accounts}
}

// tens are the powers of ten up to the number of all accounts.
var tens = func() (t [13]int64) {
	t[0] = 1
	for i := range t[1:] {
		t[i+1] = 10 * t[i]
	}
	return t
}()

// mate is what a pattern is joined with at the least cost.
type mate struct {
	index int // -1 for none
	cost  cost
}

// widening is the patterns while they are made fewer. Each keeps its mate among those after it: to look
// at every pair again for every step would take the third power of their number.
type widening struct {
	patterns []pattern
	mates    []mate
}

// widen joins patterns, none of which covers another, until together they have at most room characters.
// What it returns has no order.
func widen(patterns []pattern, room int) []pattern {
	if total(patterns) <= room {
		return patterns
	}
	w := widening{patterns, make([]mate, len(patterns))}
	for i := range patterns {
		w.mate(i)
	}
	for excess := total(patterns) - room; excess > 0; excess = total(patterns) - room {
		w.step(excess)
	}
	return slices.DeleteFunc(patterns, func(p pattern) bool { return p.size == 0 })
}

func total(patterns []pattern) int {
	n := 0
	for _, p := range patterns {
		n += p.size
	}
	return n
}

// step does what admits the least more. Once that is to open a role, it may as well be the end of one
// role, if that alone saves the characters in excess or nothing is left to join.
func (w widening) step(excess int) {
	at, least := -1, never
	for i, m := range w.mates {
		if w.patterns[i].size > 0 && m.cost.less(least) {
			at, least = i, m.cost
		}
	}
	var wider pattern
	joins := at >= 0
	if joins {
		wider = w.patterns[at].join(w.patterns[w.mates[at].index])
	}
	for i, p := range w.patterns {
		if least.power == 0 || p.role == "" || joins && p.size <= excess {
			continue
		}
		cut := p.cut(p.size - excess)
		saves := p.size-cut.size >= excess
		if c := openCost(len(cut.role), cut.digits, tens[cut.digits]); c.less(least) && (saves || !joins) {
			at, least, wider = i, c, cut
		}
	}
	w.put(at, wider)
}

// put replaces a pattern by a wider one, and drops what that one covers.
func (w widening) put(at int, wider pattern) {
	for i, p := range w.patterns {
		if p.size > 0 && wider.covers(p) {
			w.patterns[i] = pattern{}
		}
	}
	w.patterns[at] = wider
	for i, p := range w.patterns {
		if p.size == 0 {
			continue
		}
		m := w.mates[i].index
		if i == at || m == at || m >= 0 && w.patterns[m].size == 0 {
			w.mate(i)
		} else if i < at {
			if c := p.joinCost(wider); c.less(w.mates[i].cost) {
				w.mates[i] = mate{at, c}
			}
		}
	}
}

// mate finds the mate of a pattern.
func (w widening) mate(i int) {
	w.mates[i] = mate{-1, never}
	for j := i + 1; j < len(w.patterns); j++ {
		if w.patterns[j].size == 0 {
			continue
		}
		if c := w.patterns[i].joinCost(w.patterns[j]); c.less(w.mates[i].cost) {
			w.mates[i] = mate{j, c}
		}
	}
}
