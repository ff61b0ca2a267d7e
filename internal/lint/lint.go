// Package lint checks IAM policy documents for a hub and its spokes: which outsiders they allow, what never works
// and what IAM rejects. Each check is a [Rule]. The package reads files, not accounts: it does not know whether a
// role or a provider exists. What it claims about a request, package policy has decided for that request.
package lint

import (
	"cmp"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// Severity is how bad a finding is.
type Severity string

// The severities, worst first.
const (
	Error   Severity = "error"   // allows an outsider, or cannot work
	Warning Severity = "warning" // allows more than it seems to, or works only in some cases
	Note    Severity = "note"    // worth knowing; nothing is wrong today
)

// Severities are all of them, worst first.
var Severities = []Severity{Error, Warning, Note}

// AtLeast reports whether s is as bad as least, or worse.
func (s Severity) AtLeast(least Severity) bool {
	return slices.Index(Severities, s) <= slices.Index(Severities, least)
}

// Kind is the place where a document is attached.
type Kind string

// The kinds of documents. Detect means that the document's elements decide which of the first two it is.
const (
	Detect      Kind = ""
	Trust       Kind = "trust"       // a role's trust policy
	Permissions Kind = "permissions" // an inline policy of a role
	Managed     Kind = "managed"     // a managed policy
	Session     Kind = "session"     // a session policy
	Boundary    Kind = "boundary"    // a permissions boundary
	SCP         Kind = "scp"         // a service control policy
)

// Kinds are the kinds that a caller can choose.
var Kinds = []Kind{Trust, Permissions, Managed, Session, Boundary, SCP}

// File is a file to check: a policy document, or output of the AWS CLI that contains some.
type File struct {
	Name string // as findings show it
	Data []byte
}

// Finding is one thing that a rule found. All its texts are single lines of printable characters, bounded in
// length.
type Finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1
	Column   int      `json:"column"` // from 1, in bytes
	Rule     string   `json:"rule"`
	Formerly string   `json:"formerly,omitempty"` // the rule's former name
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Fix      string   `json:"fix"`               // what to do; empty where the message is all there is to say
	Help     string   `json:"help"`              // URL of the documentation that the rule rests on
	Witness  string   `json:"witness,omitempty"` // an outsider's subject that the policy allows

	character int             // column in characters
	at        policy.Position // in the document
	admitted  *witness        // whose subject Witness is
}

// Lint checks files together: a hub's policies are compared with those of its spokes. kind applies to documents
// whose file does not determine their kind. The findings are sorted by file name and position.
func Lint(kind Kind, files ...File) []Finding {
	var documents []*document
	for _, f := range files {
		documents = append(documents, read(f, kind)...)
	}
	findGaps(documents)
	var findings []Finding
	for _, d := range documents {
		d.lint()
		findings = append(findings, d.findings...)
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column,
			slices.Index(Severities, a.Severity)-slices.Index(Severities, b.Severity),
			strings.Compare(a.Rule, b.Rule), strings.Compare(a.Message, b.Message),
		)
	})
	return slices.CompactFunc(findings, func(a, b Finding) bool {
		a.admitted, b.admitted = nil, nil
		a.at, b.at = policy.Position{}, policy.Position{}
		return a == b
	})
}
