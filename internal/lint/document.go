package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/org/hubspoke-chain/internal/policy"
)

// document is a policy document of a file, what the file says about it, and the facts that several rules need.
// An unreadable one has only an error.
type document struct {
	*policy.Document
	unreadable *policy.SyntaxError

	kind Kind
	size int // characters, as the quota of its kind counts them
	role role

	source *source
	start  policy.Position // where the document begins in the file
	whole  bool            // the document is a string in the file, and all its findings are at that string

	conditions []*condition
	trusts     []*trust
	gaps       []gap
	budget     int // candidates for an outsider that may still be tried

	findings []Finding
}

// role is what the output of a command says about the role that a trust policy belongs to.
type role struct {
	arn        string
	maxSession int // seconds; 0 when unknown
	place      policy.Position
}

// parse reads the document's text and computes its facts.
func (d *document) parse(text []byte) {
	parsed, err := policy.Parse(text)
	if errors.As(err, &d.unreadable) {
		return
	}
	d.Document, d.budget = parsed, maxCandidates
	if d.kind == Detect {
		d.kind = Permissions
		if slices.ContainsFunc(parsed.Statements,
			func(s policy.Statement) bool { return s.Principals != nil || s.NotPrincipals != nil }) {
			d.kind = Trust
		}
	}
	d.size = utf8.RuneCount(text)
	if !sizes[d.kind].spaces {
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err == nil {
			d.size = utf8.RuneCount(compact.Bytes())
		}
	}
	d.conditions = d.classifyConditions()
	if d.kind == Trust {
		d.trusts = d.findTrusts()
	}
}

// lint runs all rules.
func (d *document) lint() {
	if d.unreadable != nil {
		d.run(syntax)
		return
	}
	for _, r := range rules {
		if r != refused {
			d.run(r)
		}
	}
	d.run(refused) // last: it reports nothing where another rule has found the cause
}

func (d *document) run(r *Rule) { r.Check(&pass{d, r}) }

// at returns the place in the file of a position in the document.
func (d *document) at(p policy.Position) policy.Position {
	switch {
	case d.whole:
		return d.start
	case p.Line > 1:
		return policy.Position{Line: d.start.Line + p.Line - 1, Column: p.Column}
	}
	return policy.Position{Line: d.start.Line, Column: d.start.Column + p.Column - 1}
}

// first returns where the document's own elements begin, for findings about all of it.
func (d *document) first() policy.Position {
	if len(d.Statements) > 0 && d.Version.Line == 0 {
		return d.Statements[0].Position
	}
	return d.Version.Position
}

// arns returns the ARNs of the document that must be in the role's partition: principals and resources.
func (d *document) arns() []policy.Value {
	var arns []policy.Value
	for _, s := range d.Statements {
		for _, p := range s.Principals {
			arns = append(arns, p.Value)
		}
		arns = append(append(arns, s.Resources...), s.NotResources...)
	}
	return slices.DeleteFunc(arns, func(v policy.Value) bool {
		return partition(v.Text) == "" || strings.ContainsAny(partition(v.Text), "*?")
	})
}

// partition returns the role's partition, else that of the document's first ARN.
func (d *document) partition() string {
	if p := partition(d.role.arn); p != "" {
		return p
	}
	if arns := d.arns(); len(arns) > 0 {
		return partition(arns[0].Text)
	}
	return "aws"
}

// variables reports whether IAM replaces policy variables in the document.
func (d *document) variables() bool { return d.Version.Text == "2012-10-17" }
