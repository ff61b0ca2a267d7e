package action

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/hop"
	"github.com/org/hubspoke-chain/internal/pattern"
	"github.com/org/hubspoke-chain/internal/plain"
)

// destination is where the credentials of a spoke go.
type destination struct {
	profile string // of the files for later steps; empty where variables alone hold the credentials
	region  string
}

// defaultProfile is the profile's name with auto-refresh, where none is given.
const defaultProfile = "hubspoke-chain"

// profileName matches what every SDK reads alike, and what a file can be named.
var profileName = pattern.New(`^[A-Za-z0-9][A-Za-z0-9_.@+-]*$`, 1, 64, "1 to 64 characters of A-Z a-z 0-9 _ . @ + -, the first a letter or a digit")

// roles reads the roles to assume: role-to-assume, or the lines of spokes.
func (r *reader) roles(in *inputs) {
	n := len(r.lines("spokes"))
	in.several = n > 0
	if !in.several {
		in.destinations = []destination{{r.profile(in.autoRefresh), in.plan.Region}}
		if role := r.role("role-to-assume"); role != (hop.ARN{}) {
			in.plan.Spokes = []hop.ARN{role}
		}
		return
	}
	for _, other := range []string{"role-to-assume", "aws-profile"} {
		if value := r.get(other); value != "" {
			r.problem(other, "%s cannot be combined with spokes; each line of spokes has a role and a profile", plain.Quote(value))
		}
	}
	if n > hop.MaxSpokes {
		r.problem("spokes", "has %d lines; %d are allowed", n, hop.MaxSpokes)
		return
	}
	for i, line := range strings.Split(r.get("spokes"), "\n") { // blank lines count, as in the workflow file
		if strings.TrimSpace(line) == "" {
			continue
		}
		role, d, err := parseSpoke(line, in.plan.Region)
		if err == nil && slices.ContainsFunc(in.destinations, func(other destination) bool { return other.profile == d.profile }) {
			err = fmt.Errorf("duplicate profile %s", plain.Quote(d.profile))
		}
		if err != nil {
			r.problem("spokes", "line %d: %s", i+1, err)
			continue
		}
		in.plan.Spokes, in.destinations = append(in.plan.Spokes, role), append(in.destinations, d)
	}
	r.regions(*in)
}

// regions checks that the regions of the profiles are in the partition of aws-region.
func (r *reader) regions(in inputs) {
	partition, err := hop.RegionPartition(in.plan.Region)
	if err != nil {
		return
	}
	for _, d := range in.destinations {
		if other, _ := hop.RegionPartition(d.region); other != partition {
			r.problem("spokes", "region %s of %s is in partition %s, but region %s is in %s; hub, spoke and region must be in one partition", d.region, d.profile, other, in.plan.Region, partition)
		}
	}
}

// parseSpoke parses a line of spokes, PROFILE = ROLE-ARN [REGION].
func parseSpoke(line, region string) (hop.ARN, destination, error) {
	const allowed = "PROFILE = ROLE-ARN [REGION], for example staging = arn:aws:iam::222222222222:role/deploy eu-central-1"
	name, rest, found := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	words := strings.Fields(rest)
	if !found || len(words) < 1 || len(words) > 2 {
		return hop.ARN{}, destination{}, fmt.Errorf("%s is not of the form %s", plain.Quote(line), allowed)
	}
	if !profileName.Matches(name) {
		return hop.ARN{}, destination{}, fmt.Errorf("the profile %s is not %s", plain.Quote(name), profileName.Words)
	}
	if strings.Contains(words[0], ",") && strings.Count(words[0], ":role/") > 1 { // which the path of one role could hold
		return hop.ARN{}, destination{}, fmt.Errorf("%s holds two ARNs; write one spoke per line: %s", plain.Quote(words[0]), allowed)
	}
	role, err := hop.ParseRoleARN(words[0])
	if err != nil {
		return hop.ARN{}, destination{}, showable(words[0], err)
	}
	if len(words) == 2 {
		region = words[1]
		if _, err := hop.RegionPartition(region); err != nil {
			return hop.ARN{}, destination{}, showable(region, err)
		}
	}
	return role, destination{name, region}, nil
}

// profile reads the profile of a single spoke.
func (r *reader) profile(autoRefresh bool) string {
	name := r.get("aws-profile")
	if name != "" && !profileName.Matches(name) {
		r.problem("aws-profile", "%s is not %s", plain.Quote(name), profileName.Words)
	}
	if name == "" && autoRefresh {
		return defaultProfile
	}
	return name
}

// rolesInput returns the input that names the spokes.
func (in inputs) rolesInput() string {
	if in.several {
		return "spokes"
	}
	return "role-to-assume"
}

// profiles reports whether the credentials go into profiles.
func (in inputs) profiles() bool {
	return in.several || in.autoRefresh || in.destinations[0].profile != ""
}

// delivery reads how the credentials reach later steps, and refuses contradictions.
func (r *reader) delivery(in *inputs) {
	in.exportEnv = r.boolean("output-env-credentials", !in.profiles())
	in.exportOutputs = r.boolean("output-credentials", false)
	in.overwriteProfile = r.boolean("overwrite-aws-profile", false)
	if in.exportEnv && in.several {
		r.problem("output-env-credentials", "cannot be true with spokes: the environment variables hold one spoke's keys, and most SDKs prefer them to every profile")
	}
	if in.exportEnv && in.autoRefresh && !in.several {
		r.problem("output-env-credentials", "cannot be true with auto-refresh: most SDKs prefer environment variables, which are not renewed, to the profile")
	}
	if in.exportOutputs && in.several {
		r.problem("output-credentials", "cannot be true with spokes: the outputs hold one spoke's keys")
	}
}
