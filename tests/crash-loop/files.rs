//! The files under `runs/`, held against the database.
use std::collections::BTreeMap;
use std::path::Path;

use store::{RunRow, Store};

/// Files that the host makes beside artifacts.
const HOST_FILES: [&str; 3] = ["plan.json", "output.json", "manifest.json"];

/// Each run's files are those of its last version, each artifact lies there as it holds, and nothing else does.
pub(crate) async fn check(store: &Store, data: &Path, rows: &[RunRow]) -> Result<(), String> {
    let stale = store.runs_with_stale_files().await.map_err(|error| error.to_string())?;
    if !stale.is_empty() {
        return Err(format!("the files of {stale:?} are old"));
    }
    for row in rows {
        let folder = data.join("runs").join(row.id.as_str());
        let wanted = wanted(store, row).await?;
        let found = found(&folder)?;
        if found != wanted {
            return Err(format!("{}: {wanted:?} are wanted, not {found:?}", row.id));
        }
        let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap_or_default();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap_or_default();
        if manifest["files_version"] != row.version || manifest["status"] != row.status.as_str() {
            return Err(format!("{}: {row:?} is wanted, not {manifest}", row.id));
        }
    }
    Ok(())
}

/// Texts of the artifacts that hold, by stage and name.
async fn wanted(store: &Store, row: &RunRow) -> Result<BTreeMap<String, String>, String> {
    let artifacts = store.artifacts(&row.id).await.map_err(|error| error.to_string())?;
    let mut texts = BTreeMap::new();
    for made in artifacts.iter().filter(|made| made.current) {
        let text = store.artifact(&row.id, &made.stage, &made.name, Some(made.version)).await;
        let text = text.map_err(|error| error.to_string())?;
        let text = text.map(|(_, text)| text).unwrap_or_default();
        texts.insert(format!("{}/{}", made.stage, made.name), text);
    }
    Ok(texts)
}

/// Texts of the files below a run's folder that are no host's files; temporary files would be among them.
fn found(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut texts = BTreeMap::new();
    for stage in entries(folder)? {
        let name = stage.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !stage.is_dir() {
            if !HOST_FILES.contains(&&*name) {
                texts.insert(name, String::new());
            }
            continue;
        }
        let key = name.split_once('-').map_or(&*name, |(_, key)| key);
        for path in entries(&stage)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !HOST_FILES.contains(&&*name) {
                let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
                texts.insert(format!("{key}/{name}"), text);
            }
        }
    }
    Ok(texts)
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let listed = std::fs::read_dir(folder);
    let listed = listed.map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(listed.filter_map(|entry| Some(entry.ok()?.path())).collect())
}
