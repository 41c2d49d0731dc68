#!/usr/bin/env bash
# Microsoft's Go client against the simulator. The first build takes some minutes.
set -euo pipefail
cd "$(dirname "$0")"

dir=$(mktemp -d)
mkfifo "$dir/in" "$dir/out"
go build -o "$dir/msgraphsdk" .
(cd .. && go build -o "$dir/simserver" ./simserver)
"$dir/simserver" -dir "$dir" <"$dir/in" >"$dir/out" &
sim=$!
exec 3>"$dir/in" # the simulator ends when this is closed
trap 'exec 3>&-; wait "$sim" || true; rm -rf "$dir"' EXIT
IFS= read -r -t 30 line <"$dir/out"

"$dir/msgraphsdk" "$line"
