//! The guide for authors of plugins, done as it says: every command of `plugins/README.md`, in its order, in one shell.
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Folder, STAGEWRIGHT};

/// Fewest commands that the guide has: a guide whose commands are not found must not pass.
const COMMANDS_MIN: usize = 12;

fn guide() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/README.md");
    std::fs::read_to_string(path).expect("the guide")
}

/// What stands in the blocks for a shell.
fn commands(guide: &str) -> String {
    let mut commands = String::new();
    let mut is_shell = false;
    for line in guide.lines() {
        match line {
            "```sh" => is_shell = true,
            "```" => is_shell = false,
            command if is_shell => {
                commands.push_str(command);
                commands.push('\n');
            }
            _ => {}
        }
    }
    commands
}

#[test]
fn every_command_of_the_guide_works() {
    let commands = commands(&guide());
    let count = commands.lines().filter(|line| line.starts_with("stagewright ")).count();
    assert!(count >= COMMANDS_MIN, "{count} commands:\n{commands}");
    let folder = Folder::new();
    let program = Path::new(STAGEWRIGHT).parent().expect("a program lies in a folder");
    let mut shell = Command::new("bash");
    shell
        .args(["-euxo", "pipefail", "-c"])
        .arg(format!("PATH=\"$PROGRAM_FOLDER:$PATH\"\n{commands}"))
        .current_dir(folder.path())
        .envs(folder.environment())
        .env("PROGRAM_FOLDER", program)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("authored"))
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null());
    let output = shell.output().expect("a shell");
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
}
