// Package policy parses IAM policy documents and evaluates requests with them, as IAM does. Which condition keys a
// call to STS has is left to package chain, and which policies a role has to the caller. It works offline and has no
// state.
package policy

// Effect is what a statement, or a decision, does.
type Effect string

// The effects. A decision that no statement made is Implicit, which refuses.
const (
	Allow    Effect = "Allow"
	Deny     Effect = "Deny"
	Implicit Effect = ""
)

// Position is a place in a document's text, 1-based; the column counts bytes.
type Position struct{ Line, Column int }

// Value is a string of a document and where it stands.
type Value struct {
	Text string
	Position
}

// Document is a policy document as written. Parse makes it; the zero value is an empty document,
// which allows nothing.
type Document struct {
	Version    Value // 2012-10-17 or 2008-10-17; empty when absent, which IAM reads as 2008-10-17
	ID         Value
	Statements []Statement

	characters int // of the text as written
	size       int // characters without the white space between values, which IAM's quotas leave out
}

// Statement is one statement of a document. An element that is absent is nil; one that is there
// and empty is refused by Parse.
type Statement struct {
	Position                  // of its opening brace
	SID                       Value
	Effect                    Effect // Allow or Deny
	Principals, NotPrincipals []Principal
	Actions, NotActions       []Value
	Resources, NotResources   []Value
	Conditions                []Condition
}

// Principal is one principal that a statement names.
type Principal struct {
	Type Value // AWS, Federated, Service, CanonicalUser, or * for the bare "*"
	Value
}

// Condition is one key under one operator, with the values any of which satisfies it.
type Condition struct {
	Operator Value // as written, ForAnyValue:StringLikeIfExists for example
	Key      Value // as written
	Values   []Value
}

// Kind is the place where a document is attached, which decides its grammar.
type Kind string

// The kinds of documents.
const (
	Trust    Kind = "trust policy"
	Identity Kind = "identity-based policy"
	Session  Kind = "session policy"
	Boundary Kind = "permissions boundary"
	SCP      Kind = "service control policy"
)

// Request is one action on one resource.
type Request struct {
	Action   string // sts:AssumeRole for example
	Resource string // ARN of the resource
	Caller   Caller
	Context  Context
}

// Caller is who asks: a role's session, or with Federated alone, the bearer of a web identity token.
type Caller struct {
	Account    string // 12 digits; empty for a web identity
	RoleARN    string // arn:PARTITION:iam::ACCOUNT:role/PATH/NAME
	RoleID     string // AROA...; a trust policy keeps this id of the role that it names
	SessionARN string // arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION
	Federated  string // ARN of the OIDC provider that issued the token
}

// Decision is what one document says to a request.
type Decision struct {
	Effect    Effect
	Statement int    // index of the statement that decided; -1 when none did
	Misses    []Miss // why the other statements did not apply, in their order
	Principal Value  // the principal in a trust policy's deciding statement that named the caller

	// Delegates is true when the deciding Allow of a trust policy names the caller's account only: the
	// caller's own policies must then allow as well, even in the role's account.
	Delegates bool

	grant grant
}

// Miss is why a statement does not apply to a request: the first element that does not match.
type Miss struct {
	Statement int    // index
	Element   string // Principal, Action, NotAction, Resource, NotResource or Condition
	// For a Condition only:
	Operator, Key string   // as written
	Present       bool     // the key is in the request
	Got           []string // the request's values of the key
	Want          []string // the document's values, policy variables replaced
}
