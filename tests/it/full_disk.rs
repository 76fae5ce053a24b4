//! A full disk: nothing new is begun, and what was paid for is not lost.
use model_server::ModelServer;
use serde_json::json;

use crate::support::{Folder, SmallDisk, skipped};

#[tokio::test]
async fn an_answer_that_arrives_on_a_full_disk_is_kept_as_soon_as_there_is_room() {
    let models = ModelServer::start().await;
    models.hold();
    let folder = Folder::with_models(&models);
    let Some(mut disk) = SmallDisk::start(&folder) else {
        skipped("a full disk", "the right to mount (`unshare --map-root-user --mount`)");
        return;
    };
    let run = disk.api.start("foundation_stack").await;
    models.wait_for_requests(1).await;
    disk.fill();

    let body = json!({ "mode": "foundation_stack", "request_text": "wasps" });
    let refused = disk.api.post("/api/v2/workflow-runs", &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (507, "disk_full"), "{refused:?}");
    models.release();
    let before = disk.api.journal(&run).await;
    disk.free();

    disk.api.gate(&run).await;
    assert_eq!(before, "1 run_created\n2 stage_started stage=research attempt=1\n");
    assert_eq!(models.count(), 1, "the answer was kept, not asked for again");
    let runs = disk.api.get("/api/v2/workflow-runs").await.ok();
    assert_eq!(runs["items"].as_array().expect("runs").len(), 1, "the refused run was not begun");
}
