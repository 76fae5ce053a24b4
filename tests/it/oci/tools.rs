//! Programs of others that these tests stand on: a real registry, and another tool that reads it.
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

/// Set where a tool that is missing is a failure.
const REQUIRE_TOOLS: &str = "STAGEWRIGHT_TESTS_REQUIRE_TOOLS";
/// Most lines that a registry says before it listens.
const LINES_BEFORE_LISTENING_MAX: usize = 100;
/// The account of a registry that wants one.
pub(super) const USERNAME: &str = "anna";
pub(super) const PASSWORD: &str = "registry-pass-8c1f";
/// The same for the registry: bcrypt with its lowest cost.
const HTPASSWD: &str = "anna:$2b$04$abcdefghijklmnopqrstuunaCcOZQBCIlAeqWQm6Tppl/lEf/94LW\n";

/// Finds a program, or says loudly that the test is not run.
pub(super) fn tool(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name));
    if let Some(program) = found.into_iter().find(|program| program.is_file()) {
        return Some(program);
    }
    let missing = format!("`{name}` is not installed: apt-get install {package}");
    assert_ne!(std::env::var_os(REQUIRE_TOOLS).as_deref(), Some(OsStr::new("1")), "{missing}");
    // Past the harness, which keeps what tests print to itself unless they fail.
    writeln!(std::io::stderr(), "SKIPPED: {missing}").expect("standard error");
    None
}

/// Who may use a registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    /// Only [`USERNAME`] with [`PASSWORD`].
    Locked,
}

/// CNCF Distribution, the reference registry, on loopback. Dropping it stops it.
pub(super) struct RealRegistry {
    child: Child,
    folder: TempDir,
    draining: Option<JoinHandle<()>>,
    /// `127.0.0.1:PORT`.
    pub(super) host: String,
}

impl RealRegistry {
    /// Starts one on a free port, if it is installed.
    pub(super) fn start(door: Door) -> Option<RealRegistry> {
        let program = tool("docker-registry", "docker-registry")?;
        let folder = TempDir::new().expect("a temporary folder");
        let shown = folder.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{ level: info, accesslog: {{ disabled: true }} }}\nstorage: {{ filesystem: {{ rootdirectory: {shown}/data }} }}\nhttp: {{ addr: \"127.0.0.1:0\", secret: test }}\n"
        );
        if door == Door::Locked {
            config.push_str(&format!(
                "auth: {{ htpasswd: {{ realm: test, path: {shown}/htpasswd }} }}\n"
            ));
        }
        std::fs::write(folder.path().join("htpasswd"), HTPASSWD).expect("a file");
        std::fs::write(folder.path().join("config.yml"), config).expect("a file");
        let mut child = Command::new(program)
            .arg("serve")
            .arg(folder.path().join("config.yml"))
            .env_remove("OTEL_TRACES_EXPORTER")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the registry starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut said = String::new();
        let host = lines.by_ref().take(LINES_BEFORE_LISTENING_MAX).find_map(|line| {
            let line = line.expect("text");
            let host = line.split("listening on ").nth(1).and_then(|rest| rest.split('"').next());
            said.push_str(&format!("{line}\n"));
            host.map(str::to_owned)
        });
        let Some(host) = host else {
            child.kill().ok();
            child.wait().ok();
            panic!("the registry does not listen:\n{said}");
        };
        // Its log has to be read on, or it would stop at a full pipe.
        let draining = Some(std::thread::spawn(move || lines.for_each(drop)));
        Some(RealRegistry { child, folder, draining, host })
    }

    /// The file in which it keeps the blob with a digest.
    pub(super) fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        let below = format!("data/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        self.folder.path().join(below)
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(draining) = self.draining.take() {
            draining.join().ok();
        }
    }
}
