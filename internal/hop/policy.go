package hop

import (
	"encoding/json"
	"slices"
	"strings"
)

// minRoom is the smallest room for a hub policy. A third of it is taken by what is the same in all of them.
const minRoom = 512

// HubPolicy is the inline session policy of the hub's session: it narrows it to what this hop does. It
// is at most room characters of JSON, from 512 to the 2048 that AWS takes (AssumeRoleWithWebIdentity, Policy, AWS STS
// API Reference), and allows sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity on every spoke, whatever
// their number and order; there is to be one at least.
//
// As long as there is room, which is for 15 to 40 roles by the length of their names, it names exactly the spokes. Beyond that it
// admits more, little by little until it fits: digits of accounts become ?, and only when no two entries
// name the same role, the end of a role's path and name becomes *. So spokes that are one role in many
// accounts never let the session into another role, unless that role's ARN alone is too long. A partition
// is never widened.
func HubPolicy(spokes []Spoke, room int) string {
	patterns := []pattern{}
	room += 1 - len(document([]string{})) // the last entry has no comma
	for _, spoke := range spokes {
		r := spoke.Role
		patterns = append(patterns, newPattern(r.Partition, parseAccounts(r.AccountID), strings.TrimPrefix(r.Path, "/")+r.Name, false))
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
	}{"2012-10-17", []statement{{"Allow", []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}, resources}}})
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
		if c := openCost(len(cut.role), cut.accounts.count(), cut.accounts); c.less(least) && (saves || !joins) {
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
