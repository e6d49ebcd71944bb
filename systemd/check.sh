#!/bin/sh
# Checks the unit files with systemd itself: systemd/check.sh BINDIR
#
# Fills BINDIR (a folder with an executable `strongroom`) into the services, then runs
# `systemd-analyze verify`. For a misspelt directive that prints a warning and exits 0, so any
# output counts as failure. Then `systemd-analyze security`, whose figure for the sandbox must not be above
# 0.9 (user unit) and 0.4 (system template). Needs no running manager and runs as any user.
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

# verify MANAGER UNIT…: prints what systemd has to say, nothing if all is well.
verify() {
    manager=$1
    shift
    XDG_RUNTIME_DIR="$work/runtime" SYSTEMD_LOG_LEVEL=warning \
        systemd-analyze verify "$manager" --man=no "$@" 2>&1 || echo "systemd-analyze exits with $?"
}
# exposed MANAGER UNIT TENTHS: prints the figure if it is too high, nothing if all is well.
exposed() {
    if ! XDG_RUNTIME_DIR="$work/runtime" systemd-analyze security "$1" --offline=true --threshold="$3" --no-pager "$2" \
        > "$work/security" 2>&1; then
        grep 'Overall' "$work/security" || cat "$work/security"
    fi
}

for unit in strongroom.service strongroom.socket strongroom@.service strongroom@.socket strongroom-bot@.socket; do
    sed "s|@BINDIR@|$bindir|g; s|@SERVICE@|strongroom@daemon.service|g" "$here/$unit" > "$work/units/$unit"
done
# An instance, for a user that is there.
for kind in service socket; do ln -s "strongroom@.$kind" "$work/units/strongroom@daemon.$kind"; done
ln -s strongroom-bot@.socket "$work/units/strongroom-bot@games.socket"
if grep -n '@[A-Z]*@' "$work/units/"*; then
    echo "systemd: a placeholder is left" >&2
    exit 1
fi
said=$(
    verify --user "$work/units/strongroom.service" "$work/units/strongroom.socket"
    verify --system "$work/units/strongroom@daemon.service" "$work/units/strongroom@daemon.socket" "$work/units/strongroom-bot@games.socket"
    exposed --user "$work/units/strongroom.service" 9
    exposed --system "$work/units/strongroom@daemon.service" 4
)
if [ -n "$said" ]; then
    printf 'systemd: the units are not accepted:\n%s\n' "$said" >&2
    exit 1
fi

# Controls: this check must see a misspelt directive, a wrong value, a missing binary and a wider sandbox.
control() {
    what=$1
    script=$2
    file=$3
    cp -P "$work/units/"* "$work/broken/"
    sed -i "$script" "$work/broken/$file"
    if cmp -s "$work/units/$file" "$work/broken/$file"; then
        echo "systemd: the control \`$what\` changes nothing, so it proves nothing" >&2
        exit 1
    fi
    said=$(
        verify --user "$work/broken/strongroom.service" "$work/broken/strongroom.socket"
        verify --system "$work/broken/strongroom@daemon.service" "$work/broken/strongroom@daemon.socket" "$work/broken/strongroom-bot@games.socket"
        exposed --user "$work/broken/strongroom.service" 9
        exposed --system "$work/broken/strongroom@daemon.service" 4
    )
    if [ -z "$said" ]; then
        echo "systemd: this check does not see $what" >&2
        exit 1
    fi
}
for service in strongroom.service strongroom@.service; do
    control 'a misspelt directive' 's/^NoNewPrivileges=/NoNewPrivilege=/' $service
    control 'a missing binary' 's|^ExecStart=.*|ExecStart=/nonexistent/strongroom agent|' $service
    control 'a network' '/^PrivateNetwork=/d' $service
done
for socket in strongroom.socket strongroom@.socket strongroom-bot@.socket; do
    control 'a wrong value' 's/^SocketMode=.*/SocketMode=rw/' $socket
done

echo "systemd: all five units accepted, 9 of 9 broken ones refused"
