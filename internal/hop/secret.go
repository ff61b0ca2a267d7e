package hop

import (
	"errors"
	"fmt"
	"io"
)

// Secret holds a value that must not be printed: every formatting verb and logger prints [secret], and encoders fail. The value sits behind a pointer because fmt reaches through unexported fields and
// would print a plain string there without asking any method.
type Secret struct{ s *string }

const redacted = "[secret]"

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal returns the value. A guard test lists the few files that may call it.
func (s Secret) Reveal() string {
	if s.s == nil {
		return ""
	}
	return *s.s
}

// Format prints [secret] for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// String returns [secret].
func (s Secret) String() string { return redacted }

// GoString returns [secret].
func (s Secret) GoString() string { return redacted }

// MarshalText fails: a secret belongs in no file. encoding/json and log/slog use it.
func (s Secret) MarshalText() ([]byte, error) { return nil, errors.New("a secret is not marshaled") }
