//! The journal of HTTP requests.
use domain::{RunId, StageKey};

use super::Store;
use crate::http_requests::{
    self, HttpJournaled, HttpRequestAnswered, HttpRequestRow, HttpRequestStarted,
};
use crate::{Error, Listed, Page};

impl Store {
    /// Keeps what is known about an HTTP request before it is sent. When it returns, it is on the disk: a request that
    /// changes something must not be sent again by a host that knows nothing of it. `false`: it is not to be sent, since
    /// its run was called off or removed, or its outcome is known.
    pub async fn http_request_started(&self, request: HttpRequestStarted) -> Result<bool, Error> {
        let texts = self.inner.texts;
        let work = move |db: &_| http_requests::started(db, &request, texts);
        self.inner.writer.perform(work).await
    }

    /// Keeps what came of an HTTP request. When it returns, it is on the disk.
    pub async fn keep_http_answer(&self, answer: HttpRequestAnswered) -> Result<(), Error> {
        let texts = self.inner.texts;
        let work = move |db: &_| http_requests::answered(db, &answer, texts);
        self.inner.writer.perform(work).await
    }

    /// The HTTP requests of an attempt by their ordinal.
    pub async fn http_journaled(
        &self,
        run: &RunId,
        stage: &StageKey,
        attempt: u32,
    ) -> Result<Vec<HttpJournaled>, Error> {
        let (run, stage) = (run.clone(), stage.clone());
        self.inner.readers.ask(move |db| http_requests::journaled(db, &run, &stage, attempt)).await
    }

    /// The HTTP requests of a run, or of one of its stages, in the order in which they were first sent.
    pub async fn http_requests(
        &self,
        run: &RunId,
        stage: Option<StageKey>,
        page: Page,
    ) -> Result<Listed<HttpRequestRow>, Error> {
        let run = run.clone();
        let list = move |db: &_| http_requests::list(db, &run, stage.as_ref(), &page);
        self.inner.readers.ask(list).await
    }
}
