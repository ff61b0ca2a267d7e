package hop

import (
	"math"
	"sort"
	"strings"
)

// pattern is one entry of Resource. It is widened while it is taken apart and not yet escaped, so that
// no escape is ever cut in half.
type pattern struct {
	partition string
	accounts  accounts
	role      string // path and name, without the slash that they begin with
	open      bool   // every role that begins like this
	text      string // as the policy has it
	size      int    // in the policy's characters, with the comma; 0 for an entry that is gone
}

func newPattern(partition string, of accounts, role string, open bool) pattern {
	p := pattern{partition: partition, accounts: of, role: role, open: open}
	p.text = "arn:" + partition + ":iam::" + of.String() + ":role/" + literal.Replace(role)
	if open {
		p.text += "*"
	}
	p.size = len(encode(p.text)) + 1
	return p
}

// covers tells whether p admits all that q admits.
func (p pattern) covers(q pattern) bool {
	return p.partition == q.partition && p.accounts.cover(q.accounts) &&
		(p.sharesRole(q) || p.open && strings.HasPrefix(q.role, p.role))
}

// sharesRole tells whether joining p and q leaves their role as it is.
func (p pattern) sharesRole(q pattern) bool { return p.role == q.role && p.open == q.open }

// join is the least that covers p and q, which are of one partition.
func (p pattern) join(q pattern) pattern {
	if p.sharesRole(q) {
		return newPattern(p.partition, p.accounts.join(q.accounts), p.role, p.open)
	}
	return newPattern(p.partition, p.accounts.join(q.accounts), p.role[:common(p.role, q.role)], true)
}

// cut opens p's role as far from its end as makes p at most size characters, or else all of it.
func (p pattern) cut(size int) pattern {
	end := func(i int) pattern { return newPattern(p.partition, p.accounts, p.role[:len(p.role)-1-i], true) }
	i := sort.Search(len(p.role)-1, func(i int) bool { return end(i).size <= size })
	return end(i)
}

// common is the length of what both begin with, in bytes. Comparing halves beats comparing bytes: paths
// may be long and alike.
func common(a, b string) int {
	return sort.Search(min(len(a), len(b)), func(i int) bool { return a[:i+1] != b[:i+1] })
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

// openCost is the cost of admitting roles that are open after n characters, in more accounts of them all.
func openCost(n int, more int64, all accounts) cost {
	return cost{all.digits() + 2*(maxRolePath+maxRoleName-n), more}
}

// joinCost is the cost of joining p and q.
func (p pattern) joinCost(q pattern) cost {
	if p.partition != q.partition {
		return never
	}
	all := p.accounts.join(q.accounts)
	more := all.count() - p.accounts.count() - q.accounts.count() + p.accounts.shared(q.accounts)
	switch {
	case !p.sharesRole(q):
		return openCost(common(p.role, q.role), more, all)
	case p.open:
		return openCost(len(p.role), more, all)
	}
	return cost{0, more}
}
