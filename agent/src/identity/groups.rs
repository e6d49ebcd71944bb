//! The path of a client's control group, by the id that the kernel tells of a process handle.
//!
//! In version 2 of control groups the id is the inode number of the group's directory. The kernel counts ids up
//! in 64 bits and renames no group, so an id means one path until the machine restarts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::statfs;
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use strongroom_link::peer;

/// The directories of control groups of version 2.
#[derive(Debug)]
pub(super) struct Groups {
    root: PathBuf,
    device: u64,
    limits: Limits,
    /// What was found last, the latest in front.
    known: RefCell<VecDeque<Known>>,
}

#[derive(Debug)]
struct Known {
    id: u64,
    /// Below the root.
    path: PathBuf,
}

/// Whoever owns a group makes as many below it as the system lets it; a search ends before that matters.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Groups that one search looks at.
    groups: usize,
    /// How far below the root they lie.
    depth: usize,
}

const LIMITS: Limits = Limits { groups: 2_048, depth: 12 };
/// As many clients as reconnect often; each costs about a hundred bytes.
const MOST_KNOWN: usize = 64;
/// Where systemd mounts version 2: alone, and beside version 1.
const PLACES: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// `CGROUP2_SUPER_MAGIC`. Version 1 has other directories with the same inode numbers.
const MAGIC: u64 = 0x6367_7270;

/// Its name, its `.`, and no `..` of a directory below.
const LINKS_WITHOUT_GROUPS: u64 = 2;

impl Groups {
    /// `None` where the kernel does not tell a control group, or where the one of this process is not to be seen.
    pub(super) fn look() -> Option<Self> {
        let is_version_2 = |place: &&str| {
            statfs(*place).is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == MAGIC))
        };
        let groups = Self::below(PLACES.into_iter().find(is_version_2)?.into(), LIMITS)?;
        let own = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
        groups.path(peer::control_group(own).ok()?)?;
        Some(groups)
    }

    fn below(root: PathBuf, limits: Limits) -> Option<Self> {
        let device = fs::metadata(&root).ok()?.dev();
        Some(Self { root, device, limits, known: RefCell::default() })
    }

    /// The path of the group that this process is in, as `/proc/PID/cgroup` would have it. `None` where it is in the
    /// root, which is also where systemd leaves all processes that it manages by version 1; where the group is
    /// not to be seen from here; and where there are too many to find it.
    pub(super) fn of(&self, process: impl AsFd) -> Option<String> {
        let path = self.path(peer::control_group(process).ok()?)?;
        (!path.as_os_str().is_empty()).then_some(())?;
        Some(format!("/{}", path.to_str()?))
    }

    fn path(&self, id: u64) -> Option<PathBuf> {
        let mut known = self.known.borrow_mut();
        let found = known.iter().position(|known| known.id == id).and_then(|place| known.remove(place));
        let path = match found {
            Some(found) if self.is(&found.path, id) => found.path,
            _ => self.find(id).filter(|path| self.is(path, id))?,
        };
        known.truncate(MOST_KNOWN.saturating_sub(1));
        known.push_front(Known { id, path: path.clone() });
        Some(path)
    }

    /// Whether this is the directory of that group, and of no other file system.
    fn is(&self, path: &Path, id: u64) -> bool {
        let found = fs::symlink_metadata(self.root.join(path));
        found.is_ok_and(|found| found.is_dir() && found.dev() == self.device && found.ino() == id)
    }

    /// Searches breadth first: what a user makes lies deeper than the units of the system.
    fn find(&self, id: u64) -> Option<PathBuf> {
        if self.is(Path::new(""), id) {
            return Some(PathBuf::new());
        }
        let mut looked_at = 0_usize;
        let mut level = vec![PathBuf::new()];
        for _ in 0..self.limits.depth {
            let mut next = Vec::new();
            for group in level {
                let group_here = self.root.join(&group);
                // Most have none below, which is cheaper to ask than to read all their files.
                if fs::symlink_metadata(&group_here).is_ok_and(|found| found.nlink() == LINKS_WITHOUT_GROUPS)
                {
                    continue;
                }
                // One that is gone has nobody in it.
                let Ok(entries) = fs::read_dir(group_here) else { continue };
                for entry in
                    entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                {
                    let below = group.join(entry.file_name());
                    if entry.ino() == id {
                        return Some(below);
                    }
                    looked_at = looked_at.saturating_add(1);
                    if looked_at == self.limits.groups {
                        return None;
                    }
                    next.push(below);
                }
            }
            level = next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories as control groups have them, in a place where a test may make some.
    struct Tree {
        place: tempfile::TempDir,
        groups: Groups,
    }

    impl Tree {
        fn new(paths: &[&str], limits: Limits) -> Self {
            let place = tempfile::tempdir().unwrap();
            for path in paths {
                fs::create_dir_all(place.path().join(path)).unwrap();
            }
            fs::write(place.path().join("cgroup.procs"), "").unwrap();
            let groups = Groups::below(place.path().into(), limits).unwrap();
            Self { place, groups }
        }

        fn id(&self, path: &str) -> u64 {
            fs::metadata(self.place.path().join(path)).unwrap().ino()
        }

        fn found(&self, path: &str) -> bool {
            self.groups.path(self.id(path)).as_deref() == Some(Path::new(path))
        }
    }

    const PATHS: [&str; 4] = [
        "system.slice/bot.service/below",
        "system.slice/system-bot.slice/bot@grid.service",
        "user.slice/user-7.slice/user@7.service/app.slice/bot.service",
        "init.scope",
    ];

    #[test]
    fn finds_every_group_by_its_inode_twice() {
        let tree = Tree::new(&PATHS, LIMITS);
        for _ in 0..2 {
            for path in PATHS {
                for path in Path::new(path).ancestors() {
                    assert!(tree.found(path.to_str().unwrap()), "{path:?}");
                }
            }
        }
        // A file is no group, and this number is nobody's.
        assert_eq!(tree.groups.path(tree.id("cgroup.procs")), None);
        assert_eq!(tree.groups.path(u64::MAX), None);
    }

    #[test]
    fn forgets_what_is_gone_and_what_has_another_inode() {
        let tree = Tree::new(&["a.service", "b.service"], LIMITS);
        let (a, b) = (tree.id("a.service"), tree.id("b.service"));
        assert!(tree.found("a.service") && tree.found("b.service"));
        let at = |name: &str| tree.place.path().join(name);
        fs::rename(at("a.service"), at("c.service")).unwrap();
        fs::rename(at("b.service"), at("a.service")).unwrap();
        assert_eq!(tree.groups.path(a).as_deref(), Some(Path::new("c.service")));
        assert_eq!(tree.groups.path(b).as_deref(), Some(Path::new("a.service")));
        fs::remove_dir(at("a.service")).unwrap();
        assert_eq!(tree.groups.path(b), None);
    }

    #[test]
    fn ends_a_search_of_too_many_and_too_deep_groups() {
        let all = ["1", "1/2", "1/2/3", "4"];
        let tree = Tree::new(&all, Limits { groups: 5, depth: 3 });
        assert!(all.iter().all(|path| tree.found(path)), "the control");
        let shallow = Tree::new(&all, Limits { groups: 5, depth: 2 });
        assert!(shallow.found("1/2") && !shallow.found("1/2/3"));
        // The first level has both of its own; the two below are too many.
        let few = Tree::new(&all, Limits { groups: 3, depth: 3 });
        assert!(few.found("1") && few.found("4") && few.found("1/2") && !few.found("1/2/3"));
    }

    #[test]
    fn remembers_no_more_than_it_should() {
        let names: Vec<_> = (0..100).map(|number| format!("{number}.service")).collect();
        let tree = Tree::new(&names.iter().map(String::as_str).collect::<Vec<_>>(), LIMITS);
        assert!(names.iter().all(|name| tree.found(name)));
        assert_eq!(tree.groups.known.borrow().len(), MOST_KNOWN);
        assert!(names.iter().all(|name| tree.found(name)));
    }

    #[test]
    fn agrees_with_proc_about_this_process() {
        let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        let told = fs::read_to_string("/proc/self/cgroup").unwrap();
        let path = told.lines().find_map(|line| line.strip_prefix("0::"));
        match Groups::look() {
            Some(groups) => assert_eq!(groups.of(&own).as_deref().unwrap_or("/"), path.unwrap()),
            // Before Linux 6.13, or without version 2.
            None => assert!(peer::control_group(&own).is_err() || !told.contains("0::") || !seen_here()),
        }
    }

    /// Whether version 2 is mounted at all.
    fn seen_here() -> bool {
        fs::read_to_string("/proc/self/mounts").unwrap().lines().any(|line| line.contains(" cgroup2 "))
    }
}
