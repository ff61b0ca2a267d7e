#!/usr/bin/env bash
# Runs this repository's benchmarks and writes docs/performance.md whole, prose and figures:
#
#   scripts/performance.sh                 writes docs/performance.md; takes some minutes
#   scripts/performance.sh --quick FILE    a few rounds of each, whose figures say little, into FILE
#
# Every figure is of that one run. It needs Go, a Docker engine and Linux; GO_IMAGE names the Go image to build the
# action's image with, else a stand-in is made (scripts/go-image.sh). Let the machine do nothing else meanwhile.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
die() { printf 'performance: error: %s\n' "$1" >&2; exit 1; }

quick='' out=$root/docs/performance.md
if [ "${1:-}" = --quick ]; then
  quick=yes out=${2:?usage: performance.sh [--quick FILE]}
elif [ $# -gt 0 ]; then
  die "usage: performance.sh [--quick FILE]"
fi
out=$(realpath -- "$out")
cd "$root"
for need in go docker git tar gzip; do
  command -v "$need" >/dev/null || die "$need is not installed"
done

# Rounds of each benchmark, and how often the whole benchmark is run.
runs=3 hops=40 bare_hops=300 spokes=5 starts=100 calls=50 containers=8 policies=20 profiled=1500
[ -z "$quick" ] || runs=1 hops=2 bare_hops=5 spokes=1 starts=3 calls=2 containers=1 policies=1 profiled=20
delay=25ms

work=$(mktemp -d)
image=hubspoke-chain-performance:$$
cleanup() {
  docker image rm "$image" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

# bench ROUNDS PATTERN PACKAGE [ARGUMENT...] runs benchmarks, and keeps their lines; with "kind" set, under their names
# and a / and that.
bench() {
  local rounds=$1 pattern=$2 package=$3
  shift 3
  printf 'performance: %s\n' "$pattern" >&2
  go test -run '^$' -bench "$pattern" -benchtime "${rounds}x" -count "$runs" "$package" "$@" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "running $pattern"; }
  sed -nE "s,^(Benchmark[A-Za-z]+),\\1${kind:+/$kind},p" "$work/log" >"$work/lines"
  cat "$work/lines" >>"$work/results"
  [ -s "$work/lines" ] || die "$pattern printed no result"
}

# values NAME UNIT gives what a benchmark reported, one run a line, lowest first. What was not reported is noted, for
# the report is written by substitutions, whose failure ends nothing.
values() {
  awk -v name="$1" -v unit="$2" '
    { sub(/-[0-9]+$/, "", $1) }
    $1 == name { for (i = 3; i < NF; i += 2) if ($(i + 1) == unit) print $i }' "$work/results" | sort -g >"$work/values"
  [ -s "$work/values" ] || printf '%s %s\n' "$1" "$2" >>"$work/missing"
  cat "$work/values"
}
# middle NAME UNIT DECIMALS [DIVISOR] gives the median of the runs.
middle() {
  values "$1" "$2" | awk -v d="$3" -v by="${4:-1}" '{ v[NR] = $1 } END { printf "%.*f", d, v[int((NR + 1) / 2)] / by }'
}
# spread NAME UNIT DECIMALS [DIVISOR] gives the median, and the lowest and the highest run behind it.
spread() {
  values "$1" "$2" | awk -v d="$3" -v by="${4:-1}" '{ v[NR] = $1 / by }
    END { printf "%.*f", d, v[int((NR + 1) / 2)]; if (NR > 1) printf " (%.*f to %.*f)", d, v[1], d, v[NR] }'
}
# quotient A B DECIMALS
quotient() { awk -v a="$1" -v b="$2" -v d="$3" 'BEGIN { if (b == 0) print "-"; else printf "%.*f", d, a / b }'; }
load() { cut -d ' ' -f 1 /proc/loadavg; }
megabytes() { quotient "$1" 1000000 2; }

began=$(date -u +%Y-%m-%d) load_before=$(load)
commit=$(git rev-parse --short=12 HEAD)
git diff --quiet HEAD -- cmd internal go.mod go.sum Dockerfile || commit="$commit and changes on top"

printf 'performance: building the image\n' >&2
docker build --quiet -t "$image" --build-arg GO_IMAGE="${GO_IMAGE:-$(scripts/go-image.sh)}" . >"$work/log" 2>&1 ||
  { cat "$work/log" >&2; die "building the image"; }

: >"$work/results"
bench "$hops" 'BenchmarkHop$' ./internal/action -delay "$delay"
kind=at-once bench "$bare_hops" 'BenchmarkHop$' ./internal/action -delay 0
bench "$spokes" 'BenchmarkSpokes$' ./internal/action -delay "$delay"
bench "$policies" 'BenchmarkHubPolicy$' ./internal/hop
bench "$starts" 'BenchmarkStart$' ./cmd/hubspoke-chain
bench "$calls" 'BenchmarkInit$' ./cmd/hubspoke-chain
bench "$calls" 'BenchmarkCredentialProcess$' ./cmd/hubspoke-chain
bench "$calls" 'BenchmarkStep$' ./cmd/hubspoke-chain
HUBSPOKE_IMAGE=$image bench "$containers" 'BenchmarkContainer$' ./internal/e2e -tags docker

printf 'performance: profiling the hop\n' >&2
go test -run '^$' -bench 'BenchmarkHop$' -benchtime "${profiled}x" -cpuprofile "$work/cpu" -o "$work/action.test" \
  ./internal/action -delay 0 >"$work/log" 2>&1 || { cat "$work/log" >&2; die "profiling the hop"; }
# share FOCUS [IGNORE] gives the microseconds of CPU for each hop in stacks with a function that matches. Without the
# two fractions pprof would leave small functions out of its sum.
share() {
  go tool pprof -top -unit us -nodefraction 0 -edgefraction 0 -nodecount 1000000 -focus "$1" ${2:+-ignore "$2"} \
    "$work/action.test" "$work/cpu" 2>"$work/pprof.log" >"$work/pprof" ||
    { cat "$work/pprof.log" >&2; printf 'profile of %s\n' "$1" >>"$work/missing"; }
  # A function of another name by now would count for nothing. Of a few rounds there may be no sample.
  [ -n "$quick" ] || ! grep -q 'matched no samples' "$work/pprof.log" || printf 'profile of %s\n' "$1" >>"$work/missing"
  sed -nE 's/^Showing nodes accounting for ([0-9.]+).*/\1/p' "$work/pprof" >"$work/share"
  [ -s "$work/share" ] || printf 'profile of %s\n' "$1" >>"$work/missing"
  quotient "$(cat "$work/share")" "$profiled" 0
}
bare='action\.bareHop'
whole=$(share 'internal/(action\.Run|hop\.)' "$bare")
floor=$(share "$bare")
sdk=$(share 'service/sts\.(\(\*Client\)|New$)' "$bare|net/http\.")
assembling=$(share 'service/sts\.(New$|addOperation|\(\*Client\)\.add|add[A-Z])' "$bare|net/http\.")
signing=$(share 'SignHTTP' "$bare|net/http\.")
minting=$(share 'internal/idtoken\.' "$bare|net/http\.")
writing=$(share 'internal/action\.(\(\*step\)\.(export|summary)|writeFiles)' "$bare")

size=$(docker image inspect --format '{{.Size}}' "$image")
packed=$(docker save "$image" | gzip -c | wc -c)
bytes=$(middle BenchmarkStart bytes 0) bytes_floor=$(middle BenchmarkStart bytes-floor 0)

spoke_rows() {
  local name
  for name in plain/1 plain/10 plain/50 plain/100 tls/100 throttled/100; do
    printf '| %s | %s | %s ms | %s ms | %s | %s |\n' "$name" \
      "$(spread "BenchmarkSpokes/$name" spokes/one 2)" "$(middle "BenchmarkSpokes/$name" ms/spokes 0)" \
      "$(middle "BenchmarkSpokes/$name" ms/one 0)" "$(middle "BenchmarkSpokes/$name" requests/op 0)" \
      "$(middle "BenchmarkSpokes/$name" connections/op 1)"
  done
}
# The policies' time in milliseconds next to that of a whole step for a hundred spokes.
policy_rows() {
  local name ms
  for name in 100_spokes/one_role 100_spokes/many_roles 100_spokes/long_roles \
    500_spokes/one_role 500_spokes/many_roles 500_spokes/long_roles; do
    ms=$(middle "BenchmarkHubPolicy/$name" ns/op 3 1000000)
    printf '| %s | %s | %s ms |\n' "${name//_/ }" \
      "$(quotient "$ms" "$(middle BenchmarkSpokes/plain/100 ms/spokes 3)" 3)" "$ms"
  done
}
# The packages that one run or another named, by the median of those runs.
init_rows() {
  awk '{ sub(/-[0-9]+$/, "", $1) }
    $1 == "BenchmarkInit" { for (i = 3; i < NF; i += 2) if ($(i + 1) ~ /^us:/) print substr($(i + 1), 4) }' "$work/results" |
    sort -u | while read -r package; do
      printf '%s\t%s\n' "$(middle BenchmarkInit "us:$package" 0)" "$package"
    done | sort -rg | head -n 5 | while IFS=$'\t' read -r us package; do
      printf "| \`%s\` | %s | %s µs |\n" "$package" "$(quotient "$us" "$(middle BenchmarkInit ms-median 6 0.001)" 2)" "$us"
    done
}
layer_rows() {
  docker history --human=false --no-trunc --format '{{.Size}}' "$image" | awk '$1 > 0' | while read -r layer; do
    printf '| a layer of the image | %s | %s MB |\n' "$(quotient "$layer" "$bytes_floor" 2)" "$(megabytes "$layer")"
  done
}
full=$(quotient "$(awk -v a="$(middle BenchmarkSpokes/tls/100 handshakes/op 1)" \
  -v b="$(middle BenchmarkSpokes/tls/100 resumed/op 1)" 'BEGIN { print a - b }')" 1 1)

cat >"$work/report" <<REPORT
# How fast it is, and what that costs

<!-- Written by: scripts/performance.sh${quick:+ --quick} -->

Every figure on this page was measured in one run of \`scripts/performance.sh\`, which wrote the page. Beside each is a floor
that was measured in the same run, and the ratio of the two comes first. A figure is the median of the runs of its benchmark,
of which there were $runs; the lowest and the highest are in brackets behind it. Where two such ranges overlap, the two have not been
told apart.

| | |
|---|---|
| date | $began |
| commit | $commit |
| Go | $(go env GOVERSION) $(go env GOOS)/$(go env GOARCH) |
| CPU | $(sed -nE 's/^model name[[:space:]]*: (.*)/\1/p' /proc/cpuinfo | head -n 1), $(nproc) of them |
| kernel | $(uname -sr) |
| Docker engine | $(docker version --format '{{.Server.Version}}') |
| load of the machine | $load_before before, $(load) after |

A load above the number of CPUs means that others were at work on the machine, and that times are longer and further apart
than they need be.

GitHub and AWS are the lab's, on loopback. Nothing here was measured at AWS or on GitHub's runners, where the network comes on
top.

## The hop

\`BenchmarkHop\`, in \`internal/action\`: the whole step in one process, from the inputs to the exported files, beside a bare client
of \`net/http\` that sends the same forms on as many connections, and checks, logs and writes nothing. In the first row each
answer is held back for $delay, as a stand-in for the network, which is most of both columns; in the second it is not, and
what is left is work.

| | ratio | step | bare client |
|---|---:|---:|---:|
| time, as over a network | $(spread BenchmarkHop step/bare 3) | $(spread BenchmarkHop ms/step 1) ms | $(spread BenchmarkHop ms/bare 1) ms |
| time, answered at once | $(spread BenchmarkHop/at-once step/bare 2) | $(spread BenchmarkHop/at-once ms/step 1) ms | $(spread BenchmarkHop/at-once ms/bare 1) ms |
| allocated | $(quotient "$(middle BenchmarkHop KiB/step 1)" "$(middle BenchmarkHop KiB/bare 1)" 2) | $(middle BenchmarkHop KiB/step 0) KiB | $(middle BenchmarkHop KiB/bare 0) KiB |
| objects | $(quotient "$(middle BenchmarkHop objects/step 1)" "$(middle BenchmarkHop objects/bare 1)" 2) | $(middle BenchmarkHop objects/step 0) | $(middle BenchmarkHop objects/bare 0) |

The step made $(middle BenchmarkHop requests/op 2) requests on $(middle BenchmarkHop connections/op 2) connections.

The lab is in the same process: what it takes and allocates to answer is in both columns, and makes the ratios smaller than those
of step and client alone. The difference of the columns is not touched by it.

## What the SDK does

A profile of \`BenchmarkHop\` over $profiled hops, with answers that are not held back. CPU time for each hop, by the functions on the
stack, from samples; the goroutines in which \`net/http\` reads and writes, and the garbage collector, are in none of the rows.

| | of the bare client | CPU |
|---|---:|---:|
| the bare client | $(quotient "$floor" "$floor" 2) | $floor µs |
| the step | $(quotient "$whole" "$floor" 2) | $whole µs |
| of it: the SDK, without \`net/http\` | $(quotient "$sdk" "$floor" 2) | $sdk µs |
| of that: putting each call's steps together | $(quotient "$assembling" "$floor" 2) | $assembling µs |
| of that: signing | $(quotient "$signing" "$floor" 2) | $signing µs |
| of it: minting and reading the token, without \`net/http\` | $(quotient "$minting" "$floor" 2) | $minting µs |
| of it: writing the command files and the summary | $(quotient "$writing" "$floor" 2) | $writing µs |

Two calls of STS need a form, a signature and a little XML. The SDK puts a stack of steps together for each call, and
takes the call through all of them: endpoint rules, choice of a signing scheme, retry, user agent, tracing. That is the SDK's
row, $sdk µs of a hop that took $(middle BenchmarkHop ms/step 1) ms above. What it gives for that is AWS's own signing, errors and
classes of retry, so it stays.

## TLS

The connection to STS is opened while the token is minted, handshake included, so that one spoke does not wait for it. One
connection serves the hub's call and the first spoke's. Further connections, which only several spokes need, resume the
session of the first, which saves both sides the certificate. There is no switch for that, so what it saves is not measured here; the
server counts it: with a hundred spokes, $(middle BenchmarkSpokes/tls/100 handshakes/op 1) handshakes for a step, of which
$(middle BenchmarkSpokes/tls/100 resumed/op 1) resumed and $full were in full. For one spoke there is one handshake, and nothing to
resume: a step is a process of its own, and keeps no session for the next.

## Spokes

\`BenchmarkSpokes\`, in \`internal/action\`: a step with several spokes, beside a step with one of them. With \`tls\` STS speaks TLS.
With \`throttled\` it refuses the first calls of the hundred, which are then waited for, at random; those calls are among the
requests.

| spokes | ratio | step | with one spoke | requests | connections |
|---|---:|---:|---:|---:|---:|
$(spoke_rows)

\`BenchmarkHubPolicy\`, in \`internal/hop\`: dividing the spokes into batches and writing the session policy of each, which is done
before the first request. Its floor is the step with a hundred spokes above.

| spokes | of the step | policies |
|---|---:|---:|
$(policy_rows)

## The start

\`BenchmarkStart\`, in \`cmd/hubspoke-chain\`: the program prints its version and ends, beside a Go program that imports \`net/http\`
and does nothing. The copy is the same program, built again: what it differs by is chance.

| | ratio | time |
|---|---:|---:|
| the program | $(spread BenchmarkStart start/floor 2) | $(spread BenchmarkStart ms-median 2) ms |
| its copy | $(quotient "$(middle BenchmarkStart ms-copy 3)" "$(middle BenchmarkStart ms-floor 3)" 2) | $(spread BenchmarkStart ms-copy 2) ms |
| floor | $(quotient 1 1 2) | $(spread BenchmarkStart ms-floor 2) ms |

\`BenchmarkInit\` reads what runs before main's first line from \`GODEBUG=inittrace=1\`, the tracing of it included.

| | ratio | program | floor |
|---|---:|---:|---:|
| before main | $(quotient "$(middle BenchmarkInit ms-median 3)" "$(middle BenchmarkInit ms-floor 3)" 2) | $(spread BenchmarkInit ms-median 2) ms | $(spread BenchmarkInit ms-floor 2) ms |
| objects | $(quotient "$(middle BenchmarkInit objects 0)" "$(middle BenchmarkInit objects-floor 0)" 2) | $(middle BenchmarkInit objects 0) | $(middle BenchmarkInit objects-floor 0) |

The packages that take longest, of the program's time before main:

| package | share | time |
|---|---:|---:|
$(init_rows)

## Credential process

\`BenchmarkCredentialProcess\`, in \`cmd/hubspoke-chain\`: what an SDK waits for when it asks for credentials. Warm, the session is in
the cache; cold, the cache was removed, and the process walks the hop to the lab, whose answers are not held back. The floor is the
one of the start.

| | ratio | time |
|---|---:|---:|
| warm | $(spread BenchmarkCredentialProcess kept/floor 2) | $(spread BenchmarkCredentialProcess ms-kept 2) ms |
| cold | $(spread BenchmarkCredentialProcess walked/floor 2) | $(spread BenchmarkCredentialProcess ms-walked 2) ms |
| \`--version\` | $(quotient "$(middle BenchmarkCredentialProcess ms-version 3)" "$(middle BenchmarkCredentialProcess ms-floor 3)" 2) | $(spread BenchmarkCredentialProcess ms-version 2) ms |
| floor | $(quotient 1 1 2) | $(spread BenchmarkCredentialProcess ms-floor 2) ms |

## The process and its memory

\`BenchmarkStep\`, in \`cmd/hubspoke-chain\`: the program as a whole step, started by itself and without a container; answers are not held
back. Memory is the highest resident size of any process in a run, sampled while it runs.

| | ratio | step | floor |
|---|---:|---:|---:|
| time | $(quotient "$(middle BenchmarkStep ms-median 3)" "$(middle BenchmarkStep ms-floor 3)" 2) | $(spread BenchmarkStep ms-median 2) ms | $(spread BenchmarkStep ms-floor 2) ms |
| memory | $(quotient "$(middle BenchmarkStep MiB-peak 3)" "$(middle BenchmarkStep MiB-floor 3)" 2) | $(spread BenchmarkStep MiB-peak 2) MiB | $(spread BenchmarkStep MiB-floor 2) MiB |

## The container

\`BenchmarkContainer\`, in \`internal/e2e\`: \`docker run\` of the image, beside one of an image whose only program ends at once. On the bridge,
as the runner starts it, the image prints its version; on the host's network it does that too, and walks the whole hop, which is the
network on which it reaches the lab.

| network | | ratio | time |
|---|---|---:|---:|
| bridge | \`--version\` | $(spread BenchmarkContainer version/floor 2) | $(spread BenchmarkContainer ms-version 0) ms |
| bridge | floor | $(quotient 1 1 2) | $(spread BenchmarkContainer ms-floor 0) ms |
| host | the hop | $(spread BenchmarkContainer hop/floor-host 2) | $(spread BenchmarkContainer ms-hop-host 0) ms |
| host | \`--version\` | $(quotient "$(middle BenchmarkContainer ms-version-host 3)" "$(middle BenchmarkContainer ms-floor-host 3)" 2) | $(spread BenchmarkContainer ms-version-host 0) ms |
| host | floor | $(quotient 1 1 2) | $(spread BenchmarkContainer ms-floor-host 0) ms |

What the program's own process takes, container aside, is in the tables above. A ratio below one is chance here: the image does
what the floor does, and more.

## Sizes

The floor is the Go program of the start, built alike: it imports \`net/http\` and uses nothing of it, so that the linker can leave
much of it out. Packed is \`docker save\` through gzip, which is about what a runner pulls.

| | ratio | size |
|---|---:|---:|
| the program | $(quotient "$bytes" "$bytes_floor" 2) | $(megabytes "$bytes") MB |
| the image | $(quotient "$size" "$bytes_floor" 2) | $(megabytes "$size") MB |
$(layer_rows)
| the image, packed | $(quotient "$packed" "$bytes_floor" 2) | $(megabytes "$packed") MB |
| floor | $(quotient 1 1 2) | $(megabytes "$bytes_floor") MB |

## Again

\`\`\`sh
scripts/performance.sh
\`\`\`
REPORT

[ ! -s "$work/missing" ] || die "not measured: $(sort -u "$work/missing" | paste -sd ',')"
cp "$work/report" "$out"
printf 'performance: wrote %s in %d s\n' "$out" "$SECONDS" >&2
