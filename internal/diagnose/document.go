package diagnose

import (
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/generate"
	"github.com/org/hubspoke-chain/internal/idtoken"
	"github.com/org/hubspoke-chain/internal/pattern"
)

// subject is a parsed subject of GitHub's standard forms.
type subject struct {
	repository generate.Repository
	context    string // environment, pull_request or ref
	value      string // of environment and ref
}

// standardSubject is compiled when it is first used: most hops need no explanation.
var standardSubject = pattern.Lazy(`^repo:([^:]+):(environment:[^:]+|pull_request|ref:[^:]+)$`)

// subject parses the token's subject; false when it is customized or there is no token.
func (e explainer) subject() (subject, bool) {
	m := standardSubject().FindStringSubmatch(e.claims.Subject)
	if m == nil || e.claims.SubjectForm() == idtoken.Customized {
		return subject{}, false
	}
	repository, err := generate.ParseRepository(m[1])
	if err != nil {
		return subject{}, false
	}
	kind, value, _ := strings.Cut(m[2], ":")
	return subject{repository, kind, strings.ReplaceAll(value, "%3A", ":")}, true // as GitHub escapes a colon
}

// issuer returns the token's issuer as IAM names it, without https://; github.com's when there is no token.
func (e explainer) issuer() string {
	if issuer, found := strings.CutPrefix(e.claims.Issuer, "https://"); found {
		return issuer
	}
	return generate.Issuer{}.String()
}

// provider returns the ARN of the issuer's OIDC provider in the hub's account.
func (e explainer) provider() string {
	return "arn:" + e.plan.Hub.Partition + ":iam::" + e.plan.Hub.AccountID + ":oidc-provider/" + e.issuer()
}

// githubIssuer returns which of GitHub's issuers issued the token; false for any other.
func (e explainer) githubIssuer() (generate.Issuer, bool) {
	host, path, _ := strings.Cut(e.issuer(), "/")
	residency, found := strings.CutPrefix(host, "token.actions.")
	issuer := generate.Issuer{Enterprise: path}
	switch {
	case path == "_services/token":
		issuer = generate.Issuer{GHES: host}
	case found && strings.HasSuffix(residency, ".ghe.com"):
		issuer.GHECom = strings.TrimSuffix(residency, ".ghe.com")
	}
	return issuer, issuer.String() == e.issuer()
}

// hubTrust returns a trust policy of the hub that allows exactly this job's subject. It is empty for a subject that
// generate does not support, a customized one for example.
func (e explainer) hubTrust() Snippet {
	s, standard := e.subject()
	issuer, known := e.githubIssuer()
	if !standard || !known {
		return Snippet{}
	}
	trust := generate.HubTrust{
		Partition: e.plan.Hub.Partition, AccountID: e.plan.Hub.AccountID, Issuer: issuer, Audience: e.plan.Audience,
		Repositories: []generate.Repository{s.repository}, Form: generate.SubjectForm(e.claims.SubjectForm()), PullRequest: s.context == "pull_request",
	}
	switch s.context {
	case "environment":
		trust.Environments = []string{s.value}
	case "ref":
		trust.Refs = []string{s.value}
	}
	return document("trust policy of "+quoted(e.plan.Hub.String()), trust.Document)
}

// hubPermissions returns a permission policy of the hub for this spoke.
func (e explainer) hubPermissions() Snippet {
	permissions := generate.HubPermissions{Spokes: []string{e.spoke.String()}}
	return document("permission policy of "+quoted(e.plan.Hub.String()), permissions.Document)
}

// spokeTrust returns a trust policy of the spoke that allows the hub.
func (e explainer) spokeTrust() Snippet {
	return document("trust policy of "+quoted(e.spoke.String()), generate.SpokeTrust{HubRole: e.plan.Hub.String()}.Document)
}

// document returns an empty snippet for values that IAM would not accept: then there is nothing to paste.
func document(where string, make func() ([]byte, error)) Snippet {
	text, err := make()
	if err != nil {
		return Snippet{}
	}
	return Snippet{Language: "json", Where: where, Text: strings.TrimSuffix(string(text), "\n")}
}

// getRole returns the command that reads a role.
func getRole(name string) string { return "aws iam get-role --role-name " + shell(name) }

// commandWidth is where a long command continues in the next line, in bytes.
const commandWidth = 100

// command returns the lines of a command, each with as many words as fit.
func command(start []string, words []string) []string {
	lines := start
	for _, word := range words {
		last := len(lines) - 1
		if strings.HasPrefix(lines[last], "    ") && len(lines[last])+len(word) < commandWidth {
			lines[last] += " " + word
			continue
		}
		lines[last] += ` \`
		lines = append(lines, "    "+word)
	}
	return lines
}

func credentialsOf(accountID string) string { return "# with credentials of account " + accountID }

// simulateHub returns the command that evaluates the deployed trust policy of the hub for this token.
func (e explainer) simulateHub() []string {
	words := []string{"| hubspoke-chain simulate --hub-trust - --hub-role-to-assume " + shell(e.plan.Hub.String())}
	words = append(words, e.subjectFlags()...)
	if chain.CarriesClaims(e.issuer()) {
		for _, name := range chain.ClaimNames {
			if value := e.claims.Get(name); value != "" {
				words = append(words, "--claim "+shell(name+"="+value))
			}
		}
	}
	return command([]string{credentialsOf(e.plan.Hub.AccountID), getRole(e.plan.Hub.Name)}, words)
}

// subjectFlags returns the token's claims that are condition keys of every call of the chain.
func (e explainer) subjectFlags() []string {
	flags := []string{"--subject " + shell(e.claims.Subject)}
	if len(e.claims.Audience) > 0 {
		flags = append(flags, "--audience "+shell(e.claims.Audience[0]))
	}
	if e.issuer() != (generate.Issuer{}).String() {
		flags = append(flags, "--issuer "+shell("https://"+e.issuer()))
	}
	return flags
}

// simulateSpoke returns the command that evaluates the deployed trust policy of the spoke for the hub's session. For the
// hub it uses permissions that allow the call, so that a denial is the spoke's.
func (e explainer) simulateSpoke() []string {
	start := []string{credentialsOf(e.spoke.AccountID) + "; if it says allowed, the permissions of the hub role are at fault"}
	spoke := "--role-to-assume " + shell(e.spoke.String())
	words := []string{
		"| hubspoke-chain simulate --spoke-trust - " + spoke,
		"--hub-permissions <(hubspoke-chain policy hub-permissions " + spoke + ")",
		"--hub-role-to-assume " + shell(e.plan.Hub.String()), "--role-session-name " + shell(e.plan.SessionName),
	}
	words = append(words, e.subjectFlags()...)
	if len(e.plan.Tags) == 0 {
		words = append(words, "--role-skip-session-tagging")
	}
	for _, t := range e.plan.Tags {
		words = append(words, "--tag "+shell(t.Key+"="+t.Value))
	}
	for _, key := range e.plan.TransitiveTagKeys {
		if len(e.plan.Tags) > 0 {
			words = append(words, "--transitive-tag-key "+shell(key))
		}
	}
	if e.plan.SourceIdentity != "" {
		words = append(words, "--source-identity "+shell(e.plan.SourceIdentity))
	}
	if e.plan.ExternalID != "" {
		start = append(start, "# ROLE_EXTERNAL_ID is what role-external-id has")
		words = append(words, `--role-external-id "$ROLE_EXTERNAL_ID"`)
	}
	return command(append(start, getRole(e.spoke.Name)), words)
}
