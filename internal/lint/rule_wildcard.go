package lint

import (
	"fmt"
	"strings"
)

var _ = register(Rule{
	Name:     "wildcard-under-stringequals",
	Severity: Error,
	Why:      "StringEquals compares * and ? as characters, so a pattern matches nothing.",
	Fix:      "write the exact value, or use StringLike if a pattern is intended",
	Doc:      operators,
	Check: func(p *pass) {
		for _, c := range p.conditions {
			if !strings.HasPrefix(c.base, "String") || strings.HasSuffix(c.base, "Like") {
				continue
			}
			like := "StringLike"
			if c.negated() {
				like = "StringNotLike"
			}
			for _, v := range c.Values {
				if ps, _ := pieces(v.Text, true, true); wildcards(ps) > 0 {
					p.report(v.Position, finding{
						message: fmt.Sprintf(
							"under %s the * or ? in %s is an ordinary character, and no value of %s contains it",
							c.Operator.Text, quote(v.Text), quote(c.Key.Text)),
						fix: "write the exact value, or use " + like + " if a pattern is intended",
					})
				}
			}
		}
	},
})
