package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/action"
	"github.com/org/hubspoke-chain/internal/cli"
	"github.com/org/hubspoke-chain/internal/policy"
)

// fileReader reads each file once, since standard input has no second time.
type fileReader struct {
	in   io.Reader
	read map[string][]byte
}

func (r *fileReader) file(name string) ([]byte, error) {
	if data, found := r.read[name]; found {
		return data, nil
	}
	data, err := []byte(nil), error(nil)
	if name == "-" {
		data, err = io.ReadAll(io.LimitReader(r.in, maxRead+1))
	} else {
		data, err = readRegular(name)
	}
	if err == nil && len(data) > maxRead {
		err = fmt.Errorf("%q is larger than %d bytes", name, maxRead)
	}
	if r.read == nil {
		r.read = map[string][]byte{}
	}
	r.read[name] = data
	return data, err
}

// maxRead is how much of a file is read, in bytes: get-role's output of the largest policy is a tenth of it.
const maxRead = 1 << 20

// readRegular reads a file and no device or pipe, which a cases file from a pull request could name.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !strings.HasPrefix(name, "/dev/fd/") { // what a shell's <(...) names
		return nil, fmt.Errorf("%q is not a regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxRead+1))
}

// world is what is tried, read from files and flags.
type world struct {
	names      map[*policy.Document]string
	hub, spoke policy.Role
	hubTrust   *policy.Document // nil: the hop into the hub is not tried
	spokeSide  policy.Policies  // with Trust nil: the hop into the spoke is not tried
	claims     policy.Claims
	tags       policy.Tags
	transitive []string
	context    policy.Context
	name       string // of the sessions
}

// read reads the files and holds the flags to what AWS takes. All that is wrong with the flags is told at once.
func (x simulateFlags) read(files *fileReader) (*world, error) {
	w := &world{names: map[*policy.Document]string{}}
	w.hub.ARN, w.spoke.ARN = x.hubRole, x.spokeRole
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if x.hubTrust == "" && x.spokeTrust == "" {
		wrong("there is nothing to try: give --hub-trust, --spoke-trust or both")
	}
	var err error
	if w.hubTrust, err = w.load(files, policy.Trust, x.hubTrust, &w.hub); err != nil {
		return nil, err
	}
	if w.spokeSide.Trust, err = w.load(files, policy.Trust, x.spokeTrust, &w.spoke); err != nil {
		return nil, err
	}
	if w.spokeSide.Boundary, err = w.load(files, policy.Boundary, x.boundary, nil); err != nil {
		return nil, err
	}
	for _, list := range []struct {
		kind  policy.Kind
		names []string
		into  *[]*policy.Document
	}{{policy.Identity, x.hubPermissions, &w.spokeSide.Identity}, {policy.SCP, x.scps, &w.spokeSide.SCPs}} {
		for _, name := range list.names {
			d, err := w.load(files, list.kind, name, nil)
			if err != nil {
				return nil, err
			}
			*list.into = append(*list.into, d)
		}
	}
	if x.hubPermissions == nil {
		w.spokeSide.Identity = []*policy.Document{allowAll}
	}
	ownPolicyFor := func(flag, arn string) string {
		text, err := action.HubPolicy(arn)
		if arn == "" {
			wrong("--%s is missing: the role's ARN, arn:PARTITION:iam::ACCOUNT:role/NAME", flag)
		} else if err != nil {
			wrong("--%s: %w", flag, err)
		}
		return text
	}
	ownPolicyFor("hub-role-to-assume", w.hub.ARN)
	if w.spokeSide.Trust != nil {
		if text := ownPolicyFor("role-to-assume", w.spoke.ARN); text != "" {
			if err := w.narrow(text); err != nil {
				return nil, err
			}
		}
	}
	if w.claims, err = x.token(files, w.hub.ARN); err != nil {
		problems = append(problems, err)
	}
	if w.hubTrust != nil && err == nil && w.claims.Text("sub") == "" {
		wrong("the token has no subject: give --subject, --claims or --repository with an environment or a ref")
	}
	x.sent(w, wrong)
	if problems != nil {
		return nil, cli.UsageError{Err: errors.Join(problems...)}
	}
	return w, nil
}

// allowAll stands for hub permissions that are not given: what is asked then is what the spoke's side says.
var allowAll = &policy.Document{Statements: []policy.Statement{{
	Effect: policy.Allow, Actions: []policy.Value{{Text: "*"}}, Resources: []policy.Value{{Text: "*"}},
}}}

// load reads one policy and holds it against IAM's rules; nil when no file is named. The role is completed by
// what the file says of it.
func (w *world) load(files *fileReader, kind policy.Kind, name string, role *policy.Role) (*policy.Document, error) {
	if name == "" {
		return nil, nil
	}
	data, err := files.file(name)
	if err != nil {
		return nil, err
	}
	text, told, err := policy.Extract(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if role != nil && told.ARN != "" {
		if role.ARN != "" && role.ARN != told.ARN {
			return nil, fmt.Errorf("%s: it is of the role %q, and asked for is %q", name, told.ARN, role.ARN)
		}
		*role = told
	}
	d, err := policy.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	arn := ""
	if role != nil {
		arn = role.ARN
	}
	if _, err := action.HubPolicy(arn); err != nil && role != nil {
		w.names[d] = name
		return d, nil // read tells what is wrong with the ARN
	}
	if err := d.Check(kind, arn); err != nil {
		return nil, fmt.Errorf("%s: IAM would refuse this %s: %w", name, kind, err)
	}
	w.names[d] = name
	return d, nil
}

// ownPolicy stands in the place of a file's name.
const ownPolicy = "the action's own"

// narrow adds the session policy that the action passes.
func (w *world) narrow(text string) error {
	d, err := policy.Parse([]byte(text))
	if err != nil {
		return err
	}
	w.spokeSide.Session = []*policy.Document{d}
	w.names[d] = ownPolicy
	return nil
}

// sent is what the step sends beside the token.
func (x simulateFlags) sent(w *world, wrong func(string, ...any)) {
	// AssumeRole, AWS STS API Reference. They are compiled here and not with the program: the action has no use
	// for them and is to start fast.
	sessionName := regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalID := regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`) // up to 1224; a repeat count ends at 1000
	w.name = x.sessionName
	if w.name == "" {
		w.name = "gh-" + or(w.claims.Text("run_id"), "1") + "-" + or(w.claims.Text("run_attempt"), "1")
	}
	if !sessionName.MatchString(w.name) {
		wrong("--role-session-name: %q is not 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -", w.name)
	}
	if x.sourceIdentity != "" && !sessionName.MatchString(x.sourceIdentity) {
		wrong("--source-identity: %q is not 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -", x.sourceIdentity)
	}
	if x.externalID != "" && (len(x.externalID) > 1224 || !externalID.MatchString(x.externalID)) {
		wrong("--role-external-id: %q is not 2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -", x.externalID)
	}
	w.context = policy.Context{}
	for _, c := range x.conditions {
		key, value, found := strings.Cut(c, "=")
		if !found || !strings.Contains(key, ":") {
			wrong("--context: %q is not KEY=VALUE with a condition key such as aws:SourceIp", c)
			continue
		}
		values, _ := w.context.Values(key)
		w.context.Set(key, append(slices.Clip(values), value)...)
	}
	if x.skipTagging {
		return
	}
	for _, t := range action.SessionTags(w.claims.Text, x.environmentOfJob(w.claims), nil, x.transitiveTagKeys) {
		w.tags = append(w.tags, policy.Tag{Key: t.Key, Value: t.Value})
	}
	custom, unread := parseTags("tag", x.tags)
	for _, p := range unread {
		wrong("--tag: %s", p.Message)
	}
	for _, t := range custom {
		w.tags = w.tags.With(policy.Tags{t})
	}
	if problem := w.tags.Problem(); problem != "" {
		wrong("--tag: %s", problem)
	}
	if refusal := w.tags.Refusal(x.transitiveTagKeys, nil); refusal != "" {
		wrong("--transitive-tag-key or --tag: AWS says: %s", refusal)
	}
	w.transitive = x.transitiveTagKeys
}

// environmentOfJob stands for the variables that GitHub sets for every job; what it leaves empty outside of
// pull requests is empty here.
func (x simulateFlags) environmentOfJob(claims policy.Claims) func(string) string {
	return func(name string) string {
		if (name == "GITHUB_BASE_REF" || name == "GITHUB_HEAD_REF") && claims.Text("event_name") != "pull_request" {
			return ""
		}
		return "simulated"
	}
}

// token gives the claims of the token.
func (x simulateFlags) token(files *fileReader, hub string) (policy.Claims, error) {
	claims := policy.Claims{}
	if x.claimsFile != "" {
		data, err := files.file(x.claimsFile)
		if err != nil {
			return nil, fmt.Errorf("--claims: %w", err)
		}
		if err := json.Unmarshal(data, &claims); err != nil || claims == nil {
			return nil, fmt.Errorf("--claims: %s is not a JSON object of claims", x.claimsFile)
		}
	}
	set := func(name, value string) {
		if value != "" {
			claims[name] = value
		}
	}
	set("environment", x.environment)
	set("ref", x.ref)
	if x.pullRequest {
		claims["event_name"] = "pull_request"
	}
	for _, c := range x.claims {
		name, value, found := strings.Cut(c, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("--claim: %q is not NAME=VALUE", c)
		}
		claims[name] = value
	}
	// A repository makes the subject, and so does the claims' own one when the flags change what runs in it.
	changed := x.environment != "" || x.ref != "" || x.pullRequest
	repository, given := policy.Repository{}, x.repository != ""
	if given {
		var err error
		if repository, err = policy.ParseRepository(x.repository); err != nil {
			return nil, fmt.Errorf("--repository: %w", err)
		}
		set("repository", repository.Owner+"/"+repository.Name)
		set("repository_owner", repository.Owner)
		set("repository_owner_id", repository.OwnerID)
		set("repository_id", repository.ID)
	} else if rest, found := strings.CutPrefix(claims.Text("sub"), "repo:"); found && changed {
		name, _, _ := strings.Cut(rest, ":")
		parsed, err := policy.ParseRepository(name)
		repository, given = parsed, err == nil
	}
	if given {
		set("sub", policy.JobSubject(repository, claims))
	}
	set("sub", x.subject)
	if claims["aud"] == nil || x.audience != "" {
		claims["aud"] = or(x.audience, policy.DefaultAudience(arnPartition(hub)))
	}
	if claims.Text("iss") == "" || x.issuer != "" {
		claims["iss"] = or(x.issuer, "https://"+policy.Issuer{}.String())
	}
	for _, name := range []string{"https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"} {
		if claims[name] != nil {
			return nil, fmt.Errorf("--claims: %s is not simulated: GitHub's tokens have no such claim", name)
		}
	}
	return claims, nil
}

func arnPartition(arn string) string {
	_, rest, _ := strings.Cut(arn, ":")
	partition, _, _ := strings.Cut(rest, ":")
	return partition
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
