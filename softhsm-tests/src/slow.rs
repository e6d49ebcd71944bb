//! A token whose worker can be held in its login, for tests that look at it meanwhile.

#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{SOON, wait_until};
use crate::room::Room;

/// A module that passes all calls on to SoftHSM, but waits in `C_Login` while a file is there.
const SLOW_MODULE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef unsigned long ulong;
typedef ulong (*function)();
enum { LOGIN = 18, FUNCTIONS = 68 };
struct list { unsigned char version[2]; function call[FUNCTIONS]; };
static struct list real, slow;
static ulong login(ulong session, ulong user, unsigned char *pin, ulong length) {
    int reached = open(getenv("REACHED"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(reached);
    while (access(getenv("HOLD"), F_OK) == 0) usleep(5000);
    return real.call[LOGIN](session, user, pin, length);
}
ulong C_GetFunctionList(struct list **out) {
    void *module = dlopen(getenv("REAL_MODULE"), RTLD_NOW | RTLD_LOCAL);
    ulong (*get)(struct list **) = module ? (ulong (*)(struct list **))dlsym(module, "C_GetFunctionList") : 0;
    struct list *list;
    if (!get || get(&list)) return 5;
    memcpy(&real, list, sizeof real);
    memcpy(&slow, list, sizeof slow);
    slow.call[LOGIN] = login;
    *out = &slow;
    return 0;
}
"#;

/// A room's token behind a module that can be held in its login.
#[derive(Debug)]
pub struct SlowToken {
    reached: PathBuf,
    hold: PathBuf,
    real: PathBuf,
}

impl SlowToken {
    /// Puts the module between the room's configuration and SoftHSM, and holds it.
    ///
    /// # Panics
    /// Where there is no C compiler, or the room was not initialised.
    #[must_use]
    pub fn new(room: &Room) -> Self {
        let folder = room.folder();
        let (source, module) = (folder.join("slow.c"), folder.join("slow.so"));
        write(&source, SLOW_MODULE);
        // A machine that builds Rust has a C compiler: it is what links.
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-w", "-o"])
            .arg(&module)
            .arg(&source)
            .arg("-ldl")
            .status();
        assert!(built.is_ok_and(|status| status.success()), "cc");
        let slow = Self {
            reached: folder.join("reached"),
            hold: folder.join("hold"),
            real: room.token.module.clone(),
        };
        slow.hold_on();
        let config = std::fs::read_to_string(room.config());
        let config = config.unwrap_or_else(|error| panic!("{}: {error}", room.config().display()));
        let real = format!("module = \"{}\"", slow.real.display());
        let more = slow.environment().join("\"\n").replace('=', " = \"");
        let slowed = config
            .replace(&real, &format!("module = \"{}\"", module.display()))
            .replace("[token.environment]\n", &format!("[token.environment]\n{more}\"\n"));
        assert_ne!(config, slowed, "another configuration than expected");
        write(&room.config(), &slowed);
        slow
    }

    /// The variables that the module needs.
    #[must_use]
    pub fn environment(&self) -> Vec<String> {
        [("REACHED", &self.reached), ("HOLD", &self.hold), ("REAL_MODULE", &self.real)]
            .map(|(name, path)| format!("{name}={}", path.display()))
            .to_vec()
    }

    /// Holds the next login.
    pub fn hold_on(&self) {
        let _ = std::fs::remove_file(&self.reached);
        write(&self.hold, "");
    }

    /// Waits until a worker is held in its login.
    ///
    /// # Panics
    /// Where none comes.
    pub fn wait_for_login(&self) {
        wait_until("the login is reached", SOON, || self.reached.exists());
    }

    /// Lets the login go on.
    pub fn go_on(&self) {
        let _ = std::fs::remove_file(&self.hold);
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
