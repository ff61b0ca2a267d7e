package hop_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/org/hubspoke-chain/internal/golden"
	"github.com/org/hubspoke-chain/internal/hop"
)

// fleetSeed is the seed of the committed tables and plot.
const fleetSeed = 1

// retryPolicies are the compared policies, ours first.
var retryPolicies = []retryPolicy{
	{"hubspoke-chain", 5, func(r *rand.Rand, attempt int) time.Duration { return hop.ThrottleDelay(attempt, r.Float64()) }},
	{"the same without jitter", 5, func(_ *rand.Rand, attempt int) time.Duration { return hop.ThrottleDelay(attempt, 0.5) }},
	{"the SDK's waits, 5 attempts", 5, sdkDelay},
	{"the SDK's default, 3 attempts", 3, sdkDelay},
}

// The simulated numbers of jobs, and pressures.
var (
	sizes      = []int{1000, 10000}
	inTable    = []float64{1.1, 1.5, 2, 3, 5}
	inASecond  = []float64{10, 30, 60}
	inPlot     = []float64{1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5}
	sizeOfPlot = 10000
)

// TestFleetPage checks that the tables of docs/fleet.md and the plot are current. The page's text is edited by hand.
func TestFleetPage(t *testing.T) {
	t.Parallel()
	const page = "../../docs/fleet.md"
	golden.Section(t, page, "1000 jobs in a minute", fleetTable(1000, time.Minute, inTable))
	golden.Section(t, page, "10000 jobs in a minute", fleetTable(10000, time.Minute, inTable))
	golden.Section(t, page, "1000 jobs in a second", fleetTable(1000, time.Second, inASecond))
	golden.File(t, "../../docs/fleet.svg", fleetPlot())
}

func fleetTable(jobs int, spread time.Duration, pressures []float64) string {
	var b strings.Builder
	b.WriteString("| pressure | retry | succeed | time to success, median | 99 of 100 | requests per job | total |\n")
	b.WriteString("|---:|---|---:|---:|---:|---:|---:|\n")
	for _, pressure := range pressures {
		for _, p := range retryPolicies {
			r := simulate(scenario{jobs, pressure, spread, fleetSeed}, p)
			fmt.Fprintf(&b, "| %g | %s | %.1f %% | %.1f s | %.1f s | %.2f | %d |\n", pressure, p.name, share(r, jobs),
				r.p50.Seconds(), r.p99.Seconds(), float64(r.requests)/float64(jobs), r.requests)
		}
	}
	return b.String()
}

func share(r fleetResult, jobs int) float64 { return 100 * float64(r.succeeded) / float64(jobs) }

func thousands(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }

// colors are those of the policies. They and the gray of the text are readable on white and on dark pages. The dashes
// distinguish the lines without color.
var colors = []struct{ stroke, dash string }{
	{"#0969da", ""},
	{"#bf8700", ` stroke-dasharray="6 3"`},
	{"#8250df", ` stroke-dasharray="2 3"`},
	{"#cf222e", ` stroke-dasharray="8 3 2 3"`},
}

// panel is one of the three panels of the plot.
type panel struct {
	title string
	max   float64
	unit  string
	value func(fleetResult, int) float64
}

// fleetPlot returns docs/fleet.svg: by pressure, how many jobs succeed, how long they take, and how many requests
// they need.
func fleetPlot() string {
	panels := []panel{
		{"jobs that succeed", 100, " %", share},
		{"time to success, 99 of 100", 60, " s", func(r fleetResult, _ int) float64 { return r.p99.Seconds() }},
		{"requests per job", 7, "", func(r fleetResult, jobs int) float64 { return float64(r.requests) / float64(jobs) }},
	}
	results := make([][]fleetResult, len(retryPolicies))
	for i, p := range retryPolicies {
		for _, pressure := range inPlot {
			results[i] = append(results[i], simulate(scenario{sizeOfPlot, pressure, time.Minute, fleetSeed}, p))
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
			fmt.Fprintf(&b, `<line class="g" x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f"/>`, x0, x0+plotWidth, y(v), y(v))
			fmt.Fprintf(&b, `<text class="t" x="%.0f" y="%.1f" text-anchor="end">%.4g%s</text>`+"\n", x0-6, y(v)+4, v, p.unit)
		}
		for pressure := 1; pressure <= 5; pressure++ {
			fmt.Fprintf(&b, `<text class="t" x="%.1f" y="%.0f" text-anchor="middle">%d×</text>`+"\n",
				x(float64(pressure)), y0+plotHeight+18, pressure)
		}
		fmt.Fprintf(&b, `<path class="a" d="M%.0f %.0fV%.0fH%.0f"/>`+"\n", x0, y0, y0+plotHeight, x0+plotWidth)
		for i := len(retryPolicies) - 1; i >= 0; i-- { // ours last, on top of the others
			var points []string
			for j, pressure := range inPlot {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(pressure), y(p.value(results[i][j], sizeOfPlot))))
			}
			fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n",
				strings.Join(points, " "), colors[i].stroke, colors[i].dash)
		}
	}
	fmt.Fprintf(&b, `<text class="t" x="%d" y="%d">pressure: the jobs' calls, divided by what STS accepts in that minute</text>`+"\n", left, height-44)
	x := left
	for i, p := range retryPolicies {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="2"%s/>`,
			x, x+28, height-18, height-18, colors[i].stroke, colors[i].dash)
		fmt.Fprintf(&b, `<text class="t" x="%d" y="%d">%s</text>`+"\n", x+34, height-14, p.name)
		x += 34 + 7*len(p.name) + 24
	}
	b.WriteString("</svg>\n")
	return b.String()
}
