#!/bin/sh
# Sees to it that there is a Chromium for the tests of what is shown in a browser. Installs Debian's where it may;
# otherwise says what to do. Never fails: all other tests can run without it.

for program in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$program" ] && command -v "$program" >/dev/null 2>&1; then
        exit 0
    fi
done

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Chromium by apt-get, for the tests in a browser …"
    log=$(mktemp)
    if apt-get update >"$log" 2>&1 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core >>"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -n 5 "$log"
    rm -f "$log"
fi

echo "There is no Chromium, and it cannot be installed from here: the tests in tests/kiosk will fail."
echo "On Debian and Ubuntu: apt install chromium. Or name one: CHROMIUM=/path/to/chromium make test"
