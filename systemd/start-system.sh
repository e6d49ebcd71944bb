#!/bin/sh
# Starts the template units for real: systemd/start-system.sh BINDIR
#
# BINDIR holds the three programs. A system manager of its own (systemd as process 1 of a namespace, with a
# software token, for user `daemon`) gets the units from `strongroom install --system`. Then: the socket
# starts the agent as its user, the module works inside the sandbox, the agent sees the units of clients, a PIN
# from an encrypted credential unlocks at start. Nothing of the running system is touched.
#
# Needs root, and the Debian packages systemd, dbus, procps, softhsm2, util-linux.
set -eu
. "$(dirname "$0")/expect.sh"

case "${1-}" in
    --outside)
        # A group of its own, which the manager sees as the root of all.
        mkdir "$2/cgroup"
        mount -t cgroup2 none "$2/cgroup"
        group=$2/cgroup/strongroom-check-$$
        mkdir "$group"
        status=0
        sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' sh "$group" \
            unshare --pid --fork --kill-child --cgroup --ipc --uts --mount --mount-proc "$2/bin/start-system.sh" --manager "$2" \
            || status=$?
        end_group "$group"
        umount "$2/cgroup"
        exit "$status"
        ;;
    --manager)
        # Nothing of this machine is started: no unit, no init script, no state.
        for folder in /run /var/lib /usr/local /usr/lib/systemd/system /etc/systemd/system /etc/init.d; do
            mount -t tmpfs none "$folder"
        done
        mkdir -p /run/systemd/system /run/lock /usr/local/bin /var/lib/systemd
        umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup
        mount -t cgroup2 none /sys/fs/cgroup
        cp "$2/bin/"* /usr/local/bin/
        for target in sysinit basic sockets shutdown umount; do
            printf '[Unit]\nDefaultDependencies=no\n' > "/etc/systemd/system/$target.target"
        done
        printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nStandardOutput=file:%s\nStandardError=file:%s\nExecStart=%s\n' \
            "$2/told" "$2/told" '/usr/local/bin/start-system.sh --inside' > /etc/systemd/system/check.service
        printf '[Unit]\nSuccessAction=exit-force\nFailureAction=exit-force\n' >> /etc/systemd/system/check.service
        # As it is on a running system; credentials reach a service by it.
        mount --make-rshared /
        exec env -i container=check PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin LANG=C.UTF-8 \
            /lib/systemd/systemd --system --unit=check.service --log-target=console --show-status=false > "$2/manager.log" 2>&1
        ;;
    --inside) ;;
    *)
        if [ $# -ne 1 ] || [ ! -x "$1/strongroom" ] || [ "$(id -u)" != 0 ]; then
            echo "usage, as root: systemd/start-system.sh BINDIR   (a folder with the three programs)" >&2
            exit 2
        fi
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        chmod 0755 "$work"
        mkdir "$work/bin"
        here=$(dirname "$0")
        cp "$1/strongroom" "$1/strongroom-keeper" "$1/strongroom-token" "$0" "$here/expect.sh" "$work/bin/"
        status=0
        unshare --mount "$work/bin/start-system.sh" --outside "$work" || status=$?
        if ! grep '^systemd: the templates' "$work/told"; then
            echo "systemd: the check of the template units ends with $status" >&2
            cat "$work/told" "$work/manager.log" >&2
            exit 1
        fi
        exit
        ;;
esac

# From here on: a service of that manager.
said=/run/said manager_log=/dev/null
: > "$said"
user=daemon
state=/var/lib/strongroom/$user
as_user() { setpriv --reuid $user --regid $user --clear-groups "$@"; }

install -d -o $user -m 0700 /var/lib/tokens
install -d /var/lib/strongroom
install -d -o $user -m 0700 "$state"
echo "directories.tokendir = /var/lib/tokens" > /var/lib/softhsm2.conf
export SOFTHSM2_CONF=/var/lib/softhsm2.conf STRONGROOM_CONFIG=$state/strongroom.toml STRONGROOM_DATA=$state
as_user softhsm2-util --init-token --free --label check --so-pin 12345678 --pin 123456 > /dev/null
echo 123456 | as_user strongroom init --module /usr/lib/softhsm/libsofthsm2.so --label check \
    --module-env SOFTHSM2_CONF --pin-stdin > "$said" 2>&1 || fail "init does not work:"
export STRONGROOM_SOCKET=/run/strongroom/$user/agent.sock

strongroom install --system --read-write /var/lib/tokens > "$said" 2>&1 || fail "the units are not written:"
systemctl daemon-reload
systemctl start strongroom@$user.socket
says "srw------- .* $user " ls -l "$STRONGROOM_SOCKET"
says 'inactive' systemctl is-active strongroom@$user.service

says '"locked": *true' as_user strongroom status --json
soon systemctl is-active strongroom@$user.service
echo 123456 | as_user strongroom unlock --pin-stdin > "$said" 2>&1 || fail "the token does not work inside the unit:"
says '"locked": *false' as_user strongroom status --json
first=$(systemctl show --value -p MainPID strongroom@$user.service)
id=$(id -u $user)
for name in "Uid:.$id.$id" NoNewPrivs:.1 Seccomp:.2 CapBnd:.0000000000000000 CapEff:.0000000000000000; do
    says "$name" cat "/proc/$first/status"
done
for folder in /root /home; do
    if [ -n "$(ls -A "/proc/$first/root$folder")" ]; then fail "the agent sees what is in $folder"; fi
done

# Two units of one user are told apart, and what a unit makes below itself is that unit.
mkdir -p /etc/systemd/system/strongroom@$user.service.d
printf '[Service]\nEnvironment=STRONGROOM_LOG=debug\nStandardError=file:/run/agent.log\n' \
    > /etc/systemd/system/strongroom@$user.service.d/log.conf
for unit in bot-grid bot-trend; do
    printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nUser=%s\nEnvironment=STRONGROOM_SOCKET=%s\nExecStart=/usr/local/bin/strongroom status\n' \
        $user "$STRONGROOM_SOCKET" > /etc/systemd/system/$unit.service
done
cat > /usr/local/bin/below << 'END'
#!/bin/sh
group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/bot-grid.service
mkdir "$group"
sh -c 'echo $$ > "$1/cgroup.procs"; exec strongroom status' sh "$group"
END
chmod 0755 /usr/local/bin/below
printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nUser=%s\nDelegate=yes\nEnvironment=STRONGROOM_SOCKET=%s\nExecStart=/usr/local/bin/below\n' \
    $user "$STRONGROOM_SOCKET" > /etc/systemd/system/impostor.service
systemctl daemon-reload
systemctl restart strongroom@$user.service 2> "$said" || fail "it does not restart:"
first=$(systemctl show --value -p MainPID strongroom@$user.service)
says ' /proc .*hidepid=invisible' cat "/proc/$first/mountinfo"
# Before Linux 6.13 there is no other way than through /proc, which is closed.
if [ "$(printf '6.13\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.13 ]; then
    way='the control group' units='known, and none has the name of another'
else
    way='/proc' units='unknown on this kernel'
fi
for unit in bot-grid bot-trend impostor; do
    systemctl start $unit.service > "$said" 2>&1 || fail "a client in $unit.service is not served:"
    says "unit_by=\"$way" cat /run/agent.log
    if [ "$way" != /proc ]; then says "connected .* unit=system/$unit.service" cat /run/agent.log; fi
done
if [ "$(grep -c 'connected .* unit=system/bot-grid.service' /run/agent.log)" -gt 1 ]; then
    cp /run/agent.log "$said"
    fail "a unit has another's name:"
fi

# The PIN as a credential that only this machine opens.
mkdir -p /etc/systemd/system/strongroom@$user.service.d
printf '[Service]\nLoadCredentialEncrypted=strongroom-pin:/var/lib/strongroom-pin\n' \
    > /etc/systemd/system/strongroom@$user.service.d/pin.conf
printf 123456 | systemd-creds encrypt --with-key=host --name=strongroom-pin - /var/lib/strongroom-pin > "$said" 2>&1 \
    || fail "the PIN is not encrypted:"
if grep -q 123456 /var/lib/strongroom-pin; then fail "the PIN stands in its file"; fi
systemctl daemon-reload
systemctl restart strongroom@$user.service 2> "$said" || fail "it does not start with a credential:"
soon sh -c 'setpriv --reuid '$user' --regid '$user' --clear-groups strongroom status --json | grep -q "\"locked\": *false"'

# A socket for each of two bots: each signs by its own, and is refused at the other's.
echo made-up-secret-of-sixty-four-characters-for-a-check-of-the-units0 > /run/secret
(echo 123456 | as_user strongroom enroll binance-main --venue binance --key-id key-1 --allow '*' --pin-stdin --secret-fd 4) \
    4< /run/secret > "$said" 2>&1 || fail "nothing is enrolled:"
for bot in games mail; do
    as_user strongroom client add $bot > /run/$bot.token 2> "$said" || fail "a bot gets no token:"
    echo 123456 | as_user strongroom grant add binance-main --to client:$bot --allow '*' --pin-stdin > "$said" 2>&1 \
        || fail "a bot gets no grant:"
done
strongroom install --system --agent-user $user --bot games --bot mail > "$said" 2>&1 || fail "the bots' units are not written:"
systemctl daemon-reload
systemctl stop strongroom@$user.service strongroom@$user.socket 2> "$said" || fail "it does not stop:"
systemctl start strongroom@$user.service 2> "$said" || fail "it does not start with the bots' sockets:"
soon sh -c 'setpriv --reuid '$user' --regid '$user' --clear-groups strongroom status --json | grep -q "\"locked\": *false"'
# as_bot USER SOCKET TOKEN: signs as that user, at that bot's socket, by that bot's token.
as_bot() {
    STRONGROOM_TOKEN=$(cat "/run/$3.token") setpriv --reuid "$1" --regid "$1" --clear-groups \
        strongroom --socket "/run/strongroom/$2.sock" sign binance-main GET /api/v3/account
}
for bot in games mail; do
    says "srw------- .* $bot " ls -l /run/strongroom/$bot.sock
    says signature= as_bot $bot $bot $bot
    says "signed .*client=$bot" cat /run/agent.log
done
# The other's token is of no use, for its socket is out of reach.
for token in games mail; do
    says 'Permission denied' as_bot games mail $token
    says 'Permission denied' as_bot mail games $token
done
# And the socket is of no use without a token.
rm /run/games.token
: > /run/games.token
says 'stands for every user' as_bot games games games

systemctl stop strongroom@$user.service strongroom@$user.socket strongroom-bot@games.socket strongroom-bot@mail.socket
says 'success' systemctl show --value -p Result strongroom@$user.service
if [ -e "$STRONGROOM_SOCKET" ]; then fail "the socket is left behind"; fi

echo "systemd: the templates work: own user, own socket, sandbox with a token, unlock by an encrypted credential, a socket for each bot; units of clients are $units"
