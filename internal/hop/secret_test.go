package hop

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// holder reaches a secret through fields of every kind, the unexported one included, for which fmt
// calls no method.
type holder struct {
	Open   Secret
	hidden Secret
	list   []Secret
	named  map[string]Secret
	to     *Secret
}

// element has a name, which encoding/xml requires.
type element struct{ Value Secret }

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	const value = "wJalrXUtnFEMI-value"
	s := NewSecret(value)
	h := holder{s, s, []Secret{s}, map[string]Secret{"k": s}, &s}
	session := Session{Credentials: Credentials{AccessKeyID: s, SecretAccessKey: s, SessionToken: s}}

	var printed []string
	for _, verb := range "vsqdxXTtbcoOUeEfFgGp" {
		for _, flags := range []string{"", "+", "#", "-40", "010", " "} {
			for _, v := range []any{s, &s, h, &h, []any{s}, session, &session} {
				printed = append(printed, fmt.Sprintf("%"+flags+string(verb), v))
			}
		}
	}
	printed = append(printed, fmt.Sprint(h), fmt.Sprintln(s), s.String(), s.GoString())
	for _, v := range []any{s, &s, h, session, map[string]any{"k": s}, map[Secret]string{s: "v"}} {
		text, err := json.Marshal(v)
		if err == nil {
			t.Errorf("%T is marshaled: %s", v, text)
		}
		printed = append(printed, string(text), fmt.Sprint(err))
	}
	text, err := xml.Marshal(element{s})
	if err == nil {
		t.Errorf("it is marshaled: %s", text)
	}
	printed = append(printed, string(text), fmt.Sprint(err))
	var logged bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&logged, nil)), slog.New(slog.NewJSONHandler(&logged, nil))} {
		logger.Info("m", "secret", s, "holder", h, "session", session)
	}
	wrapped := fmt.Errorf("with %v: %w", s, errors.New("cause"))
	panicked := func() (text string) {
		defer func() { text = fmt.Sprint(recover()) }()
		panic(h)
	}()
	printed = append(printed, logged.String(), wrapped.Error(), panicked)

	for _, text := range printed {
		// %x of a string is its bytes in hex, so that form is checked too.
		if strings.Contains(text, value) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", value)) {
			t.Errorf("printed: %s", text)
		}
	}
	if got := fmt.Sprintf("%v %s %q %#v %x %d", s, s, s, s, s, s); got != strings.TrimSpace(strings.Repeat("[secret] ", 6)) {
		t.Errorf("got %q", got)
	}
}

func TestSecretReveal(t *testing.T) {
	t.Parallel()
	if got := NewSecret("value").Reveal(); got != "value" {
		t.Errorf("got %q", got)
	}
	if got := (Secret{}).Reveal(); got != "" {
		t.Errorf("the zero secret reveals %q", got)
	}
	if got := fmt.Sprint(Secret{}); got != "[secret]" {
		t.Errorf("the zero secret prints %q", got)
	}
}
