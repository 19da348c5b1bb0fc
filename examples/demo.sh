#!/bin/sh
# The main job, on an embedded NAS in ./demo: an experiment with its people and tree, and a day of sample data in it.
# Running it again is harmless.
set -eu
cd "$(dirname "$0")/.."
definition=examples/climate-chamber.yaml

cargo build --quiet --locked --bin octonas --example sample_data
octonas=target/debug/octonas
OCTONAS_NAS=local:$PWD/demo
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

say "2. A day of synthetic chamber data is delivered into it"
target/debug/examples/sample_data "demo/$code" "$definition"

say "3. What it is: octonas experiment show $code"
"$octonas" experiment show "$code"

say "4. Who can do what: octonas rights $code"
"$octonas" rights "$code"

say "5. Is everything as it should be: octonas experiment check $code"
"$octonas" experiment check "$code"

say "Where everything is"
cat <<END
  data          demo/$code/
  definition    demo/$code/metadata/experiment.yaml
  history       demo/.octonas/ledger/
Go on with, for instance:
  export OCTONAS_NAS=local:$PWD/demo
  $octonas experiment close $code
  $octonas experiment list
END
