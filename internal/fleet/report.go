package fleet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/org/hubspoke-chain/internal/hop"
)

// Policies are those that are compared, ours first.
var Policies = []Policy{
	{"hubspoke-chain", 5, func(r *rand.Rand, attempt int) time.Duration { return hop.ThrottleDelay(attempt, r.Float64()) }},
	{"the same without jitter", 5, func(_ *rand.Rand, attempt int) time.Duration { return hop.ThrottleDelay(attempt, 0.5) }},
	{"the SDK's waits, 5 attempts", 5, SDKDelay},
	{"the SDK's default, 3 attempts", 3, SDKDelay},
}

// Sizes and pressures that are simulated.
var (
	sizes      = []int{1000, 10000}
	inTable    = []float64{1.1, 1.5, 2, 3, 5}
	atOnce     = []float64{10, 30, 60}
	inPlot     = []float64{1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5}
	sizeOfPlot = 10000
)

// Report is the page docs/fleet.md for a seed.
func Report(seed uint64) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# A fleet of jobs against an STS that throttles

<!-- Written by: go run ./cmd/hubspoke-lab fleet --out docs --seed %d -->

When many jobs start in the same minute, AWS throttles STS for the account. What then becomes of them depends on how
they wait. This is a simulation in virtual time, of arithmetic alone; nothing here has been measured at AWS.

![share of jobs that succeed, time to success and requests, by pressure](fleet.svg)

Pressure is the calls that the jobs ask for, retries not counted, divided by what STS takes in that minute: at a pressure of 2,
whatever the limit is, they ask for twice as much. The pressures are assumptions. AWS publishes a default of 600 requests a
second for an account and region, for calls made with AWS credentials, as a spoke's is ([IAM and STS quotas][quotas]); 10,000
jobs in a minute are 167 a second of them, so only with what else the account does, or with many spokes for a job, do they
pass it. For the hub's call, which has no AWS credentials, no limit is known here.

[quotas]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html

`, seed)
	for _, jobs := range sizes {
		fmt.Fprintf(&b, "## %s jobs in a minute\n\n", thousands(jobs))
		table(&b, jobs, time.Minute, seed, inTable)
	}
	fmt.Fprintf(&b, `## %s jobs in a second

A matrix starts all its jobs at once. Here they start within one second, and a pressure of 60 is an STS that takes a minute for
what they ask for: all of them could succeed within the step's time, and without jitter they come back together each
time.

`, thousands(sizes[0]))
	table(&b, sizes[0], time.Second, seed, atOnce)
	fmt.Fprintf(&b, `## What is simulated

* Each job makes two calls, the hub's and the spoke's, one after the other, each answered after 20 to 80 ms. Jobs start
  at random within the minute, and give up 60 seconds after their start (%[1]saction-timeout-s%[1]s).
* STS has one bucket for all of them that holds one second's worth of calls and is filled evenly. A call that finds it empty is
  throttled, and costs nothing.
* hubspoke-chain makes up to 5 attempts of a call (%[1]sretry-max-attempts%[1]s) and waits 2^n seconds and a random part of as much
  again behind the n-th, from the fourth on 16 to 32 seconds: %[1]shop.ThrottleDelay%[1]s, the very function.
* The SDK waits anything from nothing to 2^(n-1) seconds, at most 20, and makes 3 attempts by default. A test holds the formula to the
  SDK's own code. Its 500 tokens for retries, 5 for each behind throttling, are not simulated: no job here
  retries so often.

The SDK's waits end early: those of 5 attempts are over after some 8 seconds on average, while a step has 60. Waiting longer
costs time where one throttled call would soon have gone through, three seconds against half a one, and brings more jobs
through, mostly with fewer requests than the SDK's 5 attempts. Where starts are spread over a minute the jitter itself changes
little, a point or two of the share either way. Where starts fall together it decides. Jobs that failed here were
throttled to the end: start fewer at once, or raise both inputs.

## What it does not show

* The time in which a token is minted, answers that are slow or lost, and other faults than throttling.
* Limits of their own for the hub's call and the spoke's: here they share one, while AWS's quota is for the second alone.
* What else the account asks of STS, which would wait in its own ways.
* Many spokes in one step. There the longer wait is felt: of a hundred spokes of which twenty are throttled once, the last is
  there after some 4 seconds, where with the SDK's waits it was there after 1.
`, "`")
	return b.String()
}

func table(b *strings.Builder, jobs int, spread time.Duration, seed uint64, pressures []float64) {
	b.WriteString("| pressure | retry | succeed | time to success, median | 99 of 100 | requests for a job | in all |\n|---:|---|---:|---:|---:|---:|---:|\n")
	for _, pressure := range pressures {
		for _, p := range Policies {
			r := Run(Scenario{jobs, pressure, spread, seed}, p)
			fmt.Fprintf(b, "| %g | %s | %.1f %% | %.1f s | %.1f s | %.2f | %d |\n", pressure, p.Name,
				share(r, jobs), r.P50.Seconds(), r.P99.Seconds(), float64(r.Requests)/float64(jobs), r.Requests)
		}
	}
	b.WriteString("\n")
}

func share(r Result, jobs int) float64 { return 100 * float64(r.Succeeded) / float64(jobs) }

func thousands(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }

// colours are those of the policies, readable on white and on dark, as is the grey of the text, since a page shows the
// plot on either. The dashes tell the lines apart for people who see no colours.
var colours = []struct{ stroke, dash string }{{"#0969da", ""}, {"#bf8700", "6 3"}, {"#8250df", "2 3"}, {"#cf222e", "8 3 2 3"}}

// panel is one of the plot's three.
type panel struct {
	title string
	max   float64
	unit  string
	value func(Result, int) float64
}

// Plot is docs/fleet.svg for a seed: by pressure, how many succeed, how long they take, and what it costs.
func Plot(seed uint64) string {
	panels := []panel{
		{"jobs that succeed", 100, " %", share},
		{"time to success, 99 of 100", 60, " s", func(r Result, _ int) float64 { return r.P99.Seconds() }},
		{"requests for a job", 7, "", func(r Result, jobs int) float64 { return float64(r.Requests) / float64(jobs) }},
	}
	results := make([][]Result, len(Policies))
	for i, p := range Policies {
		for _, pressure := range inPlot {
			results[i] = append(results[i], Run(Scenario{sizeOfPlot, pressure, time.Minute, seed}, p))
		}
	}
	const width, height, left, top, plotWidth, plotHeight, gap = 960, 340, 46, 44, 250, 210, 62
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12">
<title>%s jobs in a minute against an STS that throttles, by pressure</title>
<style>.t{fill:#6e7681}.a{stroke:#8c959f;stroke-width:1;fill:none}.g{stroke:#8c959f;stroke-width:1;stroke-opacity:.3}</style>
`, width, height, thousands(sizeOfPlot))
	for k, p := range panels {
		x0, y0 := float64(left+k*(plotWidth+gap)), float64(top)
		x := func(pressure float64) float64 { return x0 + (pressure-1)/4*plotWidth }
		y := func(v float64) float64 { return y0 + plotHeight*(1-math.Min(v, p.max)/p.max) }
		fmt.Fprintf(&b, `<text class="t" x="%.0f" y="%.0f" font-weight="600">%s</text>`+"\n", x0, y0-18, p.title)
		for i := range 6 {
			v := p.max * float64(i) / 5
			fmt.Fprintf(&b, `<line class="g" x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f"/><text class="t" x="%.0f" y="%.1f" text-anchor="end">%.4g%s</text>`+"\n", x0, x0+plotWidth, y(v), y(v), x0-6, y(v)+4, v, p.unit)
		}
		for pressure := 1; pressure <= 5; pressure++ {
			fmt.Fprintf(&b, `<text class="t" x="%.1f" y="%.0f" text-anchor="middle">%d×</text>`+"\n", x(float64(pressure)), y0+plotHeight+18, pressure)
		}
		fmt.Fprintf(&b, `<path class="a" d="M%.0f %.0fV%.0fH%.0f"/>`+"\n", x0, y0, y0+plotHeight, x0+plotWidth)
		for i := len(Policies) - 1; i >= 0; i-- { // ours last, above the others
			var points []string
			for j, pressure := range inPlot {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(pressure), y(p.value(results[i][j], sizeOfPlot))))
			}
			dash := ""
			if colours[i].dash != "" {
				dash = ` stroke-dasharray="` + colours[i].dash + `"`
			}
			fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", strings.Join(points, " "), colours[i].stroke, dash)
		}
	}
	fmt.Fprintf(&b, `<text class="t" x="%d" y="%d">pressure: calls asked for, in terms of what STS takes in that minute</text>`+"\n", left, height-44)
	x := left
	for i, p := range Policies {
		dash := ""
		if colours[i].dash != "" {
			dash = ` stroke-dasharray="` + colours[i].dash + `"`
		}
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="2"%s/><text class="t" x="%d" y="%d">%s</text>`+"\n", x, x+28, height-18, height-18, colours[i].stroke, dash, x+34, height-14, p.Name)
		x += 34 + 7*len(p.Name) + 24
	}
	b.WriteString("</svg>\n")
	return b.String()
}
