#!/bin/sh
# Starts the units for real: systemd/start.sh BINDIR
#
# BINDIR holds the three programs. A user manager of its own (systemd --user, as user nobody, in a mount
# namespace, with a software token) gets the units from `strongroom install --user`. Then: the socket
# starts the agent, the module works inside the sandbox, a killed agent comes back locked, a stopped
# one leaves no socket. Nothing of the running system is touched; systemd need not be PID 1.
#
# Needs root, and the Debian packages systemd, dbus, procps, softhsm2, util-linux.
set -eu

user=65534
case "${1-}" in
    --as-user) ;;
    --in-namespace)
        work=$2
        mount -t tmpfs none /run
        mkdir -p /run/systemd/system /run/systemd/unit-root # without them systemd ends, or mounts fail
        install -d -o $user -m 0700 "/run/user/$user"
        umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup
        mount -t cgroup2 none /sys/fs/cgroup
        group=/sys/fs/cgroup/strongroom-check-$$
        mkdir "$group"
        chown -R $user "$group"
        sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' sh "$group" \
            setpriv --reuid $user --regid $user --clear-groups \
            env -i HOME="$work/home" PATH="$work/bin:/usr/bin:/bin:/usr/sbin" LANG=C.UTF-8 \
            XDG_RUNTIME_DIR="/run/user/$user" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$user/bus" \
            "$0" --as-user "$work" || status=$?
        if [ -e "$group/cgroup.kill" ]; then echo 1 > "$group/cgroup.kill"; fi
        sleep 0.2
        find "$group" -depth -type d -exec rmdir {} +
        exit "${status-0}"
        ;;
    *)
        if [ $# -ne 1 ] || [ ! -x "$1/strongroom" ] || [ "$(id -u)" != 0 ]; then
            echo "usage, as root: systemd/start.sh BINDIR   (a folder with the three programs)" >&2
            exit 2
        fi
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        chmod 0755 "$work"
        mkdir "$work/bin" "$work/home"
        cp "$1/strongroom" "$1/strongroom-keeper" "$1/strongroom-token" "$0" "$work/bin/"
        chown $user "$work/home"
        unshare --mount "$work/bin/$(basename "$0")" --in-namespace "$work"
        exit
        ;;
esac

# From here on: user nobody, alone with a user manager.
work=$2
cd "$HOME"
fail() {
    echo "systemd: $*" >&2
    cat "$HOME/said" "$HOME/manager.log" >&2
    exit 1
}
# says WHAT COMMAND…: the command's output must contain WHAT.
says() {
    what=$1
    shift
    "$@" > "$HOME/said" 2>&1 || true
    grep -q "$what" "$HOME/said" || fail "\`$*\` does not say \`$what\`:"
}
# soon COMMAND…: it must succeed within ten seconds.
soon() {
    for _ in $(seq 100); do
        if "$@" > "$HOME/said" 2>&1; then return; fi
        sleep 0.1
    done
    fail "\`$*\` does not succeed:"
}

: > "$HOME/said"
dbus-daemon --session --address="$DBUS_SESSION_BUS_ADDRESS" --nofork --nopidfile 2> /dev/null &
/lib/systemd/systemd --user --log-target=console > "$HOME/manager.log" 2>&1 &
soon systemctl --user is-active basic.target

mkdir "$HOME/tokens"
echo "directories.tokendir = $HOME/tokens" > "$HOME/softhsm2.conf"
export SOFTHSM2_CONF="$HOME/softhsm2.conf"
softhsm2-util --init-token --free --label check --so-pin 12345678 --pin 123456 > /dev/null
echo 123456 | strongroom init --module /usr/lib/softhsm/libsofthsm2.so --label check \
    --module-env SOFTHSM2_CONF --pin-stdin > "$HOME/said" 2>&1 || fail "init does not work:"

strongroom install --user > "$HOME/said" 2>&1 || fail "the units are not written:"
systemctl --user daemon-reload
systemctl --user enable --now strongroom.socket 2> /dev/null
says 'srw-------' ls -l "$XDG_RUNTIME_DIR/strongroom/agent.sock"
says 'inactive' systemctl --user is-active strongroom.service

says '"locked": *true' strongroom status --json
says '^active' systemctl --user is-active strongroom.service
echo 123456 | strongroom unlock --pin-stdin > "$HOME/said" 2>&1 || fail "the token does not work inside the unit:"
says '"locked": *false' strongroom status --json

first=$(systemctl --user show --value -p MainPID strongroom.service)
for name in NoNewPrivs:.1 Seccomp:.2; do says "$name" cat "/proc/$first/status"; done
kill -KILL "$first"
again() {
    now=$(systemctl --user show --value -p MainPID strongroom.service)
    [ "$now" != 0 ] && [ "$now" != "$first" ]
}
soon again
says '"locked": *true' strongroom status --json
if pgrep -u "$(id -u)" -f "$work/bin/strongroom-keeper" > /dev/null; then
    fail "a keeper has outlived its front"
fi

systemctl --user stop strongroom.service strongroom.socket 2> /dev/null
says 'success' systemctl --user show --value -p Result strongroom.service
if [ -e "$XDG_RUNTIME_DIR/strongroom/agent.sock" ]; then fail "the socket is left behind"; fi

echo "systemd: socket activation, sandbox with a token, restart after a kill and stop all work"
