// Package policy parses IAM policy documents and evaluates requests against them, as IAM does. Package chain
// determines the condition keys of a call to STS; the caller provides the role's policies. Package policy works
// offline and has no state.
package policy

// Effect is the effect of a statement or a decision.
type Effect string

// The effects. A decision that no statement made is Implicit, which refuses the request.
const (
	Allow    Effect = "Allow"
	Deny     Effect = "Deny"
	Implicit Effect = ""
)

// Position is a place in a document's text, 1-based; the column counts bytes.
type Position struct{ Line, Column int }

// Value is a string of a document with its position.
type Value struct {
	Text string
	Position
}

// Document is a policy document as written. Parse creates it; the zero value is an empty document, which allows
// nothing.
type Document struct {
	Version    Value // 2012-10-17 or 2008-10-17; empty when absent, which IAM reads as 2008-10-17
	ID         Value
	Statements []Statement

	characters int // of the text as written
	size       int // characters without the white space between values, which IAM's quotas do not count
}

// Statement is one statement of a document. An absent element is nil; Parse rejects an empty one.
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

// Condition is one key under one operator, with its values. Any one of the values satisfies it.
type Condition struct {
	Operator Value // as written, ForAnyValue:StringLikeIfExists for example
	Key      Value // as written
	Values   []Value
}

// Kind is the place where a document is attached, which determines its grammar.
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

// Caller is the identity that makes the request: a role's session, or with only Federated set, the bearer of a web
// identity token.
type Caller struct {
	Account    string // 12 digits; empty for a web identity
	RoleARN    string // arn:PARTITION:iam::ACCOUNT:role/PATH/NAME
	RoleID     string // AROA...; a trust policy stores this id of the role that it names
	SessionARN string // arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION
	Federated  string // ARN of the OIDC provider that issued the token
}

// Decision is one document's decision on a request.
type Decision struct {
	Effect    Effect
	Statement int    // index of the statement that decided; -1 when none did
	Misses    []Miss // why the other statements did not apply, in their order
	Principal Value  // the principal in a trust policy's deciding statement that named the caller

	// Delegates is true if the deciding Allow of a trust policy names only the caller's account: the caller's own
	// policies must then allow too, even in the role's account.
	Delegates bool

	grant grant
}

// Miss is the reason why a statement does not apply to a request: the first element that does not match.
type Miss struct {
	Statement int    // index
	Element   string // Principal, Action, NotAction, Resource, NotResource or Condition
	// For a Condition only:
	Operator, Key string   // as written
	Present       bool     // the key is in the request
	Got           []string // the request's values of the key
	Want          []string // the document's values, policy variables replaced
}
