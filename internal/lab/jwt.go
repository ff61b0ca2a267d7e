package lab

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // x5t is a SHA-1 by RFC 7517, section 4.8: a name, not a protection
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/org/hubspoke-chain/internal/chain"
)

// signingKey is the issuer's key with the certificate that GitHub's key set carries too.
type signingKey struct {
	private     *rsa.PrivateKey
	id          string // kid
	certificate []byte // DER
}

// processKey creates the key once per process: 2048 bits take long to generate.
var processKey = sync.OnceValue(func() *signingKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // only without randomness
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "hubspoke-lab issuer"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), // RFC 5280, 4.1.2.5: no well-defined end
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		panic(err) // the template is fixed
	}
	return &signingKey{private: private, id: uuid(), certificate: certificate}
})

func (k *signingKey) thumbprint() string {
	sum := sha1.Sum(k.certificate)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// jwk returns the public half in the form of a key set (RFC 7517, RFC 7518 section 6.3).
func (k *signingKey) jwk() map[string]any {
	return map[string]any{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": k.id,
		"n":   base64.RawURLEncoding.EncodeToString(k.private.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.private.E)).Bytes()),
		"x5c": []string{base64.StdEncoding.EncodeToString(k.certificate)}, "x5t": k.thumbprint(),
	}
}

// sign returns a JWT with the header of GitHub's tokens.
func (k *signingKey) sign(claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]string{"typ": "JWT", "alg": "RS256", "x5t": k.thumbprint(), "kid": k.id})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, k.private, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// token is a parsed JWT, not verified.
type token struct {
	alg, kid  string
	claims    chain.Claims
	signed    string // header and payload as received
	signature []byte
}

// parseToken parses a compact JWT. A header with crit requires extensions that the lab does not support, so it
// must be rejected (RFC 7515, section 4.1.11).
func parseToken(text string) (token, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return token{}, errors.New("a JWT has three parts")
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return token{}, errors.New("a part is not base64url")
		}
	}
	var header struct {
		Alg  string          `json:"alg"`
		Kid  string          `json:"kid"`
		Crit json.RawMessage `json:"crit"`
	}
	if json.Unmarshal(raw[0], &header) != nil || header.Crit != nil {
		return token{}, errors.New("the header is not one of a plain JWT")
	}
	t := token{alg: header.Alg, kid: header.Kid, signed: parts[0] + "." + parts[1], signature: raw[2]}
	decoder := json.NewDecoder(bytes.NewReader(raw[1]))
	decoder.UseNumber()
	if decoder.Decode(&t.claims) != nil || t.claims == nil || decoder.More() {
		return token{}, errors.New("the payload is not an object of claims")
	}
	return t, nil
}

// signedBy reports whether the token carries the key's RS256 signature.
func (t token) signedBy(k *signingKey) bool {
	sum := sha256.Sum256([]byte(t.signed))
	return rsa.VerifyPKCS1v15(&k.private.PublicKey, crypto.SHA256, sum[:], t.signature) == nil
}

// seconds returns a NumericDate.
func (t token) seconds(claim string) (time.Time, bool) {
	n, ok := t.claims[claim].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}
