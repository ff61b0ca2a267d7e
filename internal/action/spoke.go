package action

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/hubspoke-chain/internal/hop"
)

// spoke is a role to assume and where its credentials go.
type spoke struct {
	role    hop.ARN
	profile string // of the files for later steps; empty where variables alone carry the credentials
	region  string
}

// Limits of the spokes.
const (
	maxSpokes      = 500              // 12 to 30 hub sessions by the length of their names
	defaultProfile = "hubspoke-chain" // with auto-refresh, where no name is given
)

// profileName keeps to what every SDK reads alike, and a file can be called.
var profileName = hop.NewForm(`^[A-Za-z0-9][A-Za-z0-9_.@+-]*$`, 1, 64, "1 to 64 characters of A-Z a-z 0-9 _ . @ + -, the first a letter or a digit")

// roles reads who is to be assumed: role-to-assume, or the lines of spokes.
func (r *reader) roles(in *inputs) {
	n := len(r.lines("spokes"))
	in.several = n > 0
	if !in.several {
		in.spokes = []spoke{{role: r.role("role-to-assume", ", unless spokes names roles"), profile: r.profile(in.autoRefresh), region: in.region}}
		if err := hop.CheckSpoke(in.spokes[0].role); err != nil {
			r.problem("role-to-assume", "%s", err)
		}
		return
	}
	for _, other := range []string{"role-to-assume", "aws-profile"} {
		if value := r.get(other); value != "" {
			r.problem(other, "%s is set beside spokes; a spoke has its role and its profile in its line", quote(value))
		}
	}
	if n > maxSpokes {
		r.problem("spokes", "has %d lines; %d are allowed", n, maxSpokes)
		return
	}
	for i, line := range strings.Split(r.get("spokes"), "\n") { // blank lines count, as they do where the user looks
		if strings.TrimSpace(line) == "" {
			continue
		}
		s, err := readSpoke(line, in.region)
		if err == nil && slices.ContainsFunc(in.spokes, func(other spoke) bool { return other.profile == s.profile }) {
			err = fmt.Errorf("the profile %s stands in an earlier line too", quote(s.profile))
		}
		if err != nil {
			r.problem("spokes", "line %d: %s", i+1, err)
			continue
		}
		in.spokes = append(in.spokes, s)
	}
}

// readSpoke reads a line of spokes, PROFILE = ROLE-ARN [REGION].
func readSpoke(line, region string) (spoke, error) {
	const allowed = "PROFILE = ROLE-ARN [REGION], for example staging = arn:aws:iam::222222222222:role/deploy eu-central-1"
	name, rest, found := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	words := strings.Fields(rest)
	if !found || len(words) < 1 || len(words) > 2 {
		return spoke{}, fmt.Errorf("%s is not of the form %s", quote(line), allowed)
	}
	if !profileName.Holds(name) {
		return spoke{}, fmt.Errorf("the profile %s is not %s", quote(name), profileName.Words)
	}
	if strings.Contains(words[0], ",") && strings.Count(words[0], ":role/") > 1 { // which the path of one role could hold
		return spoke{}, fmt.Errorf("%s holds two ARNs; each spoke has a line of its own: %s", quote(words[0]), allowed)
	}
	role, err := hop.ParseRoleARN(words[0])
	if err != nil {
		return spoke{}, showable(words[0], err)
	}
	if err := hop.CheckSpoke(role); err != nil {
		return spoke{}, err
	}
	if len(words) == 2 {
		region = words[1]
		if _, err := hop.RegionPartition(region); err != nil {
			return spoke{}, showable(region, err)
		}
	}
	return spoke{role: role, profile: name, region: region}, nil
}

// profile is that of a single spoke.
func (r *reader) profile(autoRefresh bool) string {
	name := r.matching("aws-profile", profileName)
	if name == "" && autoRefresh {
		return defaultProfile
	}
	return name
}

// profiles tells whether the credentials go into profiles.
func (in inputs) profiles() bool { return in.several || in.autoRefresh || in.spokes[0].profile != "" }

// delivery reads how the credentials reach later steps, and refuses what contradicts itself.
func (r *reader) delivery(in *inputs) {
	in.exportEnv = r.boolean("output-env-credentials", !in.profiles())
	in.exportOutputs = r.boolean("output-credentials", false)
	in.overwriteProfile = r.boolean("overwrite-aws-profile", false)
	if in.exportEnv && in.several {
		r.problem("output-env-credentials", `"true" cannot be had with spokes: the variables have room for one spoke, and most SDKs would prefer it to every profile`)
	}
	if in.exportEnv && in.autoRefresh && !in.several {
		r.problem("output-env-credentials", `"true" cannot be had with auto-refresh: most SDKs would prefer variables, which do not renew themselves, to the profile`)
	}
	if in.exportOutputs && in.several {
		r.problem("output-credentials", `"true" cannot be had with spokes: the outputs have room for one spoke`)
	}
}
