package lint

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/org/hubspoke-chain/internal/plain"
)

const (
	maxValue = 200  // bytes of a value from a file that are shown; a subject of a long branch name fits
	maxText  = 1200 // bytes of a whole message
)

// quote returns a value from a file in quotes, on one line and of bounded length.
func quote(s string) string { return strconv.Quote(plain.Shorten(s, maxValue)) }

// quoteAll returns the first few of several values in quotes.
func quoteAll(values []string) string {
	const most = 4
	var quoted []string
	for _, v := range values[:min(len(values), most)] {
		quoted = append(quoted, quote(v))
	}
	text := strings.Join(quoted, ", ")
	if more := len(values) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
