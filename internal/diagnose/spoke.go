package diagnose

import (
	"fmt"
	"strings"
)

// spokeRefused explains that the hub's session was refused the spoke.
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
	words   string // behind "explicit deny in a" or "because no"
	where   string
	look    string // a command that shows it; HUB, SPOKE and ACCOUNT stand for the run's own
	ofSpoke bool   // it is looked up in the spoke's account
}

var sides = []side{
	{"identity-based policy", "the permission policies of the hub role", "aws iam list-attached-role-policies --role-name HUB\naws iam list-role-policies --role-name HUB", false},
	{"permissions boundary", "the permissions boundary of the hub role", "aws iam get-role --role-name HUB --query Role.PermissionsBoundary", false},
	{"session policy", "the session policy of the hub's session", "", false},
	{"service control policy", "a service control policy on the hub's account", "aws organizations list-policies-for-target --filter SERVICE_CONTROL_POLICY --target-id ACCOUNT", false},
	{"resource control policy", "a resource control policy on the spoke's account", "aws organizations list-policies-for-target --filter RESOURCE_CONTROL_POLICY --target-id ACCOUNT", true},
	{"role trust policy", "the trust policy of the spoke role", "aws iam get-role --role-name SPOKE --query Role.AssumeRolePolicyDocument", true},
}

// namedSide explains a refusal in which AWS says whose policy it is.
func (e explainer) namedSide(action string) (Explanation, bool) {
	message := strings.ToLower(e.failure.Message)
	for _, s := range sides {
		explicit := strings.Contains(message, "with an explicit deny in") && strings.Contains(message, s.words)
		implicit := strings.Contains(message, "because no "+s.words+" allows")
		if !explicit && !implicit {
			continue
		}
		account := e.Hub.AccountID
		if s.ofSpoke {
			account = e.Spoke.AccountID
		}
		c := Cause{Title: s.where + " does not allow " + action, Evidence: []string{"AWS names that policy in its answer"}}
		if strings.HasPrefix(s.where, "the permission policies") {
			c.Title = "the permission policies of the hub role do not allow " + action + " on the spoke"
		}
		if explicit {
			c.Title = s.where + " denies " + action
		}
		switch {
		case s.words == "session policy": // the hop's own: it denies every role but the spokes
			c.Evidence = append(c.Evidence, "this step narrows the hub's session to the three actions that a hop needs, on "+quoted(e.Spoke.String()))
			c.Fix = "compare role-to-assume with the ARN of the role, path and case included"
		case explicit:
			if strings.HasPrefix(s.where, "the permission policies") {
				c.Title = "a permission policy of the hub role denies " + action
			}
			c.Fix = "find the statement with Effect Deny; no Allow outweighs it"
		case s.words == "identity-based policy":
			c.Evidence = append(c.Evidence, "a trust policy that names the hub's account (:root) leaves the decision to them, and from another account they must allow in any case")
			c.Fix = "give the hub role this permission policy"
			c.Snippet = e.hubPermissions()
			return certain(c), true
		case s.words == "role trust policy":
			c.Fix = "the trust policy of the spoke role needs this statement"
			c.Snippet = e.spokeTrust()
			return certain(c), true
		default:
			c.Fix = "let it allow " + action + " on " + quoted(e.Spoke.String()) + ", which is for those who keep it"
		}
		if s.look != "" {
			look := strings.NewReplacer("HUB", shell(e.Hub.Name), "SPOKE", shell(e.Spoke.Name), "ACCOUNT", account).Replace(s.look)
			where := "what there is, in account " + account
			if strings.HasPrefix(s.look, "aws organizations") {
				where = "what there is, asked in the organization's management account"
			}
			c.Snippet = Snippet{"sh", where, look}
		}
		return certain(c), true
	}
	return Explanation{}, false
}

// trustRefused explains the refusal that gives no reason.
func (e explainer) trustRefused() Explanation {
	sent := "role-external-id is not set"
	if e.ExternalID {
		sent = "role-external-id is set"
	}
	tags := "no session tags are sent"
	if len(e.Tags) > 0 {
		var keys []string
		for _, t := range e.Tags {
			keys = append(keys, t.Key)
		}
		tags = "the session tags that are sent: " + quotedList(keys)
	}
	return Explanation{
		Causes: rank(
			weighed{60, Cause{
				Title:    "the trust policy of the spoke role does not name the hub role",
				Evidence: []string{"the hub role is " + quoted(e.Hub.String())},
				Fix: "look at the trust policy first. Where none of its statements names this hub role, and it is meant to get in, it needs this one too, under a Sid of its own. " +
					"Where one does, its conditions keep this run out, and this statement would let in whatever they keep out",
				Snippet: e.spokeTrust(),
			}},
			weighed{when(e.Claims.Get("sub") != "", 55, 0), Cause{
				Title:    "the trust policy of the spoke role is pinned to another environment or branch than this run's",
				Evidence: []string{e.subjectEvidence()},
				Fix:      "run the job in the environment, or from the branch, that its condition on the subject names; that condition is there to keep others out",
			}},
			weighed{when(e.ExternalID, 70, 50), Cause{
				Title:    "the trust policy of the spoke role wants " + map[bool]string{true: "another external id (sts:ExternalId)", false: "an external id (sts:ExternalId)"}[e.ExternalID],
				Evidence: []string{sent},
				Fix:      "set role-external-id to the value that the trust policy has, letter by letter",
			}},
			weighed{when(len(e.Tags) == 0, 55, 35), Cause{
				Title:    "the trust policy of the spoke role wants a tag, a source identity or a claim that this run does not have",
				Evidence: []string{tags},
				Fix:      "send what its conditions want (custom-tags, source-identity), or correct them; of the token's claims they can have sub and aud only",
			}},
			weighed{45, Cause{
				Title:    "the hub role was deleted and made again since the trust policy was saved",
				Evidence: []string{"IAM keeps a role's unique id in place of its ARN: the trust policy then shows an AROA... where the ARN was"},
				Fix:      "save the trust policy of the spoke role once more, with the ARN in it",
			}},
			weighed{40, Cause{
				Title:    "the spoke role does not exist",
				Evidence: []string{"the role that was asked for is " + quoted(e.Spoke.String()) + ", path and case included"},
				Fix:      "correct it in role-to-assume, or in its line of spokes",
			}},
		),
		Decide: e.simulateSpoke(),
	}
}

func (e explainer) tagSessionRefused() Explanation {
	return Explanation{
		Causes: rank(
			weighed{60, Cause{
				Title:    "the trust policy of the spoke role does not allow sts:TagSession to the hub role",
				Evidence: []string{fmt.Sprintf("sts:AssumeRole is allowed; the step sends %d session tags with it", len(e.Tags))},
				Fix:      "allow sts:TagSession there too, in a statement whose conditions this run meets; or hop without tags: role-skip-session-tagging: true",
				Snippet:  e.spokeTrust(),
			}},
			weighed{30, Cause{
				Title:    "the permission policies of the hub role do not allow sts:TagSession on the spoke",
				Evidence: []string{"where they are at fault AWS usually says so, and here it does not"},
				Fix:      "give the hub role this permission policy: from another account, both sides must allow",
				Snippet:  e.hubPermissions(),
			}},
		),
		Decide: e.simulateSpoke(),
	}
}

func (e explainer) sourceIdentityRefused() Explanation {
	already := e.Claims.Get("https://aws.amazon.com/source_identity")
	inherited := Cause{
		Title:    "the hub's session has a source identity already, which stays for the whole chain",
		Evidence: []string{"the token sets the source identity " + quoted(already)},
		Fix:      "leave source-identity empty, and let the spoke's trust policy and the hub's permissions allow sts:SetSourceIdentity",
	}
	set := "source-identity is " + quoted(e.SourceIdentity)
	return Explanation{
		Causes: rank(
			weighed{when(already != "" && e.SourceIdentity != "" && already != e.SourceIdentity, 80, 0), inherited},
			weighed{60, Cause{
				Title:    "the trust policy of the spoke role does not allow sts:SetSourceIdentity to the hub role",
				Evidence: []string{set},
				Fix:      "allow sts:SetSourceIdentity there too, or leave source-identity empty",
				Snippet:  e.spokeTrust(),
			}},
			weighed{30, Cause{
				Title:    "the permission policies of the hub role do not allow sts:SetSourceIdentity on the spoke",
				Evidence: []string{"where they are at fault AWS usually says so, and here it does not"},
				Fix:      "give the hub role this permission policy: from another account, both sides must allow",
				Snippet:  e.hubPermissions(),
			}},
		),
		Decide: e.simulateSpoke(),
	}
}
