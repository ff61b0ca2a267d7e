package hop

import (
	"encoding/json"
	"fmt"
	"strings"
)

// HubPolicy returns the inline session policy that narrows a hub session to its batch of spoke roles. An implicit
// deny of a session policy does not limit what a resource-based policy grants to the session or to everyone; an
// explicit Deny does. So the policy denies every other action, and these actions on every other resource.
//
// Source: IAM User Guide, "Policy evaluation logic", session policies. The roles are listed once, which leaves room
// for 17 to 38 of them in MaxPolicy.
func HubPolicy(roles []ARN) string {
	type statement struct {
		Effect      string
		Action      []string `json:",omitempty"`
		NotAction   []string `json:",omitempty"`
		Resource    string   `json:",omitempty"`
		NotResource []string `json:",omitempty"`
	}
	actions := []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}
	resources := make([]string, len(roles))
	for i, role := range roles {
		resources[i] = literal.Replace(role.String())
	}
	return encode(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{
		{Effect: "Allow", Action: actions, Resource: "*"},
		{Effect: "Deny", NotAction: actions, Resource: "*"},
		{Effect: "Deny", Action: actions, NotResource: resources},
	}})
}

// literal escapes what IAM would read as a wildcard or a variable. IAM allows all three in a role's path.
// Source: IAM User Guide, "IAM policy elements: Variables and tags", special characters.
var literal = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")

// encode leaves <, > and & as they are: a role's path may hold them, and escaped they are six characters.
func encode(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // strings always marshal
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// CheckSpoke returns an error if the role's ARN alone does not fit a session policy: a path may have 512 characters,
// of which some take four in a policy.
func CheckSpoke(role ARN) error {
	if n := len(HubPolicy([]ARN{role})); n > MaxPolicy {
		return fmt.Errorf("%q is too long: the session policy that names it has %d characters, and AWS allows %d; use a role with a shorter path", role, n, MaxPolicy)
	}
	return nil
}

// batches splits the spokes' roles, each once and in the order of the spokes, into as few batches as possible whose
// policies fit MaxPolicy.
func batches(spokes []Spoke) ([][]ARN, error) {
	var roles []ARN
	seen := map[ARN]bool{}
	for _, spoke := range spokes {
		if err := CheckSpoke(spoke.Role); err != nil {
			return nil, &Error{Stage: StageSpoke, Role: spoke.Role.String(), Err: err}
		}
		if !seen[spoke.Role] {
			seen[spoke.Role] = true
			roles = append(roles, spoke.Role)
		}
	}
	var all [][]ARN
	for len(roles) > 0 {
		n := 1
		for n < len(roles) && len(HubPolicy(roles[:n+1])) <= MaxPolicy {
			n++
		}
		all = append(all, roles[:n])
		roles = roles[n:]
	}
	return all, nil
}
