#!/bin/sh
# Get what the tests need beyond Python: the contracts' npm packages and, as root on Debian, Chromium.
# Without a tool its tests are skipped by name; with HALLE_REQUIRE=all they fail instead.
set -u
if [ ! -e contracts/node_modules/.installed ]; then
    if command -v npm >/dev/null 2>&1; then
        echo "Installing the contract tools (npm) …"
        (cd contracts && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null) \
            && touch contracts/node_modules/.installed \
            || echo "npm could not install the contract tools: contract compilation and forge tests will be skipped."
    else
        echo "npm is not installed: contract compilation and forge tests will be skipped."
    fi
fi
if ! command -v chromium >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing Chromium (apt) …"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null 2>&1 \
            || echo "apt could not install Chromium: browser tests will be skipped."
    else
        echo "Chromium is not installed: browser tests will be skipped (Debian: apt-get install chromium)."
    fi
fi
exit 0
