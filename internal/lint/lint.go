// Package lint holds IAM policy documents against the pattern of hub and spokes: who is let in that should
// not be, what never works, and what IAM refuses. It reads files, not accounts: whether a role or a provider
// exists is for AWS to say. Whatever it says of a request, package policy has decided on that very request.
package lint

import (
	"cmp"
	"slices"
	"strings"
)

// Severity is how bad a finding is.
type Severity string

// The severities, worst first.
const (
	Error   Severity = "error"   // lets in someone who must not be, or cannot work
	Warning Severity = "warning" // wider than it looks, or works in some cases only
	Note    Severity = "note"    // worth knowing; nothing is wrong today
)

// Severities are all of them, worst first.
var Severities = []Severity{Error, Warning, Note}

// AtLeast tells whether s is as bad as least, or worse.
func (s Severity) AtLeast(least Severity) bool {
	return slices.Index(Severities, s) <= slices.Index(Severities, least)
}

// Kind is the place where a document is attached.
type Kind string

// The kinds of documents. Detect means that the document shows which of the first two it is.
const (
	Detect      Kind = ""
	Trust       Kind = "trust"       // a role's trust policy
	Permissions Kind = "permissions" // an inline policy of a role
	Managed     Kind = "managed"     // a managed policy
	Session     Kind = "session"     // a session policy
	Boundary    Kind = "boundary"    // a permissions boundary
	SCP         Kind = "scp"         // a service control policy
)

// Kinds are the kinds that can be asked for.
var Kinds = []Kind{Trust, Permissions, Managed, Session, Boundary, SCP}

// File is a file to look at: a policy document, or the output of a command of the AWS CLI that has some in it.
type File struct {
	Name string // as it is to be shown
	Data []byte
}

// Finding is one thing that a rule has found. All its texts are on one line, hold no character that does not
// print, and are bounded in length.
type Finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1
	Column   int      `json:"column"` // from 1, in bytes
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Fix      string   `json:"fix"`                // what to do
	Help     string   `json:"help"`               // URL of the documentation that the rule rests on
	Stranger string   `json:"stranger,omitempty"` // a subject that the policy lets in and should not

	character int       // column in characters
	admitted  *stranger // whom Stranger is of
}

// Lint looks at files, together: what one says of the hub is held against what another says of a spoke. Where
// a file does not tell what its document is for, kind does. The findings are in the order of the files' names
// and positions.
func Lint(kind Kind, files ...File) []Finding {
	var r report
	var documents []*document
	for _, f := range files {
		documents = append(documents, r.read(f, kind)...)
	}
	for _, d := range documents {
		d.lint()
	}
	pair(documents)
	slices.SortStableFunc(r.findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column,
			slices.Index(Severities, a.Severity)-slices.Index(Severities, b.Severity),
			strings.Compare(a.Rule, b.Rule), strings.Compare(a.Message, b.Message),
		)
	})
	return slices.CompactFunc(r.findings, func(a, b Finding) bool {
		a.admitted, b.admitted = nil, nil
		return a == b
	})
}

type report struct{ findings []Finding }
