package hop

import "math/bits"

// accounts is a set of accounts: 12 digits of four bits, the first one the highest, where anyDigit is ?.
// What compares pairs by the thousand does it on all digits at once.
type accounts uint64

const (
	anyDigit  = 0xf
	eachDigit = 0x111111111111 // a 1 in each
)

// parseAccounts reads the 12 digits of one account.
func parseAccounts(id string) accounts {
	var a accounts
	for _, c := range id {
		a = a<<4 | accounts(c-'0')&anyDigit
	}
	return a
}

// String is the accounts as a policy has them.
func (a accounts) String() string {
	var id [12]byte
	for i := range id {
		id[i] = "0123456789??????"[a>>(44-4*i)&anyDigit]
	}
	return string(id[:])
}

// any has a 1 for each digit that is ?.
func (a accounts) any() accounts { return a & (a >> 1) & (a >> 2) & (a >> 3) & eachDigit }

// digits is how many are ?.
func (a accounts) digits() int { return bits.OnesCount64(uint64(a.any())) }

// count is how many accounts there are in a.
func (a accounts) count() int64 { return tens[a.digits()] }

// differ has a 1 for each digit that is not the same in b.
func (a accounts) differ(b accounts) accounts {
	d := a ^ b
	d |= d >> 1
	d |= d >> 2
	return d & eachDigit
}

// join is the least that covers a and b.
func (a accounts) join(b accounts) accounts { return a | a.differ(b)*anyDigit }

// cover tells whether all of b is in a.
func (a accounts) cover(b accounts) bool { return a.differ(b)&^a.any() == 0 }

// shared is how many accounts are in both.
func (a accounts) shared(b accounts) int64 {
	if a.differ(b)&^(a.any()|b.any()) != 0 {
		return 0
	}
	return tens[bits.OnesCount64(uint64(a.any()&b.any()))]
}

// tens are the powers of ten up to the number of all accounts.
var tens = [13]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}
