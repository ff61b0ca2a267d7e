package storm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/lab"
)

// conditions are what goes wrong in one hop, and the step's inputs.
type conditions struct {
	job         string // of the lab's world
	inputs      map[string]string
	timeout     int // action-timeout-s
	faults      []lab.Fault
	skew        time.Duration // of the lab's clock
	jump        time.Duration // of the lab's clock, while the step runs: tokens expire, or are not valid yet
	issuer, sts connection
	cancelAfter time.Duration // 0 for never
	damaged     string        // command file to damage, such as GITHUB_ENV; empty for none
	how         string        // how it is damaged
	when        time.Duration // after the start
	spokes      int           // 0 for role-to-assume
}

// connection is how the step connects to a service.
type connection int

const (
	overHTTP        connection = iota
	overTLS                    // TLS with a certificate from the input ca-bundle
	refused                    // no server listens on the port
	silentHandshake            // TLS; the server accepts and never answers the handshake
	resetHandshake             // TLS; the server resets the connection during the handshake
	silentServer               // HTTP; the server accepts and never responds
	plainForTLS                // the server answers a TLS handshake with plain HTTP
)

var connectionNames = []string{
	"over HTTP", "over TLS", "refuses connections", "never answers the TLS handshake", "resets the TLS handshake",
	"never responds", "answers TLS with HTTP",
}

// Roles of examples/lab.
const (
	hubRole        = "arn:aws:iam::123456789012:role/github-actions-hub"
	stagingRole    = "arn:aws:iam::222222222222:role/deploy-staging"
	productionRole = "arn:aws:iam::333333333333:role/deploy-production"
	untaggedRole   = "arn:aws:iam::444444444444:role/shared-services"
)

// Kinds of faults, by the service that has them. Lasting ones are rarer, because a hop that meets one can take its
// whole timeout.
var (
	both = []string{
		"throttle", "400", "403", "404", "408", "429", "500", "502", "503", "504",
		"html", "html403", "html500", "html502", "html503", "reset", "close", "cut", "garbage",
		"empty", "oversized", "duplicated", "mistyped", "redirect", "skew",
	}
	lasting    = []string{"hang", "delay"}
	onlyIssuer = []string{"empty-value", "unauthorized", "not-in-progress"}
	onlySTS    = []string{
		"idp-communication-error", "verification-key", "region-disabled", "expired-token",
		"other-role", "other-account", "expired-credentials", "newline",
	}
	hubActions = []string{"AssumeRoleWithWebIdentity", "AssumeRole", "*"}
)

// noFaults are the conditions of a hop in which nothing goes wrong.
func noFaults() conditions {
	return conditions{job: "staging", timeout: 20, inputs: map[string]string{
		"AWS-REGION": "us-east-1", "HUB-ROLE-TO-ASSUME": hubRole, "ROLE-TO-ASSUME": stagingRole, "ACTION-TIMEOUT-S": "20",
	}}
}

// randomConditions returns the conditions of hop n of a seed.
func randomConditions(seed uint64, n int) conditions {
	r := random(seed, n)
	c := noFaults()
	c.timeout = 1
	c.inputs["ACTION-TIMEOUT-S"] = "1"
	c.inputs["RETRY-MAX-ATTEMPTS"] = pick(r, "1", "2", "3", "5", "20")
	c.drawInputs(r)
	if r.IntN(10) == 0 { // a tenth of the hops has no fault and must succeed
		c.timeout, c.inputs["ACTION-TIMEOUT-S"] = 20, "20"
		return c
	}
	for range r.IntN(4) {
		c.faults = append(c.faults, fault(r))
	}
	if r.IntN(6) == 0 {
		c.skew = time.Duration(r.IntN(20*60)-10*60) * time.Second
	}
	if r.IntN(12) == 0 {
		c.jump = time.Duration(pick(r, -40, -6, 6, 20, 90)) * time.Minute
		c.when = time.Duration(r.Int64N(int64(20 * time.Millisecond)))
	}
	if r.IntN(12) == 0 {
		c.issuer = randomConnection(r)
	}
	if r.IntN(12) == 0 {
		c.sts = randomConnection(r)
	}
	if r.IntN(6) == 0 {
		c.cancelAfter = time.Duration(1 + r.Int64N(int64(60*time.Millisecond)))
	}
	if r.IntN(8) == 0 {
		c.damaged = pick(r, "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
		c.how = pick(r, "missing", "vanishes", "directory", "partial", "becomes a directory", "read-only")
		c.when = time.Duration(r.Int64N(int64(30 * time.Millisecond)))
	}
	if r.IntN(20) == 0 {
		c.job = "feature" // no policy allows it
	}
	if !c.mayFail() { // other hops may keep the machine busy for longer than a second
		c.timeout, c.inputs["ACTION-TIMEOUT-S"] = 20, "20"
	}
	return c
}

func randomConnection(r *rand.Rand) connection {
	return pick(r, overTLS, overTLS, overTLS, refused, silentHandshake, resetHandshake, silentServer, plainForTLS)
}

// drawInputs draws the step's inputs.
func (c *conditions) drawInputs(r *rand.Rand) {
	switch r.IntN(8) {
	case 0:
		c.inputs["ROLE-TO-ASSUME"], c.inputs["ROLE-SKIP-SESSION-TAGGING"] = untaggedRole, "true"
	case 1:
		c.inputs["OUTPUT-CREDENTIALS"] = "true"
	case 2:
		c.inputs["UNSET-CURRENT-CREDENTIALS"] = "true"
	case 3:
		c.inputs["AWS-PROFILE"] = pick(r, "deploy", "default")
	case 4:
		c.inputs["ROLE-TO-ASSUME"], c.spokes = "", 2
		c.inputs["SPOKES"] = "staging = " + stagingRole + "\nproduction = " + productionRole + " eu-central-1\n"
	case 5:
		c.inputs["MASK-AWS-ACCOUNT-ID"] = "true"
	}
	if r.IntN(50) == 0 { // rare: auto-refresh copies the program, which takes longer than the hop
		c.inputs["AUTO-REFRESH"] = "true"
		delete(c.inputs, "OUTPUT-CREDENTIALS")
	}
}

func fault(r *rand.Rand) lab.Fault {
	f := lab.Fault{Service: pick(r, "issuer", "sts", "sts"), Times: pick(r, 1, 1, 1, 2, 3, 25)}
	own := onlySTS
	f.Action = pick(r, hubActions...)
	if f.Service == "issuer" {
		own, f.Action = onlyIssuer, pick(r, "token", "token", "*", "jwks")
	}
	switch r.IntN(10) {
	case 0:
		f.Kind = pick(r, lasting...)
		f.Duration = pick(r, 5*time.Millisecond, 50*time.Millisecond, 300*time.Millisecond, 3*time.Second)
	case 1, 2, 3:
		f.Kind = pick(r, own...)
	default:
		f.Kind = pick(r, both...)
	}
	if f.Kind == "duplicated" && f.Service == "sts" {
		// Of the hub call's two access keys, the next call shows which one is valid. Of the spoke call's, nothing
		// does.
		f.Action = "AssumeRoleWithWebIdentity"
	}
	return f
}

// String returns the conditions on one line.
func (c conditions) String() string {
	var all []string
	for _, f := range c.faults {
		all = append(all, fmt.Sprintf("%s:%s:%s:%d:%s", f.Service, f.Action, f.Kind, f.Times, f.Duration))
	}
	if c.skew != 0 {
		all = append(all, "skew "+c.skew.String())
	}
	if c.jump != 0 {
		all = append(all, "the clock jumps by "+c.jump.String()+" after "+c.when.String())
	}
	if c.issuer != overHTTP || c.sts != overHTTP {
		all = append(all, "GitHub's issuer "+connectionNames[c.issuer]+", STS "+connectionNames[c.sts])
	}
	if c.cancelAfter > 0 {
		all = append(all, "canceled after "+c.cancelAfter.String())
	}
	if c.damaged != "" {
		all = append(all, c.damaged+" "+c.how+" after "+c.when.String())
	}
	if c.job != "staging" {
		all = append(all, "job "+c.job)
	}
	for _, name := range sortedKeys(c.inputs) {
		all = append(all, name+"="+strings.ReplaceAll(c.inputs[name], "\n", "; "))
	}
	return strings.Join(all, ", ")
}

// roles returns the requested roles by profile name; "" names the role of role-to-assume.
func (c conditions) roles() map[string]string {
	if c.spokes == 0 {
		return map[string]string{"": c.inputs["ROLE-TO-ASSUME"]}
	}
	roles := map[string]string{}
	for line := range strings.Lines(c.inputs["SPOKES"]) {
		name, role, _ := strings.Cut(line, " = ")
		roles[name] = strings.Fields(role)[0]
	}
	return roles
}

// has reports whether the lab was set up to fail with the kind.
func (c conditions) has(kind string) bool {
	return slices.ContainsFunc(c.faults, func(f lab.Fault) bool { return f.Kind == kind })
}

// mayFail reports whether anything was set up to go wrong.
func (c conditions) mayFail() bool {
	return len(c.faults) > 0 || c.skew != 0 || c.jump != 0 || c.issuer > overTLS || c.sts > overTLS ||
		c.cancelAfter > 0 || c.damaged != "" || c.job != "staging"
}
