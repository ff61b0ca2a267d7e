package policy

// Policies are the documents that apply to one action on a role.
type Policies struct {
	Trust    *Document   // the role's own
	Identity []*Document // attached to the caller's role
	Boundary *Document   // of the caller's role; nil: none
	Session  []*Document // passed when the caller's session was created, inline and managed; empty: none
	SCPs     []*Document // of the caller's account, at one level of its organization; empty: none in force
}

// Side identifies the policies that refused, and how they refused.
type Side struct {
	Kind     Kind // empty when the request is allowed
	Explicit bool // by a Deny; otherwise nothing of that kind allows the action
}

// Verdict is the whole decision, with the decision of each document.
type Verdict struct {
	Allowed bool
	Side    Side
	Votes   []Vote // in the order in which the sides are evaluated
}

// Vote is one document's decision.
type Vote struct {
	Kind     Kind
	Index    int // of the document within its kind
	Document *Document
	Decision Decision
}

// Authorize decides one action on a role, in AWS's order: an explicit deny anywhere, then service control
// policies, the role's trust policy, and the caller's identity-based policies, permissions boundary and
// session policies ("Policy evaluation logic", IAM User Guide).
//
// A trust policy must always allow: with KMS's key policies it is the exception among resource-based
// policies. From another account, the caller's own policies must allow as well ("Cross-account policy
// evaluation logic"). In the role's own account it depends on whom the trust policy names:
//
//   - the account: it delegates, and all of the caller's policies must allow;
//   - the caller's role: no identity-based policy is needed, but an implicit deny of the permissions
//     boundary or of a session policy still limits it;
//   - the session, or everyone: "permissions granted directly to a session are not limited by an implicit
//     deny in an identity-based policy, a permissions boundary, or session policy"; of "*" the page "AWS
//     JSON policy elements: Principal" says the same.
//
// The bearer of a web identity token has no policies of its own: the trust policy alone decides. Resource
// control policies are not modelled.
func Authorize(r Request, p Policies) Verdict {
	var v Verdict
	ask := func(kind Kind, documents ...*Document) Decision {
		best := Decision{Statement: -1}
		for i, d := range documents {
			if d == nil {
				continue
			}
			decision := d.Decide(kind, r)
			v.Votes = append(v.Votes, Vote{kind, i, d, decision})
			if best.Effect == Implicit || decision.Effect == Deny {
				best = decision
			}
		}
		return best
	}
	own := r.Caller.Federated == "" || r.Caller.Account != ""
	if !own {
		p = Policies{Trust: p.Trust}
	}
	type side struct {
		kind     Kind
		decision Decision
		required bool // its implicit deny refuses the request
	}
	scp := ask(SCP, p.SCPs...)
	trust := ask(Trust, p.Trust)
	identity := ask(Identity, p.Identity...)
	boundary := ask(Boundary, p.Boundary)
	session := ask(Session, p.Session...)

	least := trust.grant
	if own && Account(r.Resource) != r.Caller.Account {
		least = grantAccount
	}
	sides := []side{
		{SCP, scp, len(p.SCPs) > 0},
		{Trust, trust, true},
		{Identity, identity, own && least <= grantAccount},
		{Boundary, boundary, p.Boundary != nil && least <= grantRole},
		{Session, session, len(p.Session) > 0 && least <= grantRole},
	}
	for _, s := range sides {
		if s.decision.Effect == Deny {
			v.Side = Side{s.kind, true}
			return v
		}
	}
	for _, s := range sides {
		if s.required && s.decision.Effect != Allow {
			v.Side = Side{Kind: s.kind}
			return v
		}
	}
	v.Allowed = true
	return v
}
