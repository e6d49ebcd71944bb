//! The systemd unit of a process, from the path of its control group or the text of `/proc/PID/cgroup`.
//!
//! A control group's path is read from its root downwards, because who owns a group names the groups below it: of
//! `/system.slice/a.service/b.service` only `a.service` is a name that the system's manager has given. Below
//! `user@UID.service` a user's own manager names units, and those are told apart from the system's.

use std::fmt;

/// A unit, and whose manager has named it. Shown as `system/bot.service` or `user@1000/bot.service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit(String);

impl fmt::Display for Unit {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl Unit {
    /// The unit that this text of `/proc/PID/cgroup` names. `None` where the process is in no unit, or where its
    /// group lies outside the control group namespace of this process, so that its path has no root here.
    pub(crate) fn of(cgroups: &str) -> Option<Self> {
        Self::at(path(cgroups)?)
    }

    /// The unit that a control group of this path is in.
    pub(super) fn at(path: &str) -> Option<Self> {
        let mut groups = path.strip_prefix('/')?.split('/');
        let system = unit(&mut groups)?;
        let user = manager_of(&system).and_then(|uid| Some(format!("user@{uid}/{}", unit(&mut groups)?)));
        Some(Self(user.unwrap_or_else(|| format!("system/{system}"))))
    }

    /// As grants name it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The path in the hierarchy that systemd keeps: the one of cgroup v2, or its own of v1 where it has put this
/// process into no group of the former. Who is not root can leave neither for a unit that is not its own.
fn path(cgroups: &str) -> Option<&str> {
    let (mut unified, mut named) = (None, None);
    for line in cgroups.lines() {
        // The controllers may hold no colon, the path may.
        let mut fields = line.splitn(3, ':');
        match (fields.next()?, fields.next()?, fields.next()?) {
            ("0", "", path) => unified = Some(path),
            (_, "name=systemd", path) => named = Some(path),
            _ => {}
        }
    }
    unified.filter(|path| *path != "/").or(named)
}

/// The first unit that is no slice.
fn unit<'a>(groups: &mut impl Iterator<Item = &'a str>) -> Option<String> {
    // systemd puts an underscore before a name that the kernel could take for one of its files.
    let group =
        groups.map(|group| group.strip_prefix('_').unwrap_or(group)).find(|group| !is_slice(group))?;
    is_unit(group).then(|| group.to_owned())
}

fn is_slice(name: &str) -> bool {
    name.strip_suffix(".slice").is_some_and(is_plain)
}

fn is_unit(name: &str) -> bool {
    let kinds = [".service", ".scope", ".socket", ".mount", ".swap"];
    kinds.iter().any(|kind| name.strip_suffix(kind).is_some_and(is_plain))
}

/// What a unit's name may consist of (systemd.unit(5)).
fn is_plain(stem: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    !stem.is_empty() && stem.len() < MAX_NAME_BYTES && !stem.starts_with('.') && stem.bytes().all(plain)
}

/// The user whose manager this unit is.
fn manager_of(name: &str) -> Option<u32> {
    let uid = name.strip_prefix("user@")?.strip_suffix(".service")?;
    // Only as systemd writes it: no sign, no leading zero.
    uid.parse().ok().filter(|number: &u32| number.to_string() == uid)
}

/// systemd's own limit.
const MAX_NAME_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn shown(cgroups: &str) -> Option<String> {
        Unit::of(cgroups).map(|unit| unit.to_string())
    }

    #[test]
    fn names_the_unit_of_every_layout() {
        for (cgroups, expected) in [
            ("0::/system.slice/bot.service\n", Some("system/bot.service")),
            ("0::/system.slice/system-bot.slice/bot@grid.service\n", Some("system/bot@grid.service")),
            ("0::/bot.service\n", Some("system/bot.service")),
            ("0::/init.scope\n", Some("system/init.scope")),
            ("0::/system.slice/bot\\x2dgrid.service\n", Some("system/bot\\x2dgrid.service")),
            ("0::/system.slice/_cpu.service\n", Some("system/cpu.service")),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", Some("system/session-3.scope")),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/grid.service\n",
                Some("user@1000/grid.service"),
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-bot.slice/bot@1.service\n",
                Some("user@1000/bot@1.service"),
            ),
            ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", Some("user@1000/init.scope")),
            ("0::/user.slice/user-1000.slice/user@1000.service\n", Some("system/user@1000.service")),
            // Version 1, and both: hybrid.
            (
                "12:pids:/elsewhere\n1:name=systemd:/system.slice/bot.service\n0::/\n",
                Some("system/bot.service"),
            ),
            ("1:name=systemd:/\n0::/system.slice/bot.service\n", Some("system/bot.service")),
            ("4:cpu,cpuacct:/system.slice/bot.service\n0::/\n", None),
            // In no unit.
            ("0::/\n", None),
            ("0::/docker/0123456789ab\n", None),
            ("0::/user.slice\n", None),
            ("", None),
            ("rubbish", None),
        ] {
            assert_eq!(shown(cgroups).as_deref(), expected, "{cgroups}");
        }
    }

    /// What a process may make of the groups that it was given is no name of a unit.
    #[test]
    fn believes_no_name_that_the_unit_itself_could_have_given() {
        for (cgroups, expected) in [
            ("0::/system.slice/evil.service/bot.service\n", Some("system/evil.service")),
            ("0::/system.slice/evil.service/user@0.service/bot.service\n", Some("system/evil.service")),
            ("0::/system.slice/evil.service/system.slice/bot.service\n", Some("system/evil.service")),
            (
                "0::/user.slice/user-7.slice/user@7.service/evil.service/bot.service\n",
                Some("user@7/evil.service"),
            ),
            (
                "0::/user.slice/user-7.slice/user@7.service/user@8.service/bot.service\n",
                Some("user@7/user@8.service"),
            ),
            // A path without a root in this namespace, and one whose group is gone.
            ("0::/../bot.service\n", None),
            ("0::/../../system.slice/bot.service\n", None),
            ("0::/system.slice/bot.service (deleted)\n", None),
            // Not a user's manager.
            ("0::/system.slice/user@.service/bot.service\n", Some("system/user@.service")),
            ("0::/system.slice/user@01.service/bot.service\n", Some("system/user@01.service")),
            ("0::/system.slice/user@+1.service/bot.service\n", None),
            (
                "0::/system.slice/user@4294967296.service/bot.service\n",
                Some("system/user@4294967296.service"),
            ),
            // Not names of units.
            ("0::/system.slice/.service/bot.service\n", None),
            ("0::/system.slice/a b.service\n", None),
            ("0::system.slice/bot.service\n", None),
        ] {
            assert_eq!(shown(cgroups).as_deref(), expected, "{cgroups}");
        }
    }

    proptest! {
        #[test]
        fn takes_any_text(text in "\\PC*", lines in proptest::collection::vec("[0-9]{0,2}:[a-z=]{0,12}:[a-z/@._\\\\ -]*", 0..4)) {
            for text in [text, lines.join("\n")] {
                if let Some(unit) = Unit::of(&text) {
                    let (_, name) = unit.as_str().split_once('/').unwrap();
                    prop_assert!(is_unit(name) && text.contains(name));
                }
            }
        }

        /// Whatever stands below a unit, the unit stays the same.
        #[test]
        fn keeps_the_unit_whatever_lies_below_it(below in "(/[a-z.@_-]{1,12}){0,5}") {
            let unit = shown(&format!("0::/system.slice/bot.service{below}\n"));
            prop_assert_eq!(unit.as_deref(), Some("system/bot.service"));
            let unit = shown(&format!("0::/user.slice/user-7.slice/user@7.service/app.slice/bot.service{below}\n"));
            prop_assert_eq!(unit.as_deref(), Some("user@7/bot.service"));
        }
    }
}
