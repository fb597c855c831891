#!/bin/sh
# Sees to it that there is a PgBouncer for the test that runs through one. Unpacks Debian's or Ubuntu's into .tools, which
# needs no rights and starts no service; otherwise says what to do. Never fails: all other tests can run without it.

folder=.tools/pgbouncer
if command -v pgbouncer >/dev/null 2>&1 || [ -x /usr/sbin/pgbouncer ] || [ -x "$folder/usr/sbin/pgbouncer" ]; then
    exit 0
fi

if command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1; then
    echo "Fetching PgBouncer by apt-get, for the test that runs through it …"
    mkdir -p "$folder"
    log=$(mktemp)
    if ( [ "$(id -u)" != 0 ] || apt-get update
         cd "$folder" && apt-get download pgbouncer $(apt-cache depends pgbouncer |
            sed -n 's/^ *Depends: \(libevent[^ ]*\|libc-ares[^ ]*\)$/\1/p') &&
         for package in *.deb; do dpkg-deb --extract "$package" . && rm "$package"; done ) >"$log" 2>&1 &&
        [ -x "$folder/usr/sbin/pgbouncer" ]; then
        rm -f "$log"
        exit 0
    fi
    tail -n 5 "$log"
    rm -f "$log"
fi

echo "There is no PgBouncer, and it cannot be fetched from here: the tests that run through it are skipped."
