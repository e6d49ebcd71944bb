#!/bin/sh
# Starts the units for real: systemd/start.sh BINDIR
#
# BINDIR holds the three programs. A user manager of its own (systemd --user, as user daemon, in a mount
# namespace, with a software token) gets the units from `strongroom install --user`. Then: the socket
# starts the agent, the module works inside the sandbox and can write nowhere else, logind is heard from there, the
# agent sees the unit of a client, a killed agent comes back locked, a stopped one leaves no socket. Nothing of the
# running system is touched; systemd need not be PID 1.
#
# Needs root, and the Debian packages systemd, dbus, procps, python3-dbus, python3-gi, softhsm2, util-linux.
set -eu
. "$(dirname "$0")/expect.sh"

# Not nobody: in the unit's user namespace that one stands for everybody else, and is refused.
user=1
case "${1-}" in
    --as-user) ;;
    --in-group)
        # The place of a user manager, below a root of its own.
        umount /sys/fs/cgroup
        mount -t cgroup2 none /sys/fs/cgroup
        group=/sys/fs/cgroup/user.slice/user-$user.slice/user@$user.service
        mkdir -p "$group"
        chown -R $user "$group"
        exec sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' sh "$group" \
            setpriv --reuid $user --regid $user --clear-groups \
            env -i HOME=/home/check PATH=/opt/strongroom:/usr/bin:/bin:/usr/sbin LANG=C.UTF-8 \
            XDG_RUNTIME_DIR="/run/user/$user" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$user/bus" \
            "$0" --as-user
        ;;
    --in-namespace)
        work=$2
        # Where people have them: /tmp is not the agent's /tmp, and its home is read-only.
        mount -t tmpfs none /home
        mount -t tmpfs none /opt
        mkdir /home/check /opt/strongroom
        chown $user /home/check
        cp "$work/bin/"* /opt/strongroom/
        mount -t tmpfs none /run
        mkdir -p /run/systemd/system /run/systemd/unit-root # without them systemd ends, or mounts fail
        install -d -o $user -m 0700 "/run/user/$user" /run/dbus
        umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup
        mount -t cgroup2 none /sys/fs/cgroup
        group=/sys/fs/cgroup/strongroom-check-$$
        mkdir "$group"
        sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' sh "$group" \
            unshare --cgroup --mount "$0" --in-group || status=$?
        end_group "$group"
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
        mkdir "$work/bin"
        here=$(dirname "$0")
        cp "$1/strongroom" "$1/strongroom-keeper" "$1/strongroom-token" "$0" "$here/expect.sh" "$here/probe.py" \
            "$here/../softhsm-tests/logind/logind.py" "$work/bin/"
        unshare --mount "$work/bin/$(basename "$0")" --in-namespace "$work"
        exit
        ;;
esac

# From here on: user daemon, alone with a user manager.
cd "$HOME"
said=$HOME/said manager_log=$HOME/manager.log
: > "$said"
dbus-daemon --session --address="$DBUS_SESSION_BUS_ADDRESS" --nofork --nopidfile 2> /dev/null &
# What stands for the system bus and its logind; the agent finds it where every program does.
dbus-daemon --session --address=unix:path=/run/dbus/system_bus_socket --nofork --nopidfile 2> /dev/null &
mkfifo "$HOME/orders"
soon test -S /run/dbus/system_bus_socket
python3 /opt/strongroom/logind.py < "$HOME/orders" > "$HOME/logind" &
exec 9> "$HOME/orders"
/lib/systemd/systemd --user --log-target=console > "$manager_log" 2>&1 &
soon systemctl --user is-active basic.target

mkdir "$HOME/tokens"
echo "directories.tokendir = $HOME/tokens" > "$HOME/softhsm2.conf"
export SOFTHSM2_CONF="$HOME/softhsm2.conf"
softhsm2-util --init-token --free --label check --so-pin 12345678 --pin 123456 > /dev/null
echo 123456 | strongroom init --module /usr/lib/softhsm/libsofthsm2.so --label check \
    --module-env SOFTHSM2_CONF --pin-stdin > "$said" 2>&1 || fail "init does not work:"

strongroom install --user --read-write "$HOME/tokens" > "$said" 2>&1 || fail "the units are not written:"
systemctl --user daemon-reload
systemctl --user enable --now strongroom.socket 2> /dev/null
says 'srw-------' ls -l "$XDG_RUNTIME_DIR/strongroom/agent.sock"
says 'inactive' systemctl --user is-active strongroom.service

says '"locked": *true' strongroom status --json
soon systemctl --user is-active strongroom.service
echo 123456 | strongroom unlock --pin-stdin > "$said" 2>&1 || fail "the token does not work inside the unit:"
says '"locked": *false' strongroom status --json

soon grep -q '^taken sleep delay Strongroom' "$HOME/logind"
echo sleep >&9
soon grep -q '^released' "$HOME/logind"
says 'the machine goes to sleep' strongroom status --json

# The agent sees the unit of a client, also from inside its sandbox. The control is a client in no service: where
# this script is, the manager is too.
mkdir -p "$HOME/.config/systemd/user/strongroom.service.d"
printf '[Service]\nEnvironment=STRONGROOM_LOG=debug\nStandardError=file:%s\n' "$HOME/agent.log" \
    > "$HOME/.config/systemd/user/strongroom.service.d/log.conf"
printf '[Service]\nType=oneshot\nExecStart=/opt/strongroom/strongroom status\nSlice=bots.slice\n' \
    > "$HOME/.config/systemd/user/bot@.service"
systemctl --user daemon-reload
systemctl --user restart strongroom.service
for unit in bot@grid.service bot@trend.service; do
    systemctl --user start $unit > "$said" 2>&1 || fail "a client in a unit is not served:"
    says "connected .* unit=user@$user/$unit" cat "$HOME/agent.log"
done
strongroom status > "$said" 2>&1 || fail "a client in no unit is not served:"
if [ "$(grep -c "connected .* unit=user@$user/init.scope" "$HOME/agent.log")" != 1 ]; then
    cp "$HOME/agent.log" "$said"
    fail "a client in no service has one:"
fi
echo 123456 | strongroom unlock --pin-stdin > "$said" 2>&1 || fail "no unlock after a restart:"

first=$(systemctl --user show --value -p MainPID strongroom.service)
for name in NoNewPrivs:.1 Seccomp:.2 CapBnd:.0000000000000000 CapEff:.0000000000000000; do says "$name" cat "/proc/$first/status"; done
kill -KILL "$first"
again() {
    now=$(systemctl --user show --value -p MainPID strongroom.service)
    [ "$now" != 0 ] && [ "$now" != "$first" ]
}
soon again
says '"locked": *true' strongroom status --json
# A keeper does not outlive its front for long.
no_keeper() { ! pgrep -u "$(id -u)" -f /opt/strongroom/strongroom-keeper; }
soon no_keeper

# The same sandbox around a program that tries things; and none, as the control.
units="$HOME/.config/systemd/user"
mark=$(mktemp -p /tmp strongroom-probe.XXXXXX)
probe="/usr/bin/python3 /opt/strongroom/probe.py $(basename "$mark")"
sed -e "s|^ExecStart=.*|ExecStart=$probe|" -e 's/^Type=.*/Type=oneshot/' -e 's/^Restart=.*//' \
    -e '/^Requires=/d; /^After=/d; /^WatchdogSec=/d' -e "\$aStandardOutput=file:$HOME/sandboxed" \
    -e 's/^\[Install\]/[Service]/; /^WantedBy=/d; /^Also=/d' "$units/strongroom.service" > "$units/probe.service"
printf '[Service]\nType=oneshot\nExecStart=%s\nStandardOutput=file:%s\n' "$probe" "$HOME/free" > "$units/control.service"
systemctl --user daemon-reload
for unit in probe control; do
    systemctl --user start "$unit.service" > "$said" 2>&1 || fail "$unit.service does not start:"
done
rm "$mark"
for thing in write_home see_tmp use_the_internet use_netlink see_devices map_writable_code make_a_namespace change_the_nice; do
    says "^can $thing" cat "$HOME/free"
    says "^cannot $thing" cat "$HOME/sandboxed"
done
for thing in write_records use_unix make_secret_memory; do says "^can $thing" cat "$HOME/sandboxed"; done

systemctl --user stop strongroom.service strongroom.socket 2> /dev/null
says 'success' systemctl --user show --value -p Result strongroom.service
if [ -e "$XDG_RUNTIME_DIR/strongroom/agent.sock" ]; then fail "the socket is left behind"; fi

echo "systemd: socket activation, sandbox with a token, lock before sleep, restart after a kill and stop all work; 8 of 8 things refused"
