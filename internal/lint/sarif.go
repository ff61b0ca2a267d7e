package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// The parts of SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format") that are written.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"semanticVersion,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string      `json:"id"`
		Former  []string    `json:"deprecatedIds,omitempty"`
		Short   sarifText   `json:"shortDescription"`
		Help    sarifText   `json:"help"`
		HelpURI string      `json:"helpUri"`
		Default sarifConfig `json:"defaultConfiguration"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifConfig struct {
		Level Severity `json:"level"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        Severity          `json:"level"`
		Message      sarifMessage      `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// WriteSARIF writes findings as SARIF 2.1.0, for code scanning. version is the program's semantic version, or
// empty.
func WriteSARIF(w io.Writer, version string, findings []Finding) error {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "hubspoke-chain lint", Version: version}
	rules := Rules()
	for _, r := range rules {
		described := sarifRule{
			ID: r.Name, Short: sarifText{Text: r.Why}, HelpURI: r.Doc, Default: sarifConfig{r.Severity},
			Help: sarifText{
				Text:     withFix(r.Why, " ", r.Fix),
				Markdown: withFix(r.Why, "\n\n", r.Fix) + "\n\n[Documentation](" + r.Doc + ")",
			},
		}
		if r.Old != "" {
			described.Former = []string{r.Old}
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, described)
	}
	for _, f := range findings {
		index := slices.IndexFunc(rules, func(r *Rule) bool { return r.Name == f.Rule })
		sum := sha256.Sum256([]byte(f.File + "\x00" + f.Rule + "\x00" + f.Message))
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Rule, RuleIndex: index, Level: f.Severity,
			Message: sarifMessage{withFix(sentence(f.Message), " ", f.Fix)},
			Locations: []sarifLocation{{sarifPhysical{sarifArtifact{uri(f.File)},
				sarifRegion{f.Line, f.character}}}},
			Fingerprints: map[string]string{"finding/v1": hex.EncodeToString(sum[:])},
		})
	}
	return writeJSON(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// withFix appends a fix, if there is one.
func withFix(text, separator, fix string) string {
	if fix == "" {
		return text
	}
	return text + separator + "Fix: " + sentence(fix)
}

// sentence returns a message as a sentence, as SARIF requires.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.TrimSuffix(s, ".") + "."
}

// uri returns a file's name as a URI reference. A relative one is relative to the working directory, which for code
// scanning is the root of the repository.
func uri(name string) string {
	name = filepath.ToSlash(name)
	if strings.HasPrefix(name, "/") {
		return (&url.URL{Scheme: "file", Path: name}).String()
	}
	return (&url.URL{Path: name}).String()
}
