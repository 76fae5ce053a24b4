//! A data folder on a disk that a test can fill: a file system in memory, mounted in a namespace of its own.
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use super::{Api, Folder, command, folder};

/// Runs in the namespace: mounts the disk, starts the server, and fills and frees the disk as it is told.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=16m tmpfs "$1" || exit 77
ln -s "$2" "$1/cache"
"$3" --data-dir "$1" serve --port 0 &
while read -r word; do
    case "$word" in
    fill) dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null ;;
    free) rm "$1/filler" ;;
    esac
    echo "$word: done"
done
kill "$!"
wait "$!"
"#;

/// A server whose disk can be filled.
pub(crate) struct SmallDisk {
    script: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub(crate) api: Api,
}

impl SmallDisk {
    /// `None` where this user may not mount anything.
    pub(crate) fn start(folder: &Folder) -> Option<SmallDisk> {
        let disk = folder.path().join("disk");
        std::fs::create_dir(&disk).expect("a folder to mount on");
        let mut script = command::command_for(folder, "unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"])
            .args([&*disk, folder::compiled(), env!("CARGO_BIN_EXE_stagewright").as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut answers = BufReader::new(script.stdout.take().expect("it is piped"));
        let mut line = String::new();
        answers.read_line(&mut line).expect("a first line");
        let Some((_, url)) = line.trim().split_once("listening on ") else {
            script.kill().ok();
            script.wait().ok();
            return None;
        };
        let api = Api::new(url);
        Some(SmallDisk { words: script.stdin.take(), script, answers, api })
    }

    pub(crate) fn fill(&mut self) {
        self.tell("fill");
    }

    pub(crate) fn free(&mut self) {
        self.tell("free");
    }

    fn tell(&mut self, word: &str) {
        let words = self.words.as_mut().expect("the script listens");
        writeln!(words, "{word}").expect("the script listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script answers");
        assert_eq!(line, format!("{word}: done\n"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The script ends the server when nobody tells it anything any more.
        drop(self.words.take());
        self.script.wait().ok();
    }
}
