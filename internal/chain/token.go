package chain

import (
	"strings"

	"github.com/org/hubspoke-chain/internal/policy"
)

// Token is a web identity token whose signature and times the caller has checked.
type Token struct {
	Issuer   string // without https://, as IAM writes it
	Provider string // ARN of the issuer's OIDC provider in the role's account
	Claims   Claims
}

// Claims are the claims of a token, as encoding/json decodes them.
type Claims map[string]any

// ClaimNames are the claims of GitHub's tokens that AWS makes condition keys, besides sub, aud and amr. Only the hub
// call has them (Service Authorization Reference, AWS STS). IAM cannot match any other claim, such as event_name and
// runner_environment.
var ClaimNames = []string{
	"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref",
	"repository", "repository_id", "repository_owner_id", "workflow",
}

// Text returns a claim that is a string, and "" for any other.
func (c Claims) Text(name string) string {
	s, _ := c[name].(string)
	return s
}

// Texts returns a claim that is a string or a list of strings, and nil for any other.
func (c Claims) Texts(name string) []string {
	switch value := c[name].(type) {
	case string:
		return []string{value}
	case []any:
		var texts []string
		for _, v := range value {
			s, ok := v.(string)
			if !ok {
				return nil
			}
			texts = append(texts, s)
		}
		return texts
	}
	return nil
}

// Audience returns the audience that IAM compares: azp if the token has it ("Available keys for AWS OIDC
// federation", IAM User Guide).
func (c Claims) Audience() string {
	if azp := c.Text("azp"); azp != "" {
		return azp
	}
	if audiences := c.Texts("aud"); len(audiences) > 0 {
		return audiences[0]
	}
	return ""
}

// DefaultAudience returns the audience that the action requests in a partition.
func DefaultAudience(partition string) string {
	if partition == "aws-cn" {
		return "sts.amazonaws.com.cn"
	}
	return "sts.amazonaws.com"
}

// CarriesClaims reports whether AWS makes ClaimNames condition keys for tokens of the issuer, which is written without
// https:// (Service Authorization Reference, AWS STS). It does for github.com, with or without an enterprise's slug,
// and for data residency without a slug, but not for GitHub Enterprise Server.
func CarriesClaims(issuer string) bool {
	host, path, _ := strings.Cut(issuer, "/")
	residency := strings.HasPrefix(host, "token.actions.") && strings.HasSuffix(host, ".ghe.com") && path == ""
	enterprise := host == "github.com" && strings.HasPrefix(path, "enterprises/")
	return host == policy.GitHubIssuer || residency || enterprise
}

// identify sets the keys of a web identity that also its role's session has: sub, aud and amr ("IAM and AWS STS
// condition context keys", AWS OIDC federation).
func (t *Token) identify(ctx policy.Context) {
	ctx.Set(t.Issuer+":sub", t.Claims.Text("sub"))
	ctx.Set(t.Issuer+":aud", t.Claims.Audience())
	if amr := t.Claims.Texts("amr"); amr != nil {
		ctx.Set(t.Issuer+":amr", amr...)
	}
}

// carry sets the keys that only the call with the token has. If the token has azp, aud is azp and oaud is aud.
func (t *Token) carry(ctx policy.Context) {
	if t.Claims.Text("azp") != "" {
		ctx.Set(t.Issuer+":oaud", t.Claims.Texts("aud")...)
	}
	if !CarriesClaims(t.Issuer) {
		return
	}
	for _, claim := range ClaimNames {
		if value := t.Claims.Text(claim); value != "" {
			ctx.Set(t.Issuer+":"+claim, value)
		}
	}
}
