# What the start scripts share. Sourced; $said is where the last command's output is kept, $manager_log what
# the service manager says.
fail() {
    echo "systemd: $*" >&2
    cat "$said" "$manager_log" >&2
    exit 1
}
# says WHAT COMMAND…: the command's output must contain WHAT, within a minute.
says() {
    what=$1
    shift
    for _ in $(seq 600); do
        "$@" > "$said" 2>&1 || true
        if grep -q "$what" "$said"; then return; fi
        sleep 0.1
    done
    fail "\`$*\` does not say \`$what\`:"
}
# soon COMMAND…: it must succeed within a minute.
soon() {
    for _ in $(seq 600); do
        if "$@" > "$said" 2>&1; then return; fi
        sleep 0.1
    done
    fail "\`$*\` does not succeed:"
}


# end_group FOLDER: kills what is left in a control group, and removes it.
end_group() {
    if [ -e "$1/cgroup.kill" ]; then echo 1 > "$1/cgroup.kill"; fi
    # What was killed is gone soon, but not at once.
    for _ in $(seq 600); do
        if grep -q '^populated 0' "$1/cgroup.events"; then break; fi
        sleep 0.1
    done
    find "$1" -depth -type d -exec rmdir {} +
}
