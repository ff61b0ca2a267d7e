// Package profile edits the text of the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name: it adds, finds
// and removes profiles without changing the other lines. Where the files are is left to others.
package profile

import (
	"fmt"
	"strings"
)

// File is the kind of a file of profiles: the two write the header of a profile differently.
type File int

// The two files that AWS's SDKs and tools read.
const (
	Config      File = iota // AWS_CONFIG_FILE, by default ~/.aws/config: [profile NAME]
	Credentials             // AWS_SHARED_CREDENTIALS_FILE, by default ~/.aws/credentials: [NAME]
)

// Setting is a line of a profile, name = value.
type Setting struct{ Name, Value string }

// Has reports whether the text of a file has the profile.
func Has(text string, f File, name string) bool {
	for line := range strings.Lines(text) {
		if f.heads(line, name) {
			return true
		}
	}
	return false
}

// Ambiguous reports whether SDKs disagree on where the profile is in the text of a file: an indented header begins a
// profile for some of them, and continues the line before it for others.
func Ambiguous(text string, f File, name string) bool {
	inside := false
	for line := range strings.Lines(text) {
		if isHeader(line) {
			inside = f.heads(line, name)
			continue
		}
		if trimmed := strings.TrimSpace(line); isHeader(trimmed) && (inside || f.heads(trimmed, name)) {
			return true
		}
	}
	return false
}

// Without returns the text of a file without the profile. Every other line stays as it is, comments included; a comment
// directly above the next header belongs to that header and stays too.
func Without(text string, f File, name string) string {
	var kept, doubtful strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if isHeader(line) {
			inside = f.heads(line, name)
		}
		switch {
		case !inside:
			kept.WriteString(doubtful.String())
			doubtful.Reset()
			kept.WriteString(line)
		case trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";"):
			doubtful.WriteString(line)
		default:
			doubtful.Reset()
		}
	}
	return kept.String() + doubtful.String()
}

// mark is the first line of a profile that With adds.
const mark = "# made by hubspoke-chain\n"

// Own returns the names of the profiles in the text of a file that With added.
func Own(text string, f File) []string {
	var names []string
	header := ""
	for line := range strings.Lines(text) {
		if line == mark && header != "" {
			names = append(names, header)
		}
		header = ""
		if inside, ended := strings.CutSuffix(line, "]\n"); ended && isHeader(line) {
			header = inside[1:]
			if f == Config {
				header = strings.TrimPrefix(header, "profile ")
			}
		}
	}
	return names
}

// With returns the text of a file with the profile at its end. A value that would not be read back unchanged, one with a
// line end or one that begins a comment for example, is an error that does not show it, since it may be secret.
func With(text string, f File, name string, settings ...Setting) (string, error) {
	var b strings.Builder
	b.WriteString(text)
	if text != "" {
		if !strings.HasSuffix(text, "\n") {
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "[%s]\n%s", f.header(name), mark)
	for _, s := range settings {
		if s.Value == "" || s.Value != strings.TrimSpace(s.Value) || strings.ContainsAny(s.Value, "\r\n\x00") ||
			strings.HasPrefix(s.Value, "#") || strings.HasPrefix(s.Value, ";") || strings.Contains(s.Value, " #") || strings.Contains(s.Value, " ;") {
			return "", fmt.Errorf("the value of %s is not valid in a file of profiles", s.Name)
		}
		fmt.Fprintf(&b, "%s = %s\n", s.Name, s.Value)
	}
	return b.String(), nil
}

// header returns the text between the brackets.
func (f File) header(name string) string {
	if f == Config && name != "default" {
		return "profile " + name
	}
	return name
}

// isHeader reports whether a line begins a section. An indented one continues the line before it.
func isHeader(line string) bool { return strings.HasPrefix(line, "[") }

// heads reports whether a line is the header of the profile: [profile NAME], with NAME in quotes or not, or [NAME]. Each
// is right in one of the files, but the AWS SDK for Go v1 reads both in both.
func (f File) heads(line, name string) bool {
	inside, _, found := strings.Cut(line, "]")
	if !isHeader(line) || !found {
		return false
	}
	inside = strings.TrimSpace(inside[1:])
	if inside == name {
		return true
	}
	words := strings.Fields(inside)
	return len(words) == 2 && words[0] == "profile" && strings.Trim(words[1], `"'`) == name
}
