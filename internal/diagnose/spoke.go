package diagnose

import (
	"fmt"
	"strings"
)

// spokeRefused explains that AWS denied the hub's session the spoke.
func (e explainer) spokeRefused() Explanation {
	action := "sts:AssumeRole"
	for _, other := range []string{"sts:TagSession", "sts:SetSourceIdentity"} {
		if e.failure.Denies(other) {
			action = other
		}
	}
	if x, named := e.namedSide(action); named {
		return x
	}
	switch action {
	case "sts:TagSession":
		return e.tagSessionRefused()
	case "sts:SetSourceIdentity":
		return e.sourceIdentityRefused()
	}
	return e.trustRefused()
}

// side is one kind of policy as AWS names it in a refusal ("Troubleshoot access denied error messages", IAM
// User Guide), and where to look for it.
type side struct {
	words   string // after "explicit deny in a" or "because no"
	where   string
	look    string // a command that shows it; HUB, SPOKE and ACCOUNT stand for the run's own
	ofSpoke bool   // it is in the spoke's account
}

var sides = []side{
	{"identity-based policy", "the permission policies of the hub role", "aws iam list-attached-role-policies --role-name HUB\naws iam list-role-policies --role-name HUB", false},
	{"permissions boundary", "the permissions boundary of the hub role", "aws iam get-role --role-name HUB --query Role.PermissionsBoundary", false},
	{"session policy", "the session policy of the hub's session", "", false},
	{"service control policy", "a service control policy on the hub's account", "aws organizations list-policies-for-target --filter SERVICE_CONTROL_POLICY --target-id ACCOUNT", false},
	{"resource control policy", "a resource control policy on the spoke's account", "aws organizations list-policies-for-target --filter RESOURCE_CONTROL_POLICY --target-id ACCOUNT", true},
	{"role trust policy", "the trust policy of the spoke role", "aws iam get-role --role-name SPOKE --query Role.AssumeRolePolicyDocument", true},
}

// namedSide explains a refusal in which AWS names the policy.
func (e explainer) namedSide(action string) (Explanation, bool) {
	message := strings.ToLower(e.failure.Message)
	for _, s := range sides {
		explicit := strings.Contains(message, "with an explicit deny in") && strings.Contains(message, s.words)
		implicit := strings.Contains(message, "because no "+s.words+" allows")
		if !explicit && !implicit {
			continue
		}
		account := e.plan.Hub.AccountID
		if s.ofSpoke {
			account = e.spoke.AccountID
		}
		c := Cause{Title: s.where + " does not allow " + action, Evidence: []string{"AWS names that policy in its message"}}
		if strings.HasPrefix(s.where, "the permission policies") {
			c.Title = "the permission policies of the hub role do not allow " + action + " on the spoke"
		}
		if explicit {
			c.Title = s.where + " denies " + action
		}
		switch {
		case s.words == "session policy": // the hop's own: it denies every role but the spokes
			c.Evidence = append(c.Evidence, "this step narrows the hub's session to the three actions that a hop needs, on "+quoted(e.spoke.String()))
			c.Fix = "compare role-to-assume with the ARN of the role, path and case included"
		case explicit:
			if strings.HasPrefix(s.where, "the permission policies") {
				c.Title = "a permission policy of the hub role denies " + action
			}
			c.Fix = "find the statement with Effect Deny; no Allow overrides it"
		case s.words == "identity-based policy":
			c.Evidence = append(c.Evidence, "a trust policy that names the hub's account (:root) leaves the decision to them, and for another account they must allow in any case")
			c.Fix = "add this permission policy to the hub role"
			c.Snippet = e.hubPermissions()
			return certain(c), true
		case s.words == "role trust policy":
			c.Fix = "the trust policy of the spoke role needs this statement"
			c.Snippet = e.spokeTrust()
			return certain(c), true
		default:
			c.Fix = "allow " + action + " on " + quoted(e.spoke.String()) + ", which its owners must decide"
		}
		if s.look != "" {
			look := strings.NewReplacer("HUB", shell(e.plan.Hub.Name), "SPOKE", shell(e.spoke.Name), "ACCOUNT", account).Replace(s.look)
			where := "what exists, in account " + account
			if strings.HasPrefix(s.look, "aws organizations") {
				where = "what exists, from the organization's management account"
			}
			c.Snippet = Snippet{"sh", where, look}
		}
		return certain(c), true
	}
	return Explanation{}, false
}

// trustRefused explains the refusal without a reason.
func (e explainer) trustRefused() Explanation {
	sent := "role-external-id is not set"
	if e.plan.ExternalID != "" {
		sent = "role-external-id is set"
	}
	tags := "no session tags are sent"
	if len(e.plan.Tags) > 0 {
		var keys []string
		for _, t := range e.plan.Tags {
			keys = append(keys, t.Key)
		}
		tags = "the session tags that are sent: " + quotedList(keys)
	}
	return Explanation{
		Causes: rank(
			weighed{60, Cause{
				Title:    "the trust policy of the spoke role does not name the hub role",
				Evidence: []string{"the hub role is " + quoted(e.plan.Hub.String())},
				Fix: "read the trust policy first. If none of its statements names this hub role, and the role should be allowed, add this one with a unique Sid. " +
					"If one does, its conditions exclude this run, and this statement would allow what they exclude",
				Snippet: e.spokeTrust(),
			}},
			weighed{when(e.claims.Get("sub") != "", 55, 0), Cause{
				Title:    "the trust policy of the spoke role is pinned to another environment or branch than this run's",
				Evidence: []string{e.subjectEvidence()},
				Fix:      "run the job in the environment, or from the branch, that its condition on the subject names; that condition excludes all others",
			}},
			weighed{when(e.plan.ExternalID != "", 70, 50), Cause{
				Title:    "the trust policy of the spoke role requires " + map[bool]string{true: "another external id (sts:ExternalId)", false: "an external id (sts:ExternalId)"}[e.plan.ExternalID != ""],
				Evidence: []string{sent},
				Fix:      "set role-external-id to exactly the value in the trust policy",
			}},
			weighed{when(len(e.plan.Tags) == 0, 55, 35), Cause{
				Title:    "the trust policy of the spoke role requires a tag, a source identity or a claim that this run does not have",
				Evidence: []string{tags},
				Fix:      "send what its conditions want (custom-tags, source-identity), or correct them; of the token's claims they can have sub and aud only",
			}},
			weighed{45, Cause{
				Title:    "the hub role was deleted and created again after the trust policy was saved",
				Evidence: []string{"IAM stores a role's unique id instead of its ARN: the trust policy then shows an AROA... where the ARN was"},
				Fix:      "save the trust policy of the spoke role once more, with the ARN in it",
			}},
			weighed{40, Cause{
				Title:    "the spoke role does not exist",
				Evidence: []string{"the requested role is " + quoted(e.spoke.String()) + ", path and case included"},
				Fix:      "correct role-to-assume, or its line of spokes",
			}},
		),
		Decide: e.simulateSpoke(),
	}
}

func (e explainer) tagSessionRefused() Explanation {
	return e.actionRefused("sts:TagSession", fmt.Sprintf("sts:AssumeRole is allowed; the step sends %d session tags with it", len(e.plan.Tags)),
		"allow sts:TagSession there too, in a statement whose conditions this run meets; or send no tags: role-skip-session-tagging: true")
}

func (e explainer) sourceIdentityRefused() Explanation {
	already := e.claims.Get("https://aws.amazon.com/source_identity")
	return e.actionRefused("sts:SetSourceIdentity", "source-identity is "+quoted(e.plan.SourceIdentity),
		"allow sts:SetSourceIdentity there too, or leave source-identity empty",
		weighed{when(already != "" && e.plan.SourceIdentity != "" && already != e.plan.SourceIdentity, 80, 0), Cause{
			Title:    "the hub's session already has a source identity, which stays for the whole chain",
			Evidence: []string{"the token sets the source identity " + quoted(already)},
			Fix:      "leave source-identity empty, and let the spoke's trust policy and the hub's permissions allow sts:SetSourceIdentity",
		}})
}

// actionRefused explains the refusal of an action besides sts:AssumeRole: either side may lack it.
func (e explainer) actionRefused(action, evidence, fix string, others ...weighed) Explanation {
	return Explanation{
		Causes: rank(append(others,
			weighed{60, Cause{
				Title:    "the trust policy of the spoke role does not allow " + action + " to the hub role",
				Evidence: []string{evidence},
				Fix:      fix,
				Snippet:  e.spokeTrust(),
			}},
			weighed{30, Cause{
				Title:    "the permission policies of the hub role do not allow " + action + " on the spoke",
				Evidence: []string{"AWS usually names them when they are the cause, and here it does not"},
				Fix:      "add this permission policy to the hub role: across accounts, both sides must allow",
				Snippet:  e.hubPermissions(),
			}},
		)...),
		Decide: e.simulateSpoke(),
	}
}
