//! What the kernel does for everybody: swap, hibernation, tracing, core files.

use std::fs;
use std::path::Path;

use super::Check;

/// Linux gives secret memory without a word at boot since then.
const SECRET_MEMORY_BY_DEFAULT: (u32, u32) = (6, 5);

pub(super) fn checks() -> Vec<Check> {
    vec![version(), swap(), hibernation(), lockdown(), yama(), core_pattern()]
}

/// What stands in a file of the kernel, without the line break.
fn told(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn version() -> Check {
    const ID: &str = "kernel";
    let Some(release) = told("/proc/sys/kernel/osrelease") else {
        return Check::unknown(ID, "the kernel's release cannot be read", "mount /proc");
    };
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or_default());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found >= SECRET_MEMORY_BY_DEFAULT {
        Check::ok(ID, format!("Linux {release}"))
    } else {
        let fact =
            format!("Linux {release} gives secret memory only where it was booted with secretmem.enable=1");
        Check::notice(ID, fact, "use Linux 6.5 or newer")
    }
}

fn swap() -> Check {
    const ID: &str = "swap";
    let Some(table) = told("/proc/swaps") else {
        return Check::unknown(ID, "whether there is swap cannot be read", "mount /proc");
    };
    let places: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    if places.is_empty() {
        return Check::ok(ID, "there is no swap");
    }
    let shown: Vec<String> = places.iter().map(|place| format!("{place} ({})", kind(place).1)).collect();
    let fact = format!(
        "swap is on: {}; secret memory never goes there, what other programs hold may",
        shown.join(", ")
    );
    if places.iter().all(|place| kind(place).0) {
        Check::ok(ID, fact)
    } else {
        Check::notice(ID, fact, "encrypt the swap, or turn it off")
    }
}

/// Whether what goes there is gone with the power, and in a word what it is.
fn kind(place: &str) -> (bool, &'static str) {
    let device = fs::canonicalize(place).unwrap_or_else(|_| place.into());
    let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mapping = || told(&format!("/sys/block/{name}/dm/uuid"));
    if name.starts_with("zram") {
        (true, "compressed memory")
    } else if mapping().is_some_and(|uuid| uuid.starts_with("CRYPT-")) {
        (true, "encrypted")
    } else {
        (false, "not known to be encrypted")
    }
}

fn hibernation() -> Check {
    const ID: &str = "hibernation";
    let states = told("/sys/power/state").unwrap_or_default();
    let disabled = told("/sys/power/disk").is_some_and(|modes| modes.contains("[disabled]"));
    if !states.split_whitespace().any(|state| state == "disk") || disabled {
        return Check::ok(ID, "this machine cannot hibernate");
    }
    Check::notice(
        ID,
        "this machine can hibernate, which writes all memory to the disk; Linux refuses to while secret memory is in use",
        "lock the agent before it hibernates, and encrypt the swap",
    )
}

fn lockdown() -> Check {
    const ID: &str = "lockdown";
    const ADVICE: &str =
        "boot with lockdown=confidentiality, where root of this machine is not to be trusted";
    let modes = told("/sys/kernel/security/lockdown").unwrap_or_default();
    let mode = modes.split(['[', ']']).nth(1).unwrap_or("absent").to_owned();
    match mode.as_str() {
        "confidentiality" => {
            Check::ok(ID, "the kernel keeps root from reading its memory (lockdown=confidentiality)")
        }
        "absent" => Check::notice(
            ID,
            "no lockdown is seen: root can load kernel modules and read any memory with them",
            ADVICE,
        ),
        mode => Check::notice(
            ID,
            format!("lockdown is `{mode}`: root can read any memory through the kernel"),
            ADVICE,
        ),
    }
}

/// Yama's rule about tracing: 0 to 3; `None` where the kernel has no Yama.
pub(super) fn yama_scope() -> Option<u32> {
    told("/proc/sys/kernel/yama/ptrace_scope")?.parse().ok()
}

fn yama() -> Check {
    const ID: &str = "yama";
    const ADVICE: &str = "set kernel.yama.ptrace_scope=1";
    match yama_scope() {
        Some(0) => Check::notice(
            ID,
            "Yama lets processes of one user trace each other; the keeper is held by its guard",
            ADVICE,
        ),
        Some(3) => Check::ok(ID, "Yama forbids all tracing, the keeper's guard included"),
        Some(scope) => Check::ok(ID, format!("Yama restricts tracing (ptrace_scope {scope})")),
        None => Check::notice(
            ID,
            "this kernel has no Yama: processes of one user can trace each other; the keeper is held by its guard",
            "use a kernel with Yama",
        ),
    }
}

fn core_pattern() -> Check {
    const ID: &str = "core-pattern";
    let Some(pattern) = told("/proc/sys/kernel/core_pattern") else {
        return Check::unknown(ID, "where core files go cannot be read", "mount /proc");
    };
    let to = match pattern.strip_prefix('|') {
        Some(program) => {
            let program = program.split_whitespace().next().unwrap_or_default();
            let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
            format!("to the program {name}")
        }
        None => format!("to files named `{pattern}`"),
    };
    Check::ok(
        ID,
        format!("core files go {to}; keeper and token worker leave none, and the front holds no secret"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_memory_for_no_disk_and_any_file_for_one() {
        assert!(kind("/dev/zram0").0);
        assert!(!kind("/swapfile").0);
        assert!(!kind("/dev/sda2").0);
    }

    #[test]
    fn gives_each_thing_one_verdict() {
        let ids: Vec<_> = checks().iter().map(|check| check.id).collect();
        assert_eq!(ids, ["kernel", "swap", "hibernation", "lockdown", "yama", "core-pattern"]);
        // A container has no say in any of these, so none may fail the run.
        assert!(checks().iter().all(|check| check.verdict != crate::doctor::Verdict::Weak));
    }
}
