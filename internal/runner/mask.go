package runner

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Masks are the values that the runner hides in a job's log and summaries, for the duration of the job.
type Masks struct{ values []string }

// Add masks a value from now on: the whole value and each of its lines, in the encodings that the runner
// registers. There is no minimum length (AddMaskCommandExtension in ActionCommandManager.cs).
func (m *Masks) Add(value string) {
	if strings.TrimSpace(value) == "" {
		return
	}
	values := []string{value}
	for _, line := range strings.FieldsFunc(value, func(c rune) bool { return c == '\r' || c == '\n' }) {
		values = append(values, strings.TrimSpace(line))
	}
	for _, v := range values {
		if v == "" {
			continue
		}
		for _, form := range encodings(v) {
			if form != "" && !slices.Contains(m.values, form) {
				m.values = append(m.values, form)
			}
		}
	}
	// The longest first, so that a value that contains another is hidden completely.
	slices.SortStableFunc(m.values, func(a, b string) int { return len(b) - len(a) })
}

// encodings returns the encodings of HostContext.cs that can differ from the value, for the values that an action
// masks. The runner does not mask these either: hex, base64url, other case, parts of the value.
func encodings(v string) []string {
	forms := []string{v, strings.ReplaceAll(v, `"`, `\"`), strings.ReplaceAll(url.QueryEscape(v), "+", "%20")}
	for skip := range min(3, len(v)) { // a base64 text in which the value starts at another byte
		encoded := base64.StdEncoding.EncodeToString([]byte(v[skip:]))
		forms = append(forms, strings.TrimRight(encoded, "="))
	}
	if quoted, err := json.Marshal(v); err == nil {
		forms = append(forms, strings.Trim(string(quoted), `"`))
	}
	return forms
}

// Hide returns the text with every masked value replaced by ***.
func (m *Masks) Hide(text string) string {
	for _, v := range m.values {
		text = strings.ReplaceAll(text, v, "***")
	}
	return text
}

// Has reports whether the value itself is masked.
func (m *Masks) Has(value string) bool { return slices.Contains(m.values, value) }
