//! Secrets come back, and whatever was changed, lost or mixed up is told without telling a secret.
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;

use tempfile::TempDir;

use super::*;

/// Enough for the algorithm, so that tests do not wait for what is slow on purpose.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1 };
const PLANTED: &str = "sk-planted-0123456789";

struct Case {
    folder: TempDir,
    passphrase: Option<SecretString>,
}

impl Case {
    fn with_key_file() -> Case {
        Case { folder: tempfile::tempdir().unwrap(), passphrase: None }
    }

    fn with_passphrase() -> Case {
        Case {
            folder: tempfile::tempdir().unwrap(),
            passphrase: Some("correct horse battery".into()),
        }
    }

    fn open(&self) -> Result<Vault, VaultError> {
        self.open_with(self.passphrase.as_ref())
    }

    fn open_with(&self, passphrase: Option<&SecretString>) -> Result<Vault, VaultError> {
        Vault::open_with(self.folder.path(), passphrase, CHEAP)
    }

    fn filled(self) -> Case {
        let mut vault = self.open().unwrap();
        vault.set("OPENAI_API_KEY", PLANTED.into()).unwrap();
        vault.set("OTHER", "quotes \" and \\ and ü".into()).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path("secrets.vault")).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// What is said about a vault that does not open, with the cure.
    fn refused(&self) -> String {
        said(self.open(), &self.folder)
    }
}

fn said(outcome: Result<Vault, VaultError>, folder: &TempDir) -> String {
    let Err(error) = outcome else { panic!("it opened") };
    let text = format!("{error}\nhint: {}\n{error:?}", error.hint());
    assert!(!text.contains("sk-planted"), "{text}");
    let shown = format!("{error}\nhint: {}", error.hint());
    shown.replace(&folder.path().display().to_string(), "DATA")
}

fn text(vault: &Vault, name: &str) -> Option<String> {
    vault.secret(name).map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn secrets_come_back_with_either_kind_of_key() {
    for case in [Case::with_key_file().filled(), Case::with_passphrase().filled()] {
        let mut vault = case.open().unwrap();
        assert_eq!(vault.names(), ["OPENAI_API_KEY", "OTHER"]);
        assert_eq!(text(&vault, "OPENAI_API_KEY").as_deref(), Some(PLANTED));
        assert_eq!(text(&vault, "OTHER").as_deref(), Some("quotes \" and \\ and ü"));
        assert_eq!(text(&vault, "MISSING"), None);

        vault.set("OTHER", "replaced".into()).unwrap();
        assert!(vault.remove("OPENAI_API_KEY").unwrap());
        assert!(!vault.remove("OPENAI_API_KEY").unwrap());
        let again = case.open().unwrap();
        assert_eq!(again.names(), ["OTHER"]);
        assert_eq!(text(&again, "OTHER").as_deref(), Some("replaced"));
    }
}

#[test]
fn a_folder_without_a_vault_is_an_empty_one_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = Vault::open(&folder.path().join("not-there"), None).unwrap();
    assert!(vault.names().is_empty());
    assert!(!vault.remove("OPENAI_API_KEY").unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_files_are_private_and_hold_no_secret_and_no_name() {
    for case in [Case::with_key_file().filled(), Case::with_passphrase().filled()] {
        for entry in std::fs::read_dir(case.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
            let bytes = std::fs::read(&path).unwrap();
            for planted in [PLANTED, "OPENAI_API_KEY", "correct horse"] {
                let found = bytes.windows(planted.len()).any(|part| part == planted.as_bytes());
                assert!(!found, "`{planted}` lies in {}", path.display());
            }
        }
    }
}

#[test]
fn the_same_secrets_are_never_sealed_to_the_same_bytes() {
    let case = Case::with_key_file().filled();
    let before = case.bytes();
    case.open().unwrap().set("OPENAI_API_KEY", PLANTED.into()).unwrap();
    assert_ne!(case.bytes()[49..], before[49..]);
}

#[test]
fn a_change_of_any_byte_is_noticed() {
    for case in [Case::with_key_file().filled(), Case::with_passphrase().filled()] {
        let whole = case.bytes();
        for idx in 0..whole.len() {
            for change in [0x01, 0x80] {
                let mut changed = whole.clone();
                changed[idx] ^= change;
                case.write("secrets.vault", &changed);
                case.refused();
            }
        }
        for len in [0, 7, 72, 73, 80, whole.len() - 1] {
            case.write("secrets.vault", &whole[..len]);
            case.refused();
        }
        case.write("secrets.vault", &[whole.as_slice(), b"x"].concat());
        case.refused();
        case.write("secrets.vault", &whole);
        assert_eq!(case.open().unwrap().names().len(), 2);
    }
}

#[test]
fn what_does_not_open_it_is_told_with_the_cure() {
    let case = Case::with_passphrase().filled();
    let wrong = SecretString::from("incorrect horse");
    insta::assert_snapshot!(said(case.open_with(Some(&wrong)), &case.folder), @r"
    the passphrase does not open the vault `DATA/secrets.vault`
    hint: set `STAGEWRIGHT_VAULT_KEY` to the passphrase that the vault was made with; without it, remove the file and set the secrets again
    ");
    insta::assert_snapshot!(said(case.open_with(None), &case.folder), @r"
    the vault `DATA/secrets.vault` needs its passphrase
    hint: set `STAGEWRIGHT_VAULT_KEY` to it
    ");
    let case = Case::with_key_file().filled();
    insta::assert_snapshot!(said(case.open_with(Some(&wrong)), &case.folder), @r"
    the vault `DATA/secrets.vault` opens with its key file, and a passphrase is set
    hint: unset `STAGEWRIGHT_VAULT_KEY`; to have a passphrase, remove the vault, and set the secrets again with it
    ");
    case.write("vault.key", "ab".repeat(32).as_bytes());
    insta::assert_snapshot!(case.refused(), @r"
    the key file does not open the vault `DATA/secrets.vault`
    hint: put back the `vault.key` that belongs to it; without it, remove the vault, and set the secrets again
    ");
    case.write("vault.key", b"no key");
    insta::assert_snapshot!(case.refused(), @r"
    `DATA/vault.key` is no key file: it needs 64 hexadecimal digits
    hint: put back the `vault.key` that belongs to the vault, or remove both and set the secrets again
    ");
    std::fs::remove_file(case.path("vault.key")).unwrap();
    insta::assert_snapshot!(case.refused(), @r"
    the key file `DATA/vault.key` of the vault `DATA/secrets.vault` is missing
    hint: put back the `vault.key` that belongs to it; without it, remove the vault, and set the secrets again
    ");
}

#[test]
fn a_damaged_file_and_a_newer_one_are_told_apart() {
    let case = Case::with_key_file().filled();
    let mut newer = case.bytes();
    newer[7] = 2;
    case.write("secrets.vault", &newer);
    insta::assert_snapshot!(case.refused(), @r"
    the vault `DATA/secrets.vault` was written by a newer version of the program: format 2
    hint: use that version, or a newer one
    ");
    case.write("secrets.vault", &[b'{'; 100]);
    insta::assert_snapshot!(case.refused(), @r"
    the vault `DATA/secrets.vault` is damaged: it does not begin like a vault
    hint: put back a copy, or remove it and set the secrets again with `stagewright secrets set`
    ");
}

#[test]
fn files_that_others_may_read_are_refused() {
    for name in ["secrets.vault", "vault.key"] {
        let case = Case::with_key_file().filled();
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(case.path(name), mode).unwrap();
        assert_eq!(
            case.refused(),
            format!(
                "`DATA/{name}` can be read or written by other users: mode 640\nhint: close it to others: `chmod 600 {}`",
                "DATA/".to_owned() + name
            )
        );
    }
}

#[test]
fn a_name_has_to_be_that_of_a_variable_and_is_not_repeated() {
    let case = Case::with_key_file();
    let mut vault = case.open().unwrap();
    let too_long = "A".repeat(NAME_BYTES_MAX + 1);
    for name in ["", "1A", "A-B", "A B", "ü", "sk-planted", &too_long] {
        let error = vault.set(name, PLANTED.into()).unwrap_err();
        assert_eq!(error.to_string(), "that is no name of a secret", "{name}");
    }
    for name in ["a", "_", "_A1", "OPENAI_API_KEY"] {
        vault.set(name, PLANTED.into()).unwrap();
    }
}

#[test]
fn more_than_fits_is_refused_and_changes_nothing() {
    let case = Case::with_key_file().filled();
    let mut vault = case.open().unwrap();
    let error = vault.set("HUGE", "x".repeat(2 << 20).into()).unwrap_err();
    assert_eq!(error.to_string(), "the secrets are too large: more than 1048576 bytes together");
    assert_eq!(vault.names().len(), 2);
    assert_eq!(case.open().unwrap().names().len(), 2);
}

#[test]
fn writers_at_the_same_time_do_not_undo_each_other() {
    let case = Case::with_key_file();
    let writers = 8;
    let barrier = Barrier::new(writers);
    std::thread::scope(|scope| {
        for number in 0..writers {
            let (case, barrier) = (&case, &barrier);
            scope.spawn(move || {
                let mut vault = case.open().unwrap();
                barrier.wait();
                vault.set(&format!("KEY_{number}"), format!("secret {number}").into()).unwrap();
            });
        }
    });
    let vault = case.open().unwrap();
    assert_eq!(vault.names().len(), writers);
    assert_eq!(text(&vault, "KEY_3").as_deref(), Some("secret 3"));
}

#[test]
fn what_another_process_wrote_is_kept() {
    let case = Case::with_passphrase().filled();
    let (mut one, mut other) = (case.open().unwrap(), case.open().unwrap());
    one.set("ONE", "1".into()).unwrap();
    assert!(other.remove("OTHER").unwrap());
    assert_eq!(case.open().unwrap().names(), ["ONE", "OPENAI_API_KEY"]);
}
