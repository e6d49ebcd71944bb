#!/bin/sh
# Checks 70-strongroom.rules with udev itself: udev/check.sh
#
# udevadm of systemd 252 has no `verify`, so two other things are done. (1) `udevadm test` reads all
# rules of the system: it must complain about a file with a broken rule and must not complain about
# ours. (2) umockdev shows udev made-up USB devices: each token must get the tag `uaccess` with our
# file and must not have it without, and a keyboard must never get it. The rules of the distribution
# that would tag readers by themselves are masked, so that the tag can only come from ours.
#
# Needs udevadm and umockdev-run (Debian packages udev and umockdev), and a mount namespace, so that
# nothing of the running system is touched. No running udevd, no USB and no hardware are needed.
set -eu

if [ "${1-}" != --inside ]; then
    for tool in udevadm umockdev-run unshare; do
        if ! command -v "$tool" > /dev/null; then
            echo "udev: \`$tool\` is missing: apt-get install udev umockdev util-linux" >&2
            exit 2
        fi
    done
    if [ "$(id -u)" = 0 ]; then set -- --mount; else set -- --mount --map-root-user; fi
    exec unshare "$@" "$0" --inside
fi

here=$(cd "$(dirname "$0")" && pwd)
ours=$here/70-strongroom.rules
rules=/run/udev/rules.d
mount -t tmpfs none /run
if [ -d /etc/udev ]; then mount -t tmpfs none /etc/udev; fi
mkdir -p "$rules" /run/check
for stock in 60-fido-id.rules 70-uaccess.rules; do ln -s /dev/null "$rules/$stock"; done

# complaints FILE: what udev says about the installed file of that name.
complaints() {
    udevadm test --action=add /sys/devices/virtual/mem/null 2>&1 | grep "/$1:[0-9]" || true
}

cp "$ours" "$rules/"
said=$(complaints 70-strongroom.rules)
if [ -n "$said" ]; then
    printf 'udev: the rules do not parse:\n%s\n' "$said" >&2
    exit 1
fi
if ! udevadm test --action=add /sys/devices/virtual/mem/null 2>&1 | grep -q "$rules/70-strongroom.rules"; then
    echo "udev: udevadm did not read 70-strongroom.rules, so this proves nothing" >&2
    exit 1
fi
sed 's/ATTR{idProduct}=="0030"/ATTTR{idProduct}=="0030"/' "$ours" > "$rules/71-broken.rules"
if [ -z "$(complaints 71-broken.rules)" ]; then
    echo "udev: this check does not see a broken rule" >&2
    exit 1
fi
rm "$rules/71-broken.rules"

device=/devices/pci0000:00/0000:00:14.0/usb1/1-1

# tagged VENDOR PRODUCT CLASS: does udev tag a USB device with that one interface?
tagged() {
    vendor_bytes=$(echo "$1" | sed 's/\(..\)\(..\)/\2\1/')
    product_bytes=$(echo "$2" | sed 's/\(..\)\(..\)/\2\1/')
    cat > /run/check/device.umockdev << DEVICE
P: $device
N: bus/usb/001/002
E: BUSNUM=001
E: DEVNAME=/dev/bus/usb/001/002
E: DEVNUM=002
E: DEVTYPE=usb_device
E: MAJOR=189
E: MINOR=1
E: SUBSYSTEM=usb
A: idProduct=$2
A: idVendor=$1
H: descriptors=1201000200000040${vendor_bytes}${product_bytes}0001000000010902190001010080320904000001${3}000000070581024000ff

DEVICE
    rm -rf /run/udev/data /run/udev/tags # what udev remembers of the device before
    umockdev-run -d /run/check/device.umockdev -- \
        udevadm test --action=add "/sys$device" > /run/check/said 2>&1
    if ! grep -q "^ID_USB_INTERFACES=:${3}0000:" /run/check/said; then
        echo "udev: the made-up device $1:$2 did not reach udev:" >&2
        cat /run/check/said >&2
        exit 1
    fi
    grep -q '^TAGS=.*:uaccess:' /run/check/said
}

count=0
while read -r vendor product class name; do
    rm -f "$rules/70-strongroom.rules"
    if tagged "$vendor" "$product" "$class"; then
        echo "udev: $name is tagged without our rules, so this proves nothing" >&2
        exit 1
    fi
    cp "$ours" "$rules/"
    if ! tagged "$vendor" "$product" "$class"; then
        echo "udev: $name ($vendor:$product) does not get uaccess" >&2
        exit 1
    fi
    count=$((count + 1))
done << TOKENS
1050 0030 ff YubiHSM 2
1050 0111 ff YubiKey NEO OTP+CCID
1050 0112 ff YubiKey NEO CCID
1050 0115 ff YubiKey NEO U2F+CCID
1050 0116 ff YubiKey NEO OTP+U2F+CCID
1050 0404 ff YubiKey CCID
1050 0405 ff YubiKey OTP+CCID
1050 0406 ff YubiKey FIDO+CCID
1050 0407 ff YubiKey OTP+FIDO+CCID
20a0 4108 ff Nitrokey Pro
20a0 4109 ff Nitrokey Storage
20a0 4211 ff Nitrokey Start
20a0 4230 ff Nitrokey HSM
20a0 42b2 ff Nitrokey 3
04e6 5816 ff Identiv uTrust 3512 SAM slot
04e6 5817 ff Identiv SCT3522CC
ffff 0001 0b generic CCID reader
TOKENS

if tagged 1050 0010 03 || tagged ffff 0002 03; then
    echo "udev: a keyboard gets uaccess" >&2
    exit 1
fi

echo "udev: rules parse, a broken file is seen, $count of $count devices get uaccess, 2 of 2 keyboards do not"
