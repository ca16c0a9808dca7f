#!/usr/bin/env bash
# Fetches the packages of the app in npm_app for the test of the packed client. The folder is $PLUGBOARD_NPM_APP, or one in
# the user's cache.
set -u
cd "$(dirname "$0")"
to=${PLUGBOARD_NPM_APP:-${XDG_CACHE_HOME:-$HOME/.cache}/plugboard/npm_app}
mkdir -p "$to" && cp npm_app/package.json "$to"
if npm install --prefix "$to" --no-audit --no-fund --silent; then
  echo "npm packages: ready in $to"
else
  echo "npm packages: not ready"
fi
