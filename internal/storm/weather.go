package storm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/lab"
)

// weather is what goes wrong in one hop, and what the hop was asked for.
type weather struct {
	job         string // of the lab's world
	inputs      map[string]string
	timeout     int // action-timeout-s
	faults      []lab.Fault
	skew        time.Duration // of the lab's clock
	jump        time.Duration // of the lab's clock, while the step runs: tokens expire, or are not valid yet
	issuer, sts reach
	cancelAfter time.Duration // 0 for never
	spoiled     string        // command file that goes wrong, GITHUB_ENV for example; empty for none
	how         string        // what happens to it
	when        time.Duration // after the start
	spokes      int           // 0 for role-to-assume
}

// reach is how a service is reached.
type reach int

const (
	plainly  reach = iota
	securely       // over TLS, with an authority of the lab's own
	refused        // nobody listens
	mutely         // the connection is taken, and a TLS handshake is never answered
	curtly         // the connection is reset in the midst of a TLS handshake
	silently       // the connection is taken, and nothing is ever said
	oddly          // TLS is answered with plain HTTP
)

var reaches = []string{"http", "TLS", "refused", "silent in the handshake", "reset in the handshake", "silent", "no TLS where there should be"}

// The spokes of examples/lab, and one that is not there.
const (
	hubRole        = "arn:aws:iam::123456789012:role/github-actions-hub"
	stagingRole    = "arn:aws:iam::222222222222:role/deploy-staging"
	productionRole = "arn:aws:iam::333333333333:role/deploy-production"
	untaggedRole   = "arn:aws:iam::444444444444:role/shared-services"
)

// kinds of faults that both services have, and that only one has. Those that last are drawn less often, since a hop
// in them takes its whole timeout.
var (
	both = []string{"throttle", "400", "403", "404", "408", "429", "500", "502", "503", "504", "html", "html403", "html500", "html502", "html503", "reset", "close", "cut", "garbage",
		"empty", "oversized", "duplicated", "mistyped", "redirect", "skew"}
	lasting    = []string{"hang", "delay"}
	ofIssuer   = []string{"empty-value", "unauthorized", "not-in-progress"}
	ofSTS      = []string{"idp-communication-error", "verification-key", "region-disabled", "expired-token", "other-role", "other-account", "expired-credentials", "newline"}
	hubActions = []string{"AssumeRoleWithWebIdentity", "AssumeRole", "*"}
)

// calm is a hop in which nothing goes wrong.
func calm() weather {
	return weather{job: "staging", timeout: 20, inputs: map[string]string{
		"AWS-REGION": "us-east-1", "HUB-ROLE-TO-ASSUME": hubRole, "ROLE-TO-ASSUME": stagingRole, "ACTION-TIMEOUT-S": "20",
	}}
}

// drawn is the weather of hop n.
func drawn(seed uint64, n int) weather {
	r := random(seed, n)
	w := calm()
	w.timeout = 1
	w.inputs["ACTION-TIMEOUT-S"] = "1"
	w.inputs["RETRY-MAX-ATTEMPTS"] = pick(r, "1", "2", "3", "5", "20")
	w.ask(r)
	if r.IntN(10) == 0 { // a tenth of the hops meets nothing, and has to work
		w.timeout, w.inputs["ACTION-TIMEOUT-S"] = 20, "20"
		return w
	}
	for range r.IntN(4) {
		w.faults = append(w.faults, fault(r))
	}
	if r.IntN(6) == 0 {
		w.skew = time.Duration(r.IntN(20*60)-10*60) * time.Second
	}
	if r.IntN(12) == 0 {
		w.jump, w.when = time.Duration(pick(r, -40, -6, 6, 20, 90))*time.Minute, time.Duration(r.Int64N(int64(20*time.Millisecond)))
	}
	if r.IntN(12) == 0 {
		w.issuer = pick(r, securely, securely, securely, refused, mutely, curtly, silently, oddly)
	}
	if r.IntN(12) == 0 {
		w.sts = pick(r, securely, securely, securely, refused, mutely, curtly, silently, oddly)
	}
	if r.IntN(6) == 0 {
		w.cancelAfter = time.Duration(1 + r.Int64N(int64(60*time.Millisecond)))
	}
	if r.IntN(8) == 0 {
		w.spoiled = pick(r, "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
		w.how = pick(r, "missing", "vanishes", "directory", "partial", "becomes a directory", "read-only")
		w.when = time.Duration(r.Int64N(int64(30 * time.Millisecond)))
	}
	if r.IntN(20) == 0 {
		w.job = "feature" // which no policy admits
	}
	if !w.mayFail() { // a machine that is busy with other hops may take longer than a second
		w.timeout, w.inputs["ACTION-TIMEOUT-S"] = 20, "20"
	}
	return w
}

// ask draws what the step is asked for.
func (w *weather) ask(r *rand.Rand) {
	switch r.IntN(8) {
	case 0:
		w.inputs["ROLE-TO-ASSUME"], w.inputs["ROLE-SKIP-SESSION-TAGGING"] = untaggedRole, "true"
	case 1:
		w.inputs["OUTPUT-CREDENTIALS"] = "true"
	case 2:
		w.inputs["UNSET-CURRENT-CREDENTIALS"] = "true"
	case 3:
		w.inputs["AWS-PROFILE"] = pick(r, "deploy", "default")
	case 4:
		w.inputs["ROLE-TO-ASSUME"], w.spokes = "", 2
		w.inputs["SPOKES"] = "staging = " + stagingRole + "\nproduction = " + productionRole + " eu-central-1\n"
	case 5:
		w.inputs["MASK-AWS-ACCOUNT-ID"] = "true"
	}
	if r.IntN(50) == 0 { // it copies the program, which takes longer than the hop
		w.inputs["AUTO-REFRESH"] = "true"
		delete(w.inputs, "OUTPUT-CREDENTIALS")
	}
}

func fault(r *rand.Rand) lab.Fault {
	f := lab.Fault{Service: pick(r, "issuer", "sts", "sts"), Times: pick(r, 1, 1, 1, 2, 3, 25)}
	own := ofSTS
	f.Action = pick(r, hubActions...)
	if f.Service == "issuer" {
		own, f.Action = ofIssuer, pick(r, "token", "token", "*", "jwks")
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
		f.Action = "AssumeRoleWithWebIdentity" // of the spoke's two key ids nobody can say here which one is good; of the hub's, the next call does
	}
	return f
}

// String tells the weather in a line.
func (w weather) String() string {
	var all []string
	for _, f := range w.faults {
		all = append(all, fmt.Sprintf("%s:%s:%s:%d:%s", f.Service, f.Action, f.Kind, f.Times, f.Duration))
	}
	if w.skew != 0 {
		all = append(all, "skew "+w.skew.String())
	}
	if w.jump != 0 {
		all = append(all, "the clock jumps by "+w.jump.String()+" after "+w.when.String())
	}
	if w.issuer != plainly || w.sts != plainly {
		all = append(all, "GitHub "+reaches[w.issuer]+", STS "+reaches[w.sts])
	}
	if w.cancelAfter > 0 {
		all = append(all, "cancelled after "+w.cancelAfter.String())
	}
	if w.spoiled != "" {
		all = append(all, w.spoiled+" "+w.how+" after "+w.when.String())
	}
	if w.job != "staging" {
		all = append(all, "job "+w.job)
	}
	for _, name := range sortedKeys(w.inputs) {
		all = append(all, name+"="+strings.ReplaceAll(w.inputs[name], "\n", "; "))
	}
	return strings.Join(all, ", ")
}

// roles are those asked for, by profile, "" for the only one of role-to-assume.
func (w weather) roles() map[string]string {
	if w.spokes == 0 {
		return map[string]string{"": w.inputs["ROLE-TO-ASSUME"]}
	}
	roles := map[string]string{}
	for line := range strings.Lines(w.inputs["SPOKES"]) {
		name, role, _ := strings.Cut(line, " = ")
		roles[name] = strings.Fields(role)[0]
	}
	return roles
}

// has tells whether the lab was told a fault of the kind.
func (w weather) has(kind string) bool {
	return slices.ContainsFunc(w.faults, func(f lab.Fault) bool { return f.Kind == kind })
}

// mayFail tells whether anything was to go wrong.
func (w weather) mayFail() bool {
	return len(w.faults) > 0 || w.skew != 0 || w.jump != 0 || w.issuer > securely || w.sts > securely || w.cancelAfter > 0 || w.spoiled != "" || w.job != "staging"
}
