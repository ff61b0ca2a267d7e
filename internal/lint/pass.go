package lint

import (
	"cmp"
	"fmt"

	"github.com/org/hubspoke-chain/internal/plain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// pass is one rule's run over one document.
type pass struct {
	*document
	rule *Rule
}

// finding is what a rule reports in addition to its own texts.
type finding struct {
	message  string
	fix      string   // instead of the rule's
	severity Severity // instead of the rule's
	witness  *witness
}

// reportf reports a message at a position in the document.
func (p *pass) reportf(at policy.Position, format string, args ...any) {
	p.report(at, finding{message: fmt.Sprintf(format, args...)})
}

// report reports a finding at a position in the document.
func (p *pass) report(at policy.Position, f finding) {
	p.reportInFile(p.at(at), f)
	p.findings[len(p.findings)-1].at = at
}

// reportInFile reports a finding at a position in the file, outside the document.
func (p *pass) reportInFile(at policy.Position, f finding) {
	found := Finding{
		File: p.source.shown, Line: at.Line, Column: at.Column, character: p.source.character(at),
		Rule: p.rule.Name, Formerly: p.rule.Old, Severity: cmp.Or(f.severity, p.rule.Severity), Help: p.rule.Doc,
		Message: plain.Shorten(plain.Defused(f.message), maxText), Fix: p.rule.Fix,
	}
	if f.fix != "" {
		found.Fix = plain.Shorten(plain.Defused(f.fix), maxText)
	}
	if f.witness != nil {
		found.Witness, found.admitted = plain.Defused(f.witness.subject), f.witness
	}
	p.findings = append(p.findings, found)
}
