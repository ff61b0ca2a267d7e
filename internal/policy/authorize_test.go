package policy

import (
	"strings"
	"testing"
)

// TestAuthorize holds the whole decision against the pages "Policy evaluation logic" and "Cross-account
// policy evaluation logic" of the IAM User Guide: what each way to name the caller needs on the caller's
// side, in the role's account and from another.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	const (
		hub     = "arn:aws:iam::123456789012:role/hub"
		session = "arn:aws:sts::123456789012:assumed-role/hub/s"
		near    = "arn:aws:iam::123456789012:role/near"
		far     = "arn:aws:iam::222222222222:role/far"
	)
	trusts := func(principal string) *Document {
		return parse(t, `{"Statement": {"Effect": "Allow", "Principal": `+principal+`, "Action": "sts:AssumeRole"}}`)
	}
	byAccount, byRole, bySession, byEveryone := trusts(`{"AWS": "123456789012"}`), trusts(`{"AWS": "`+hub+`"}`), trusts(`{"AWS": "`+session+`"}`), trusts(`"*"`)
	statement := func(effect Effect, action string) *Document {
		return parse(t, `{"Statement": {"Effect": "`+string(effect)+`", "Action": "`+action+`", "Resource": "*"}}`)
	}
	yes, no, never := statement(Allow, "sts:*"), statement(Allow, "s3:*"), statement(Deny, "sts:AssumeRole")
	list := func(ds ...*Document) []*Document { return ds }
	neverTrusts := parse(t, `{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:*"}, {"Effect": "Deny", "Principal": "*", "Action": "sts:*"}]}`)
	caller := Caller{Account: "123456789012", RoleARN: hub, RoleID: "AROAHUB", SessionARN: session}
	web := Caller{Federated: "arn:aws:iam::123456789012:oidc-provider/x.y"}

	for _, c := range []struct {
		name   string
		caller Caller
		role   string
		Policies
		want Side // zero: allowed
	}{
		{"far: both sides", caller, far, Policies{Trust: byRole, Identity: list(no, yes)}, Side{}},
		{"far: no identity policy", caller, far, Policies{Trust: byRole}, Side{Kind: Identity}},
		{"far: the session is named, no identity policy", caller, far, Policies{Trust: bySession}, Side{Kind: Identity}},
		{"far: everyone is trusted, no identity policy", caller, far, Policies{Trust: byEveryone}, Side{Kind: Identity}},
		{"far: no trust", caller, far, Policies{Trust: trusts(`{"AWS": "333333333333"}`), Identity: list(yes)}, Side{Kind: Trust}},
		{"far: no trust policy at all", caller, far, Policies{Identity: list(yes)}, Side{Kind: Trust}},
		{"far: neither side", caller, far, Policies{Trust: trusts(`{"AWS": "333333333333"}`)}, Side{Kind: Trust}},
		{"far: the session policy lacks it", caller, far, Policies{Trust: bySession, Identity: list(yes), Session: list(no)}, Side{Kind: Session}},
		{"far: one session policy has it", caller, far, Policies{Trust: byRole, Identity: list(yes), Session: list(no, yes)}, Side{}},
		{"far: the boundary lacks it", caller, far, Policies{Trust: bySession, Identity: list(yes), Boundary: no}, Side{Kind: Boundary}},
		{"far: a boundary does not grant", caller, far, Policies{Trust: byRole, Boundary: yes}, Side{Kind: Identity}},
		{"far: an SCP lacks it", caller, far, Policies{Trust: byRole, Identity: list(yes), SCPs: list(no)}, Side{Kind: SCP}},
		{"far: an SCP does not grant", caller, far, Policies{Trust: byRole, SCPs: list(yes)}, Side{Kind: Identity}},
		{"far: everything allows", caller, far, Policies{byRole, list(yes), yes, list(yes), list(yes)}, Side{}},

		{"near: the account is named, identity policy", caller, near, Policies{Trust: byAccount, Identity: list(yes)}, Side{}},
		{"near: the account is named, no identity policy", caller, near, Policies{Trust: byAccount}, Side{Kind: Identity}},
		{"near: the account is named, the boundary lacks it", caller, near, Policies{Trust: byAccount, Identity: list(yes), Boundary: no}, Side{Kind: Boundary}},
		{"near: the role is named, no identity policy", caller, near, Policies{Trust: byRole}, Side{}},
		{"near: the role's id is named, no identity policy", caller, near, Policies{Trust: trusts(`{"AWS": "AROAHUB"}`)}, Side{}},
		{"near: the role is named, the boundary lacks it", caller, near, Policies{Trust: byRole, Boundary: no}, Side{Kind: Boundary}},
		{"near: the role is named, the session policy lacks it", caller, near, Policies{Trust: byRole, Session: list(no)}, Side{Kind: Session}},
		{"near: the session is named, the boundary and session policy lack it", caller, near, Policies{Trust: bySession, Boundary: no, Session: list(no)}, Side{}},
		{"near: everyone is trusted, the boundary and session policy lack it", caller, near, Policies{Trust: byEveryone, Boundary: no, Session: list(no)}, Side{}},
		{"near: the session is named, an SCP lacks it", caller, near, Policies{Trust: bySession, SCPs: list(no)}, Side{Kind: SCP}},
		{"near: an identity policy alone does not open a role", caller, near, Policies{Trust: trusts(`{"AWS": "333333333333"}`), Identity: list(yes)}, Side{Kind: Trust}},

		{"deny in the trust policy", caller, far, Policies{Trust: neverTrusts, Identity: list(yes)}, Side{Trust, true}},
		{"deny in an identity policy", caller, far, Policies{Trust: byRole, Identity: list(yes, never)}, Side{Identity, true}},
		{"deny in an identity policy before the allow", caller, far, Policies{Trust: byRole, Identity: list(never, yes)}, Side{Identity, true}},
		{"deny in an identity policy, the session is named", caller, near, Policies{Trust: bySession, Identity: list(never)}, Side{Identity, true}},
		{"deny in the boundary, everyone is trusted", caller, near, Policies{Trust: byEveryone, Boundary: never}, Side{Boundary, true}},
		{"deny in a session policy, the session is named", caller, near, Policies{Trust: bySession, Session: list(yes, never)}, Side{Session, true}},
		{"deny in an SCP", caller, far, Policies{Trust: byRole, Identity: list(yes), SCPs: list(yes, never)}, Side{SCP, true}},
		{"a deny counts before what is missing", caller, far, Policies{Trust: byRole, Session: list(never)}, Side{Session, true}},

		{"web identity: trust alone", web, near, Policies{Trust: trusts(`{"Federated": "` + web.Federated + `"}`)}, Side{}},
		{"web identity: the caller's side does not exist", web, near, Policies{Trust: trusts(`{"Federated": "` + web.Federated + `"}`), Identity: list(never), Session: list(no), SCPs: list(no), Boundary: no}, Side{}},
		{"web identity: not trusted", web, near, Policies{Trust: byAccount}, Side{Kind: Trust}},
		{"web identity: denied", web, near, Policies{Trust: neverTrusts}, Side{Trust, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := Authorize(Request{Action: "sts:AssumeRole", Resource: c.role, Caller: c.caller}, c.Policies)
			if v.Side != c.want || v.Allowed != (c.want == Side{}) {
				t.Errorf("allowed %t, refused by %+v, want %+v", v.Allowed, v.Side, c.want)
			}
			for _, vote := range v.Votes {
				if vote.Document == nil || vote.Kind == "" {
					t.Errorf("vote %+v names no document", vote)
				}
				if strings.HasPrefix(c.name, "web identity") && vote.Kind != Trust {
					t.Errorf("a %s was asked about a web identity", vote.Kind)
				}
			}
		})
	}
}

func TestVotes(t *testing.T) {
	t.Parallel()
	trust := parse(t, `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}`)
	allow := parse(t, `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`)
	v := Authorize(Request{Action: "sts:AssumeRole", Resource: "arn:aws:iam::222222222222:role/x", Caller: Caller{Account: "123456789012"}},
		Policies{Trust: trust, Identity: []*Document{trust, allow}, Boundary: allow})
	var got []Vote
	for _, vote := range v.Votes {
		got = append(got, Vote{Kind: vote.Kind, Index: vote.Index, Document: vote.Document, Decision: Decision{Effect: vote.Decision.Effect}})
	}
	want := []Vote{
		{Trust, 0, trust, Decision{Effect: Allow}},
		{Identity, 0, trust, Decision{}},
		{Identity, 1, allow, Decision{Effect: Allow}},
		{Boundary, 0, allow, Decision{Effect: Allow}},
	}
	for i := range want {
		if len(got) != len(want) || got[i].Kind != want[i].Kind || got[i].Index != want[i].Index || got[i].Document != want[i].Document || got[i].Decision.Effect != want[i].Decision.Effect {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}
