package generate_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/generate"
	"github.com/org/hubspoke-chain/internal/lint"
	"github.com/org/hubspoke-chain/internal/policy"
)

// hopCase is one hub role and one spoke, with the policies that are constructed for their hop.
type hopCase struct {
	permissions generate.HubPermissions
	trust       generate.SpokeTrust
	spoke       string
	identity    *policy.Document
	spokeTrust  *policy.Document
	text        string
}

func newHopCase(t *testing.T, number uint64) hopCase {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, number))
	partition := pick(r, generate.Partitions...)
	role := func() string {
		path := pick(r, "/", "/", "/deploy/", "/a*b/", "/a?b/c/", "/${aws:userid}/", "/x:y/$/", `/"\<&/`)
		return fmt.Sprintf("arn:%s:iam::%012d:role%s%s", partition, r.Int64N(1e12), path, word(r, 20))
	}
	c := hopCase{spoke: role()}
	c.trust.HubRole = strings.NewReplacer("*", "x", "?", "y").Replace(role())
	c.trust.SkipTags, c.trust.SkipSourceIdentity = r.IntN(4) == 0, r.IntN(4) == 0
	c.permissions.SkipTags, c.permissions.SkipSourceIdentity = c.trust.SkipTags, c.trust.SkipSourceIdentity
	if r.IntN(2) == 0 {
		c.permissions.Spokes = []string{role(), c.spoke, role()}[r.IntN(2):]
		slices.Sort(c.permissions.Spokes)
		c.permissions.Spokes = slices.Compact(c.permissions.Spokes)
	} else {
		c.permissions.Tags = []chain.Tag{{Key: "hubspoke", Value: "spoke"}, {Key: "Stage", Value: "test"}, {Key: "Stage", Value: "prod"}}
		c.permissions.Partition = partition
		fields := strings.SplitN(c.spoke, ":", 6)
		if r.IntN(2) == 0 {
			c.permissions.AccountIDs = []string{"000000000000", fields[4]}
		}
		if path := strings.TrimPrefix(fields[5], "role"); r.IntN(2) == 0 {
			c.permissions.Path = path[:strings.LastIndex(path, "/")+1]
		}
	}
	if r.IntN(2) == 0 {
		hub := newHubCase(t, number)
		c.trust.Subjects, c.trust.Issuer, c.trust.Audience = hub.subjects[:1], hub.hub.Issuer, hub.hub.Audience
	}
	if r.IntN(3) == 0 {
		c.trust.ExternalID = "external:" + id(r)
	}
	if !c.trust.SkipTags && r.IntN(3) == 0 {
		c.trust.RequireTags = []chain.Tag{{Key: "Team", Value: "red"}, {Key: "Team", Value: "blue"}}
	}
	read := func(kind policy.Kind, roleARN string, from interface{ Document() ([]byte, error) }) *policy.Document {
		text, err := from.Document()
		if err != nil {
			t.Fatalf("policy %d: %+v: %v", number, from, err)
		}
		c.text += string(text)
		d, err := policy.Parse(text)
		if err == nil {
			err = d.Check(kind, roleARN)
		}
		if err != nil {
			t.Fatalf("policy %d: %v in\n%s", number, err, text)
		}
		return d
	}
	c.identity = read(policy.Identity, "", c.permissions)
	c.spokeTrust = read(policy.Trust, c.spoke, c.trust)
	return c
}

// hop is a call of AssumeRole, all of it as the policies want it.
type hop struct {
	hub, spoke string
	sent       map[string]string // tags of the session
	roleTags   map[string]string // of the spoke
	keys       map[string]string // other condition keys
}

func (c hopCase) hop() hop {
	h := hop{hub: c.trust.HubRole, spoke: c.spoke, sent: map[string]string{}, keys: map[string]string{},
		roleTags: map[string]string{"hubspoke": "spoke", "Stage": "prod", "other": "x"}}
	if !c.trust.SkipTags {
		h.sent = map[string]string{"Team": "blue", "Repository": "octo-org/octo-repo"}
	}
	if c.trust.ExternalID != "" {
		h.keys["sts:ExternalId"] = c.trust.ExternalID
	}
	if len(c.trust.Subjects) > 0 {
		h.keys[c.trust.Issuer.String()+":sub"] = c.trust.Subjects[0]
		h.keys[c.trust.Issuer.String()+":aud"] = c.audience()
	}
	return h
}

func (c hopCase) audience() string {
	switch {
	case c.trust.Audience != "":
		return c.trust.Audience
	case strings.HasPrefix(c.trust.HubRole, "arn:aws-cn:"):
		return "sts.amazonaws.com.cn"
	}
	return "sts.amazonaws.com"
}

// allowed reports whether the policies allow every action of the call.
func (c hopCase) allowed(h hop, actions ...string) bool {
	ctx := policy.Context{}
	for key, value := range h.keys {
		ctx.Set(key, value)
	}
	for key, value := range h.roleTags {
		ctx.Set("iam:ResourceTag/"+key, value)
	}
	for key, value := range h.sent {
		ctx.Set("aws:RequestTag/"+key, value)
	}
	caller := policy.Caller{Account: strings.Split(h.hub, ":")[4], RoleARN: h.hub, RoleID: "AROAEXAMPLEEXAMPLE123", SessionARN: "arn:aws:sts::123456789012:assumed-role/hub/gh-1-1"}
	for _, action := range actions {
		v := policy.Authorize(policy.Request{Action: action, Resource: h.spoke, Caller: caller, Context: ctx},
			policy.Policies{Trust: c.spokeTrust, Identity: []*policy.Document{c.identity}})
		if !v.Allowed {
			return false
		}
	}
	return true
}

// permits reports whether the hub's permission policy, evaluated alone, allows the spoke.
func (c hopCase) permits(spoke string, roleTags map[string]string) bool {
	ctx := policy.Context{}
	for key, value := range roleTags {
		ctx.Set("iam:ResourceTag/"+key, value)
	}
	return c.identity.Decide(policy.Identity, policy.Request{Action: "sts:AssumeRole", Resource: spoke, Context: ctx}).Effect == policy.Allow
}

// TestConstructedHop checks that generated permissions and a generated spoke trust allow their hop and no other.
func TestConstructedHop(t *testing.T) {
	t.Parallel()
	for number := range uint64(500) {
		c := newHopCase(t, number)
		actions := []string{"sts:AssumeRole"}
		for action, skipped := range map[string]bool{"sts:TagSession": c.trust.SkipTags, "sts:SetSourceIdentity": c.trust.SkipSourceIdentity} {
			if !skipped {
				actions = append(actions, action)
			} else if c.allowed(c.hop(), action) {
				t.Fatalf("policy %d: allows %s by\n%s", number, action, c.text)
			}
		}
		if !c.allowed(c.hop(), actions...) {
			t.Fatalf("policy %d: refuses %+v by\n%s", number, c.hop(), c.text)
		}
		refuse := func(how string, change func(*hop)) {
			h := c.hop()
			change(&h)
			if c.allowed(h, "sts:AssumeRole") {
				t.Fatalf("policy %d: %s: allows %+v by\n%s", number, how, h, c.text)
			}
		}
		for _, action := range []string{"sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:GetFederationToken"} {
			if c.allowed(c.hop(), action) {
				t.Fatalf("policy %d: allows %s by\n%s", number, action, c.text)
			}
		}
		for _, m := range mutateARN(c.trust.HubRole) {
			refuse("hub "+m.how, func(h *hop) { h.hub = m.text })
		}
		for key, value := range c.hop().keys {
			for _, n := range append(names(value), mutation{"empty", ""}) {
				refuse(key+" "+n.how, func(h *hop) { h.keys[key] = n.text })
			}
			refuse("no "+key, func(h *hop) { delete(h.keys, key) })
		}
		if len(c.trust.RequireTags) > 0 {
			refuse("another tag", func(h *hop) { h.sent["Team"] = "Red" })
			refuse("no tag", func(h *hop) { delete(h.sent, "Team") })
		}
		c.tryPermissions(t, number)
	}
}

// tryPermissions evaluates roles that are nearly a spoke.
func (c hopCase) tryPermissions(t *testing.T, number uint64) {
	t.Helper()
	tags := c.hop().roleTags
	if len(c.permissions.Tags) == 0 {
		for _, m := range mutateARN(c.spoke) {
			if want := slices.Contains(c.permissions.Spokes, m.text); c.permits(m.text, tags) != want {
				t.Fatalf("policy %d: %s: permits %q: %t by\n%s", number, m.how, m.text, !want, c.text)
			}
		}
		return
	}
	for _, wrong := range []map[string]string{
		{}, {"hubspoke": "spoke"}, {"Stage": "prod"}, {"hubspoke": "Spoke", "Stage": "prod"}, {"hubspoke": "spoke", "Stage": "*"}, {"hubspoke": "spoke2", "Stage": "test"},
	} {
		if c.permits(c.spoke, wrong) {
			t.Fatalf("policy %d: permits %q with the tags %v by\n%s", number, c.spoke, wrong, c.text)
		}
	}
	fields := strings.SplitN(c.spoke, ":", 6)
	elsewhere := func(i int, value string) string {
		f := slices.Clone(fields)
		f[i] = value
		return strings.Join(f, ":")
	}
	wrong := []string{elsewhere(1, "aws-x"), elsewhere(2, "sts"), elsewhere(5, "user/x"), elsewhere(5, strings.ToUpper(fields[5]))}
	if len(c.permissions.AccountIDs) > 0 {
		wrong = append(wrong, elsewhere(4, "999999999999"), elsewhere(4, "*"))
	}
	if path := c.permissions.Path; path != "" && path != "/" {
		wrong = append(wrong, elsewhere(5, "role/x"), elsewhere(5, "role/x"+path+"x"), elsewhere(5, "role"+path[:len(path)-1]),
			elsewhere(5, strings.NewReplacer("*", "Z", "?", "Z", "$", "Z").Replace("role"+path+"x")))
	}
	for _, arn := range wrong {
		// The path of some has no character that a wildcard could stand for: those are right after all.
		if arn != elsewhere(5, "role"+c.permissions.Path+"x") && c.permits(arn, tags) {
			t.Fatalf("policy %d: permits %q by\n%s", number, arn, c.text)
		}
	}
}

// mutateARN gives ARNs that are nearly that of a role.
func mutateARN(arn string) []mutation {
	fields := strings.SplitN(arn, ":", 6)
	slash := strings.LastIndex(arn, "/") + 1
	name, path := arn[slash:], arn[:slash]
	var all []mutation
	for _, n := range names(name) {
		all = append(all, mutation{"role " + n.how, path + n.text})
	}
	for how, text := range map[string]string{
		"in another account":       strings.Replace(arn, fields[4], "999999999999", 1),
		"in any account":           strings.Replace(arn, fields[4], "*", 1),
		"in another partition":     strings.Replace(arn, fields[1], "aws-x", 1),
		"with a path more":         path + "x/" + name,
		"of another service":       strings.Replace(arn, ":iam:", ":sts:", 1),
		"that is a user":           strings.Replace(arn, ":role/", ":user/", 1),
		"with the wildcard filled": strings.NewReplacer("*", "Z", "?", "Z").Replace(path) + name,
		"with a region":            strings.Replace(arn, ":iam:", ":iam:us-east-1", 1),
		"cut off":                  arn[:len(arn)-1],
		"with a space":             arn + " ",
		"empty":                    "arn:aws:iam::123456789012:role/",
	} {
		if text != arn {
			all = append(all, mutation{how, text})
		}
	}
	return all
}

// TestConstructedLintsClean checks that lint reports nothing about a generated document, except what was requested: a
// custom audience or that of another partition, subjects without IDs, hops without tags or source identity, and a
// document that is nearly full.
func TestConstructedLintsClean(t *testing.T) {
	t.Parallel()
	clean := func(number uint64, text []byte, err error, kind lint.Kind, expected map[string]bool) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range lint.Lint(kind, lint.File{Name: "policy.json", Data: text}) {
			if f.Severity == lint.Error || !expected[f.Rule] {
				t.Fatalf("policy %d: %s: %s in\n%s", number, f.Rule, f.Message, text)
			}
		}
	}
	expected := func(audience string, legacy bool) map[string]bool {
		return map[string]bool{
			"size-limit": true, "audience-unknown": audience != "", "partition-mismatch": audience == "sts.amazonaws.com", "subject-legacy-only": legacy,
		}
	}
	for number := uint64(0); number < policies; number += 8 {
		c := newHubCase(t, number)
		clean(number, c.text, nil, lint.Trust, expected(c.hub.Audience, c.hub.Form == generate.Legacy))
	}
	for number := range uint64(250) {
		c := newHopCase(t, number)
		legacy := len(c.trust.Subjects) > 0 && !strings.Contains(c.trust.Subjects[0], "@")
		rules := expected(c.trust.Audience, legacy)
		rules["tagsession-missing"], rules["setsourceidentity-missing"] = c.trust.SkipTags, c.trust.SkipSourceIdentity
		text, err := c.permissions.Document()
		clean(number, text, err, lint.Permissions, rules)
		text, err = c.trust.Document()
		clean(number, text, err, lint.Trust, rules)
	}
}
