#!/bin/sh
# Checks the unit files with systemd itself: systemd/check.sh BINDIR
#
# Fills BINDIR (a folder with an executable `strongroom`) into the service, then runs
# `systemd-analyze verify --user`. For a misspelt directive that prints a warning and exits 0, so any
# output counts as failure. Needs no running user manager and runs as any user.
set -eu

if [ $# -ne 1 ] || [ ! -x "$1/strongroom" ]; then
    echo "usage: systemd/check.sh BINDIR   (a folder with an executable \`strongroom\`)" >&2
    exit 2
fi
bindir=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -m 0700 "$work/runtime" "$work/units" "$work/broken"

# verify SERVICE SOCKET: prints what systemd has to say, nothing if all is well.
verify() {
    XDG_RUNTIME_DIR="$work/runtime" SYSTEMD_LOG_LEVEL=warning \
        systemd-analyze verify --user --man=no "$@" 2>&1 || echo "systemd-analyze exits with $?"
}

sed "s|@BINDIR@|$bindir|g" "$here/strongroom.service" > "$work/units/strongroom.service"
cp "$here/strongroom.socket" "$work/units/strongroom.socket"
if grep -n '@BINDIR@' "$work/units/"*; then
    echo "systemd: a placeholder is left" >&2
    exit 1
fi
said=$(verify "$work/units/strongroom.service" "$work/units/strongroom.socket")
if [ -n "$said" ]; then
    printf 'systemd: the units are not accepted:\n%s\n' "$said" >&2
    exit 1
fi

# Controls: this check must see a misspelt directive, a wrong value and a missing binary.
control() {
    what=$1
    script=$2
    file=$3
    cp "$work/units/"* "$work/broken/"
    sed -i "$script" "$work/broken/$file"
    if cmp -s "$work/units/$file" "$work/broken/$file"; then
        echo "systemd: the control \`$what\` changes nothing, so it proves nothing" >&2
        exit 1
    fi
    if [ -z "$(verify "$work/broken/strongroom.service" "$work/broken/strongroom.socket")" ]; then
        echo "systemd: this check does not see $what" >&2
        exit 1
    fi
}
control 'a misspelt directive' 's/^NoNewPrivileges=/NoNewPrivilege=/' strongroom.service
control 'a wrong value' 's/^SocketMode=.*/SocketMode=rw/' strongroom.socket
control 'a missing binary' 's|^ExecStart=.*|ExecStart=/nonexistent/strongroom agent|' strongroom.service

echo "systemd: both units accepted, 3 of 3 broken ones refused"
