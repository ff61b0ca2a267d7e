package generate

import (
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/policy"
)

// HubPermissions is the permission policy of a hub role: which spokes it may assume, given by either Spokes or Tags.
type HubPermissions struct {
	Spokes []string // ARNs of roles, all of one partition

	Tags       []chain.Tag // a spoke must have every key, with one of the values given for it
	Partition  string      // with Tags: aws if empty
	AccountIDs []string    // with Tags: accounts of the spokes, 12 digits each; empty for any account
	Path       string      // with Tags: path of the spokes, such as /deploy/, including paths below it; empty for any path

	SkipTags           bool // without sts:TagSession
	SkipSourceIdentity bool // without sts:SetSourceIdentity
}

// Document returns the policy as JSON, indented by two spaces, for --policy-document. Its errors are Problems.
func (p HubPermissions) Document() ([]byte, error) {
	if problems := p.check(); problems != nil {
		return nil, problems
	}
	s := statement{SID: "HopToTheSpokes", Effect: policy.Allow}
	s.Action = oneOrMore(actions(p.SkipTags, p.SkipSourceIdentity))
	var what string
	var resources []string
	if len(p.Tags) > 0 {
		s.SID, what, resources = "HopToTaggedSpokes", "accounts", p.taggedResources()
		equals := map[string]any{}
		for key, values := range grouped(p.Tags, tagPair) {
			equals["iam:ResourceTag/"+key] = oneOrMore(values)
		}
		s.Condition = &condition{equals}
	} else {
		what = "roles"
		for _, arn := range p.Spokes {
			resources = append(resources, escapeWildcards(arn))
		}
	}
	return write(policy.Identity, "", what, len(resources), func(n int) document {
		limited := s
		limited.Resource = oneOrMore(resources[:n])
		return document{"2012-10-17", []statement{limited}}
	})
}

// taggedResources returns patterns for the roles, by account and path. A * for the account is safe: a role in
// another organization's account must still trust the hub and have the tag.
func (p HubPermissions) taggedResources() []string {
	accounts := p.AccountIDs
	if len(accounts) == 0 {
		accounts = []string{"*"}
	}
	var patterns []string
	for _, id := range accounts {
		path := escapeWildcards(orElse(p.Path, "/"))
		patterns = append(patterns, "arn:"+orElse(p.Partition, "aws")+":iam::"+id+":role"+path+"*")
	}
	return patterns
}

// escapeWildcards escapes what IAM reads as a wildcard or a variable: the path of a role may contain all of them.
func escapeWildcards(s string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(s)
}

func (h HubPermissions) check() Problems {
	var p Problems
	switch {
	case len(h.Spokes) == 0 && len(h.Tags) == 0:
		p.add("role-to-assume", "is missing: give the ARN of a spoke, or a role-tag that the spokes have")
	case len(h.Spokes) > 0 && len(h.Tags) > 0:
		p.add("role-tag", "cannot be combined with role-to-assume: give the spokes by ARN or by tag")
	case len(h.Tags) == 0:
		for _, of := range []struct {
			field string
			given bool
		}{{"account-id", len(h.AccountIDs) > 0}, {"partition", h.Partition != ""}, {"role-path", h.Path != ""}} {
			if of.given {
				p.add(of.field, "requires role-tag: the ARN of a spoke already contains it")
			}
		}
	}
	once(&p, "role-to-assume", h.Spokes, func(s string) string { return s })
	first := ""
	for _, arn := range h.Spokes {
		if !p.role("role-to-assume", arn) {
			continue
		}
		if first = orElse(first, arn); policy.Partition(arn) != policy.Partition(first) {
			p.add("role-to-assume", "%q is in another partition than %q: a session cannot cross partitions", arn, first)
		}
	}
	p.tags("role-tag", h.Tags)
	p.partition("partition", h.Partition)
	once(&p, "account-id", h.AccountIDs, func(s string) string { return s })
	for _, id := range h.AccountIDs {
		p.account("account-id", id)
	}
	if h.Path != "" && !pathPattern().MatchString(h.Path) {
		p.add("role-path", "%q is not the path of a role, which begins and ends with / and has "+
			"up to 512 printable characters", h.Path)
	}
	return p
}
