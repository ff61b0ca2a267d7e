package simulate

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/org/hubspoke-chain/internal/chain"
	"github.com/org/hubspoke-chain/internal/generate"
	"github.com/org/hubspoke-chain/internal/policy"
)

// token returns the claims of the token.
func (in Input) token(files *Files, hub string) (chain.Claims, error) {
	claims := chain.Claims{}
	if in.ClaimsFile != "" {
		data, err := files.read(in.ClaimsFile)
		if err != nil {
			return nil, fmt.Errorf("--claims: %w", err)
		}
		if err := json.Unmarshal(data, &claims); err != nil || claims == nil {
			return nil, fmt.Errorf("--claims: %s is not a JSON object of claims", in.ClaimsFile)
		}
	}
	set := func(name, value string) {
		if value != "" {
			claims[name] = value
		}
	}
	set("environment", in.Environment)
	set("ref", in.Ref)
	if in.PullRequest {
		claims["event_name"] = "pull_request"
	}
	for _, c := range in.Claims {
		name, value, found := strings.Cut(c, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("--claim: %q is not NAME=VALUE", c)
		}
		claims[name] = value
	}
	// A repository determines the subject. So does the repository of the claims' own subject, if an option changes
	// the job.
	var repository generate.Repository
	determined := in.Repository != ""
	if determined {
		var err error
		if repository, err = generate.ParseRepository(in.Repository); err != nil {
			return nil, fmt.Errorf("--repository: %w", err)
		}
		set("repository", repository.Owner+"/"+repository.Name)
		set("repository_owner", repository.Owner)
		set("repository_owner_id", repository.OwnerID)
		set("repository_id", repository.ID)
	} else if rest, found := strings.CutPrefix(claims.Text("sub"), "repo:"); found &&
		(in.Environment != "" || in.Ref != "" || in.PullRequest) {
		name, _, _ := strings.Cut(rest, ":")
		parsed, err := generate.ParseRepository(name)
		repository, determined = parsed, err == nil
	}
	if determined {
		set("sub", defaultSubject(repository, claims))
	}
	set("sub", in.Subject)
	if claims["aud"] == nil || in.Audience != "" {
		claims["aud"] = or(in.Audience, chain.DefaultAudience(policy.Partition(hub)))
	}
	if claims.Text("iss") == "" || in.Issuer != "" {
		claims["iss"] = or(in.Issuer, "https://"+policy.GitHubIssuer)
	}
	for _, name := range []string{"https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"} {
		if claims[name] != nil {
			return nil, fmt.Errorf("--claims: %s is not supported: GitHub's tokens have no such claim", name)
		}
	}
	return claims, nil
}

// defaultSubject returns the subject that GitHub composes by default for a job of the repository with these claims: an
// environment takes precedence over a pull request, and that over a ref. It is empty if the claims have none of them
// (GitHub Docs, "OpenID Connect reference").
func defaultSubject(r generate.Repository, claims chain.Claims) string {
	switch environment, ref := claims.Text("environment"), claims.Text("ref"); {
	case environment != "":
		return r.EnvironmentSubject(environment)
	case claims.Text("event_name") == "pull_request":
		return r.PullRequestSubject()
	case ref != "":
		return r.RefSubject(ref)
	}
	return ""
}
