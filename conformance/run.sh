#!/usr/bin/env bash
# Independent published clients against the simulator: go-oidc with x/oauth2, then
# @azure/identity with @microsoft/microsoft-graph-client. Fails when one of them does.
set -euo pipefail
cd "$(dirname "$0")"

echo "go-oidc and x/oauth2"
go test -timeout 10m -count=1 -v .

echo "@azure/identity and @microsoft/microsoft-graph-client"
[ -d node_modules/@azure/identity ] && [ -d node_modules/@microsoft/microsoft-graph-client ] ||
	npm install --no-package-lock --no-audit --no-fund --loglevel=error
# @azure/identity asks for Node.js 20, Debian 12 has 18, and npm has newer ones.
node=node
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
	node=node_modules/node/bin/node
	[ -x "$node" ] || npm install --no-save --no-package-lock --no-audit --no-fund --loglevel=error node@22
fi

dir=$(mktemp -d)
mkfifo "$dir/in" "$dir/out"
go build -o "$dir/simserver" ./simserver
"$dir/simserver" -dir "$dir" <"$dir/in" >"$dir/out" &
sim=$!
exec 3>"$dir/in" # the simulator ends when this is closed
trap 'exec 3>&-; wait "$sim" || true; rm -rf "$dir"' EXIT
IFS= read -r -t 30 line <"$dir/out"

NODE_EXTRA_CA_CERTS="$dir/ca.pem" "$node" client.mjs "$line"
