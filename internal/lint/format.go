package lint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteText writes findings for a person: one per line, each followed by its fix.
func WriteText(w io.Writer, findings []Finding) error {
	var b strings.Builder
	for _, f := range findings {
		rule := f.Rule
		if f.Formerly != "" {
			rule += ", formerly " + f.Formerly
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s: %s [%s]\n", f.File, f.Line, f.Column, f.Severity, f.Message, rule)
		if f.Fix != "" {
			fmt.Fprintf(&b, "    fix: %s\n", f.Fix)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes findings as a list, which is empty when there are none.
func WriteJSON(w io.Writer, findings []Finding) error {
	if findings == nil {
		findings = []Finding{}
	}
	return writeJSON(w, findings)
}

// writeJSON escapes ##[, which GitHub's runner reads as a workflow command. It occurs only in strings.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("##["), []byte(`##\u005b`)))
	return err
}

// WriteGitHub writes findings as workflow commands, which GitHub shows at the lines of a pull request.
func WriteGitHub(w io.Writer, findings []Finding) error {
	var b strings.Builder
	commands := map[Severity]string{Error: "error", Warning: "warning", Note: "notice"}
	for _, f := range findings {
		text := f.Message
		if f.Fix != "" {
			text += "\nfix: " + f.Fix
		}
		fmt.Fprintf(&b, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", commands[f.Severity], property.Replace(f.File),
			f.Line, f.character, property.Replace(f.Rule), data.Replace(text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// How workflow commands escape (GitHub Docs, "Workflow commands"; actions/runner ActionCommand.cs).
var (
	data     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
