package credproc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
)

// cache is the file in which the calls of one plan share their results. Its secrets are the spoke's credentials, never
// the hub's nor a token.
type cache struct {
	path string
	plan string // the SHA-256 of the plan's file, in hexadecimal
	arn  string // of the plan's session
}

// state is what the cache holds.
type state struct {
	session *session // nil for none
	failure *failure // of the last hop; nil when it succeeded
}

// failure is a hop that failed.
type failure struct {
	at          time.Time // when it was cached
	environment string    // environmentID of the call that failed
	err         *Error
}

// file is the cache's JSON.
type file struct {
	Plan    string       `json:"plan"`
	Session *fileSession `json:"session,omitempty"`
	Failure *fileFailure `json:"failure,omitempty"`
}

type fileSession struct {
	ARN             string    `json:"arn"`
	AccessKeyID     string    `json:"accessKeyId"`
	SecretAccessKey string    `json:"secretAccessKey"`
	SessionToken    string    `json:"sessionToken"`
	Issued          time.Time `json:"issued"`
	Expires         time.Time `json:"expires"` // the real end
}

type fileFailure struct {
	At          time.Time `json:"at"`
	Environment string    `json:"environment"`
	Cause       string    `json:"cause"`
	Hints       []string  `json:"hints,omitempty"`
}

// read returns what the cache holds, without a lock: it is replaced as a whole and never changed. One that cannot be
// read, is of another plan or holds anything that was not written here counts as empty, and is replaced.
func (c cache) read(now time.Time) state {
	data, err := readFile(c.path)
	var f file
	if err != nil || decode(data, &f) != nil || f.Plan != c.plan {
		return state{}
	}
	var s state
	if f.Session != nil {
		s.session = f.Session.session()
		if s.session == nil || s.session.arn != c.arn || !s.session.plausible(now) {
			return state{}
		}
	}
	if f.Failure != nil && !f.Failure.At.After(now) {
		s.failure = &failure{f.Failure.At, f.Failure.Environment, newError(f.Failure.Cause, f.Failure.Hints)}
	}
	return s
}

// session returns nil when the credentials do not have the form of AWS's.
func (f fileSession) session() *session {
	if !hop.AccessKeyID.Matches(f.AccessKeyID) || !hop.KeyMaterial.Matches(f.SecretAccessKey) || !hop.KeyMaterial.Matches(f.SessionToken) {
		return nil
	}
	return &session{arn: f.ARN, issued: f.Issued, credentials: hop.Credentials{
		AccessKeyID:     hop.NewSecret(f.AccessKeyID),
		SecretAccessKey: hop.NewSecret(f.SecretAccessKey),
		SessionToken:    hop.NewSecret(f.SessionToken),
		Expires:         f.Expires,
	}}
}

// write replaces the cache; the caller holds the lock. A writer that is killed leaves the old cache as it was, and next
// to it a file that the next writer removes.
func (c cache) write(s state) error {
	f := file{Plan: c.plan}
	if s.session != nil {
		f.Session = &fileSession{
			ARN:             s.session.arn,
			AccessKeyID:     s.session.credentials.AccessKeyID.Reveal(),
			SecretAccessKey: s.session.credentials.SecretAccessKey.Reveal(),
			SessionToken:    s.session.credentials.SessionToken.Reveal(),
			Issued:          s.session.issued.UTC(),
			Expires:         s.session.credentials.Expires.UTC(),
		}
	}
	if s.failure != nil {
		f.Failure = &fileFailure{s.failure.at.UTC(), s.failure.environment, s.failure.err.Cause, s.failure.err.Hints}
	}
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(f); err != nil {
		return fmt.Errorf("writing the cache: %w", err)
	}
	if data.Len() > maxFile {
		return fmt.Errorf("writing the cache: it is larger than %d bytes", maxFile)
	}
	if err := c.replace(data.Bytes()); err != nil {
		return fmt.Errorf("writing the cache: %w", err)
	}
	return nil
}

func (c cache) replace(data []byte) error {
	next := c.path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info, err := os.Lstat(c.path); err == nil && info.IsDir() { // the one thing that a rename does not replace
		if err := os.Remove(c.path); err != nil {
			return err
		}
	}
	if err := createFile(next, data); err != nil {
		return err
	}
	// No fsync: what the machine loses in a crash is read as an empty cache.
	if err := os.Rename(next, c.path); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return nil
}
