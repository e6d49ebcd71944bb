//! The commands that the pages tell to paste.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_softhsm_tests::room::program;

/// The pages with commands: the README, and the book without its decisions, which tell what was.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut pages = vec![root.join("README.md"), root.join("docs/index.md")];
    for room in ["explanation", "how-to", "reference", "tutorials"] {
        pages.extend(
            std::fs::read_dir(root.join("docs").join(room)).unwrap().map(|entry| entry.unwrap().path()),
        );
    }
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    pages
}

/// The commands of `strongroom` in the consoles of a page, each as a shell reads it, without redirections and pipes.
fn commands(page: &str) -> Vec<String> {
    let mut fence = None;
    let mut found = Vec::new();
    for line in page.replace("\\\n", " ").lines() {
        let line = line.trim();
        if let Some(kind) = line.strip_prefix("```") {
            fence = if fence.is_none() {
                Some(kind.split(' ').next().unwrap_or_default().to_owned())
            } else {
                None
            };
        } else if matches!(fence.as_deref(), Some("console" | "sh")) {
            let typed = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")).unwrap_or(line);
            let parts =
                typed.split(" | ").flat_map(|part| part.split(" && ")).flat_map(|part| part.split(" || "));
            found.extend(parts.filter_map(|part| {
                let command = part.trim().strip_prefix("strongroom ")?;
                let ends = [" <", " >", " 3<"].into_iter().filter_map(|cut| command.find(cut));
                Some(command[..ends.min().unwrap_or(command.len())].trim_end_matches(" &").to_owned())
            }));
        }
    }
    found
}

/// Whether the command line takes these words: `--help` behind them is answered only then, and nothing is done.
fn is_taken(command: &str) -> Result<(), String> {
    let run = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("set -- {command}\nexec \"$0\" \"$@\" --help"))
        .arg(program("strongroom"))
        .env("KEY_ID", "key-id")
        .output()
        .unwrap();
    if run.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&run.stderr).into_owned()) }
}

#[test]
fn every_command_of_the_pages_is_taken() {
    let mut tried = 0;
    for page in pages() {
        for command in commands(&std::fs::read_to_string(&page).unwrap()) {
            // An ellipsis is for the reader to fill in.
            if !command.contains('…') {
                tried += 1;
                is_taken(&command).unwrap_or_else(|said| panic!("{}: {command}\n{said}", page.display()));
            }
        }
    }
    assert!(tried > 60, "{tried} commands were found");
    // The controls: an option and a command that there are not.
    assert!(is_taken("audit show --sinse 2h").is_err() && is_taken("grant teach a").is_err());
}
