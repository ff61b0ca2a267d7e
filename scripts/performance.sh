#!/usr/bin/env bash
# Runs this repository's benchmarks and writes the tables of docs/performance.md, each between <!-- BEGIN name --> and
# <!-- END name -->. The rest of the page is edited by hand.
#
#   scripts/performance.sh                 updates docs/performance.md; takes some minutes
#   scripts/performance.sh --quick FILE    writes the page to FILE, with figures from too few rounds to be meaningful
#
# All figures are from that one run. It needs Go, a Docker engine and Linux. GO_IMAGE names the Go image that builds the
# action's image; without it scripts/go-image.sh makes one. Leave the machine idle meanwhile.
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

# Rounds of each benchmark, and the number of runs of the whole benchmark.
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

# bench ROUNDS PATTERN PACKAGE [ARGUMENT...] runs benchmarks and keeps their lines. If "kind" is set, it is appended to
# their names, after a slash.
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

# values NAME UNIT prints a benchmark's results, one run per line, lowest first. It records a missing value, because a
# failed command substitution does not end the script.
values() {
  awk -v name="$1" -v unit="$2" '
    { sub(/-[0-9]+$/, "", $1) }
    $1 == name { for (i = 3; i < NF; i += 2) if ($(i + 1) == unit) print $i }' "$work/results" | sort -g >"$work/values"
  [ -s "$work/values" ] || printf '%s %s\n' "$1" "$2" >>"$work/missing"
  cat "$work/values"
}
# middle NAME UNIT DECIMALS [DIVISOR] prints the median of the runs.
middle() {
  values "$1" "$2" | awk -v d="$3" -v by="${4:-1}" '{ v[NR] = $1 } END { printf "%.*f", d, v[int((NR + 1) / 2)] / by }'
}
# spread NAME UNIT DECIMALS [DIVISOR] prints the median, then the lowest and the highest run.
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
# share FOCUS [IGNORE] prints the microseconds of CPU per hop in stacks with a matching function. Without the two
# fractions pprof would leave small functions out of its sum.
share() {
  go tool pprof -top -unit us -nodefraction 0 -edgefraction 0 -nodecount 1000000 -focus "$1" ${2:+-ignore "$2"} \
    "$work/action.test" "$work/cpu" 2>"$work/pprof.log" >"$work/pprof" ||
    { cat "$work/pprof.log" >&2; printf 'profile of %s\n' "$1" >>"$work/missing"; }
  # A function that was renamed would count for nothing. With --quick there may be no sample.
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
# The policy's time in milliseconds, and its ratio to the time of a whole step with 100 spokes.
policy_rows() {
  local name ms
  for name in 100_spokes/one_role 100_spokes/many_roles 100_spokes/long_roles \
    500_spokes/one_role 500_spokes/many_roles 500_spokes/long_roles; do
    ms=$(middle "BenchmarkHubPolicy/$name" ns/op 3 1000000)
    printf '| %s | %s | %s ms |\n' "${name//_/ }" \
      "$(quotient "$ms" "$(middle BenchmarkSpokes/plain/100 ms/spokes 3)" 3)" "$ms"
  done
}
# All packages that appear in any run, with the median of those runs.
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

# table NAME keeps a table of the page, from its lines on standard input.
mkdir "$work/tables"
table() { cat >"$work/tables/$1"; }

table run <<ROWS
| | |
|---|---|
| date | $began |
| commit | $commit |
| Go | $(go env GOVERSION) $(go env GOOS)/$(go env GOARCH) |
| CPU | $(sed -nE 's/^model name[[:space:]]*: (.*)/\1/p' /proc/cpuinfo | head -n 1), $(nproc) of them |
| kernel | $(uname -sr) |
| Docker engine | $(docker version --format '{{.Server.Version}}') |
| load of the machine | $load_before before, $(load) after |
| runs of each benchmark | $runs |
| delay of delayed responses | $delay |
| hops in the profile | $profiled |
ROWS
table hop <<ROWS
| | ratio | step | bare client |
|---|---:|---:|---:|
| time, delayed responses | $(spread BenchmarkHop step/bare 3) | $(spread BenchmarkHop ms/step 1) ms | $(spread BenchmarkHop ms/bare 1) ms |
| time, immediate responses | $(spread BenchmarkHop/at-once step/bare 2) | $(spread BenchmarkHop/at-once ms/step 1) ms | $(spread BenchmarkHop/at-once ms/bare 1) ms |
| allocated | $(quotient "$(middle BenchmarkHop KiB/step 1)" "$(middle BenchmarkHop KiB/bare 1)" 2) | $(middle BenchmarkHop KiB/step 0) KiB | $(middle BenchmarkHop KiB/bare 0) KiB |
| objects | $(quotient "$(middle BenchmarkHop objects/step 1)" "$(middle BenchmarkHop objects/bare 1)" 2) | $(middle BenchmarkHop objects/step 0) | $(middle BenchmarkHop objects/bare 0) |
| requests | | $(middle BenchmarkHop requests/op 2) | |
| connections | | $(middle BenchmarkHop connections/op 2) | |
ROWS
table profile <<ROWS
| | ratio | CPU per hop |
|---|---:|---:|
| the bare client | $(quotient "$floor" "$floor" 2) | $floor µs |
| the step | $(quotient "$whole" "$floor" 2) | $whole µs |
| the SDK, without \`net/http\` | $(quotient "$sdk" "$floor" 2) | $sdk µs |
| of that, assembling the middleware of each call | $(quotient "$assembling" "$floor" 2) | $assembling µs |
| of that, signing | $(quotient "$signing" "$floor" 2) | $signing µs |
| requesting and reading the token, without \`net/http\` | $(quotient "$minting" "$floor" 2) | $minting µs |
| writing the command files and the summary | $(quotient "$writing" "$floor" 2) | $writing µs |
ROWS
table tls <<ROWS
| with 100 spokes | handshakes per step |
|---|---:|
| all | $(middle BenchmarkSpokes/tls/100 handshakes/op 1) |
| resumed | $(middle BenchmarkSpokes/tls/100 resumed/op 1) |
| full | $full |
ROWS
table spokes <<ROWS
| spokes | ratio | step | with one spoke | requests | connections |
|---|---:|---:|---:|---:|---:|
$(spoke_rows)
ROWS
table hub-policy <<ROWS
| spokes | ratio | policy |
|---|---:|---:|
$(policy_rows)
ROWS
table start <<ROWS
| | ratio | time |
|---|---:|---:|
| hubspoke-chain | $(spread BenchmarkStart start/floor 2) | $(spread BenchmarkStart ms-median 2) ms |
| its copy | $(quotient "$(middle BenchmarkStart ms-copy 3)" "$(middle BenchmarkStart ms-floor 3)" 2) | $(spread BenchmarkStart ms-copy 2) ms |
| floor | $(quotient 1 1 2) | $(spread BenchmarkStart ms-floor 2) ms |
ROWS
table init <<ROWS
| | ratio | hubspoke-chain | floor |
|---|---:|---:|---:|
| before main | $(quotient "$(middle BenchmarkInit ms-median 3)" "$(middle BenchmarkInit ms-floor 3)" 2) | $(spread BenchmarkInit ms-median 2) ms | $(spread BenchmarkInit ms-floor 2) ms |
| objects | $(quotient "$(middle BenchmarkInit objects 0)" "$(middle BenchmarkInit objects-floor 0)" 2) | $(middle BenchmarkInit objects 0) | $(middle BenchmarkInit objects-floor 0) |
ROWS
table packages <<ROWS
| package | ratio | time |
|---|---:|---:|
$(init_rows)
ROWS
table credential-process <<ROWS
| | ratio | time |
|---|---:|---:|
| warm | $(spread BenchmarkCredentialProcess kept/floor 2) | $(spread BenchmarkCredentialProcess ms-kept 2) ms |
| cold | $(spread BenchmarkCredentialProcess walked/floor 2) | $(spread BenchmarkCredentialProcess ms-walked 2) ms |
| \`--version\` | $(quotient "$(middle BenchmarkCredentialProcess ms-version 3)" "$(middle BenchmarkCredentialProcess ms-floor 3)" 2) | $(spread BenchmarkCredentialProcess ms-version 2) ms |
| floor | $(quotient 1 1 2) | $(spread BenchmarkCredentialProcess ms-floor 2) ms |
ROWS
table process <<ROWS
| | ratio | step | floor |
|---|---:|---:|---:|
| time | $(quotient "$(middle BenchmarkStep ms-median 3)" "$(middle BenchmarkStep ms-floor 3)" 2) | $(spread BenchmarkStep ms-median 2) ms | $(spread BenchmarkStep ms-floor 2) ms |
| memory | $(quotient "$(middle BenchmarkStep MiB-peak 3)" "$(middle BenchmarkStep MiB-floor 3)" 2) | $(spread BenchmarkStep MiB-peak 2) MiB | $(spread BenchmarkStep MiB-floor 2) MiB |
ROWS
table container <<ROWS
| network | | ratio | time |
|---|---|---:|---:|
| bridge | \`--version\` | $(spread BenchmarkContainer version/floor 2) | $(spread BenchmarkContainer ms-version 0) ms |
| bridge | floor | $(quotient 1 1 2) | $(spread BenchmarkContainer ms-floor 0) ms |
| host | the hop | $(spread BenchmarkContainer hop/floor-host 2) | $(spread BenchmarkContainer ms-hop-host 0) ms |
| host | \`--version\` | $(quotient "$(middle BenchmarkContainer ms-version-host 3)" "$(middle BenchmarkContainer ms-floor-host 3)" 2) | $(spread BenchmarkContainer ms-version-host 0) ms |
| host | floor | $(quotient 1 1 2) | $(spread BenchmarkContainer ms-floor-host 0) ms |
ROWS
table sizes <<ROWS
| | ratio | size |
|---|---:|---:|
| hubspoke-chain | $(quotient "$bytes" "$bytes_floor" 2) | $(megabytes "$bytes") MB |
| the image | $(quotient "$size" "$bytes_floor" 2) | $(megabytes "$size") MB |
$(layer_rows)
| the image, compressed | $(quotient "$packed" "$bytes_floor" 2) | $(megabytes "$packed") MB |
| floor | $(quotient 1 1 2) | $(megabytes "$bytes_floor") MB |
ROWS

# The committed page with these tables. If the set of tables differs, the page is not written.
awk -v tables="$work/tables" '
  /^<!-- BEGIN .* -->$/ {
    print
    name = tables "/" $3
    rows = 0
    while ((getline row < name) > 0) { print row; rows++ }
    if (!rows) { print "no table " $3 > "/dev/stderr"; exit 1 }
    system("rm " name)
    inside = 1
  }
  /^<!-- END .* -->$/ { inside = 0 }
  !inside && !/^<!-- BEGIN / { print }
' docs/performance.md >"$work/report" || die "writing the tables into docs/performance.md"
unused=$(ls "$work/tables")
[ -z "$unused" ] || die "docs/performance.md has no place for: $unused"
[ ! -s "$work/missing" ] || die "not measured: $(sort -u "$work/missing" | paste -sd ',')"
cp "$work/report" "$out"
printf 'performance: wrote %s in %d s\n' "$out" "$SECONDS" >&2
