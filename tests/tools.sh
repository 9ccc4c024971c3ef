#!/bin/sh
# Get what the tests need beyond the project's Python: analysers of contracts, npm packages, engines built from Go
# modules and, as root on Debian, Chromium and what makes networks and routers.
# Without a tool its tests are skipped by name; with HALLE_REQUIRE=all they fail instead.
set -u

# npm_packages FOLDER WHAT
npm_packages() {
    [ "$1/node_modules/.installed" -nt "$1/package-lock.json" ] && return
    if command -v npm >/dev/null 2>&1; then
        echo "Installing $2 (npm) …"
        (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null 2>&1) \
            && touch "$1/node_modules/.installed" \
            || echo "npm could not install $2: their tests will be skipped."
    else
        echo "npm is not installed: tests with $2 will be skipped."
    fi
}

# go_program NAME PACKAGE: build into .tools/bin from the modules that tests/interop/go pins
go_program() {
    sources=tests/interop/go/go.sum
    case "$2" in ./*) sources="$sources tests/interop/go/$2" ;; esac
    # shellcheck disable=SC2086 - one word a path
    [ -f ".tools/bin/$1" ] && [ -z "$(find $sources -newer ".tools/bin/$1" -type f)" ] && return
    if command -v go >/dev/null 2>&1; then
        echo "Building $1 (go; some minutes the first time) …"
        (cd tests/interop/go && go build -trimpath -ldflags='-s -w' -o "../../../.tools/bin/$1" "$2" >/dev/null 2>&1) \
            && touch ".tools/bin/$1" \
            || echo "go could not build $1: its tests will be skipped."
    else
        echo "go is not installed: tests with $1 will be skipped."
    fi
}

# apt_package COMMAND PACKAGE TESTS
apt_package() {
    command -v "$1" >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing $2 (apt) …"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2"; } >/dev/null 2>&1 \
            || echo "apt could not install $2: $3 will be skipped."
    else
        echo "$2 is not installed: $3 will be skipped (Debian: apt-get install $2)."
    fi
}

# python_tools NAME REQUIREMENTS WHAT: a venv of its own in .tools/NAME, as these packages contradict the project's
python_tools() {
    [ ".tools/$1/.installed" -nt "$2" ] && return
    echo "Installing $3 (pip) …"
    { "${VENV:-.venv}/bin/python" -m venv --clear ".tools/$1" \
        && ".tools/$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$2"; } >/dev/null 2>&1 \
        && touch ".tools/$1/.installed" \
        || echo "pip could not install $3: their tests will be skipped."
}

npm_packages contracts "the contract tools"
python_tools contracts contracts/analysis.txt "Slither and halmos"
npm_packages tests/interop/js "the engines of others in JavaScript"
go_program ipfs github.com/ipfs/kubo/cmd/ipfs
go_program halle-peer ./peer
apt_package chromium chromium "tests in a browser"
apt_package ip iproute2 "tests in network namespaces"
apt_package nft nftables "the test of a router"
apt_package miniupnpd miniupnpd "the test of a router"
exit 0
