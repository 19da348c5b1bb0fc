#!/bin/sh
# The main job, on an embedded NAS in ./demo: an experiment with its people and tree; machines in ./demo-machines that deliver
# a day of sample data with their sync kits; what arrived is checked, put into its place, looked into, and documented.
# Running it again is harmless.
set -eu
cd "$(dirname "$0")/.."
definition=examples/climate-chamber.yaml
nas=$PWD/demo
machines=$PWD/demo-machines

cargo build --quiet --locked --bin octonas --bin octonas-probe --example sample_data
octonas=target/debug/octonas
OCTONAS_NAS=local:$nas
export OCTONAS_NAS

code=$(sed -n 's/^code: *//p' "$definition")
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

say "1. $definition becomes an experiment: octonas experiment create -f $definition"
if "$octonas" --quiet experiment show "$code" >/dev/null 2>&1; then
	echo "$code is there already: its definition is applied again."
	"$octonas" --quiet experiment apply "$code"
else
	"$octonas" --quiet experiment create -f "$definition"
fi

say "2. Its machines measure for a day (synthetic data), and each gets a sync kit: octonas synckit build $code SOURCE"
target/debug/examples/sample_data "$definition" "$machines/data" >/dev/null
mkdir -p "$machines/kits"
for machine in "$machines"/data/*; do
	source=$(basename "$machine")
	if ! [ -d "$machines/kits/$source" ]; then
		"$octonas" --quiet synckit build "$code" "$source" --output "$machines/kits/$source" \
			--directory "$nas/$code/landing/$source" --watch "$machine" >/dev/null
	fi
	echo "$source"
done

say "3. The kits deliver: python3 octonas_sync.py run"
for kit in "$machines"/kits/*; do
	source=$(basename "$kit")
	summary=$(OCTONAS_SYNC_HOME=$machines/homes/$source python3 "$kit/octonas_sync.py" run | sed -n 1p)
	echo "$source: $summary"
done

say "4. What is whole and right goes to its place and gets a receipt: octonas ingest $code"
"$octonas" --quiet ingest "$code"
"$octonas" source list "$code"

say "5. What is inside: octonas probe $code; the documents and the data management plan (PGD) say it"
"$octonas" --quiet probe "$code"
"$octonas" --quiet document build "$code"
"$octonas" --quiet dmp build "$code"

say "6. What it is: octonas experiment show $code"
"$octonas" experiment show "$code"

say "7. Who can do what: octonas rights $code"
"$octonas" rights "$code"

say "8. Is everything as it should be: octonas experiment check $code"
"$octonas" experiment check "$code"

say "Where everything is"
cat <<END
  data          demo/$code/
  documents     demo/$code/metadata/*.html
  PGD           demo/$code/metadata/dmp/
  definition    demo/$code/metadata/experiment.yaml
  history       demo/.octonas/ledger/
  machines      demo-machines/
Go on with, for instance:
  export OCTONAS_NAS=local:$nas
  $octonas dmp questions $code
  $octonas experiment close $code
END
page=$(find "demo/$code/metadata/dmp" -name '*.fr.html' | head -n 1)
if [ -n "$page" ] && [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then
	xdg-open "$page" >/dev/null 2>&1 || true
fi
