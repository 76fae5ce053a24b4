//! Threads that read, each with its own connection, so that the async runtime never waits for the disk.
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{Error, database};

type Task = Box<dyn FnOnce(&Connection) + Send>;

/// Some threads that share one queue. The queue needs no bound: whoever puts a task into it waits for its answer.
pub(crate) struct Readers {
    data_dir: PathBuf,
    tasks: Mutex<Option<Sender<Task>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Opens the connections and starts the threads.
    pub(crate) fn open(data_dir: &Path, name: &str, count: usize) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count {
            let db = database::open_reader(data_dir)?;
            let tasks = Arc::clone(&receiver);
            let thread = thread::Builder::new().name(name.to_owned());
            let started = thread.spawn(move || work(&db, &tasks));
            threads.push(started.map_err(|error| Error::io(data_dir, error))?);
        }
        Ok(Self {
            data_dir: data_dir.to_owned(),
            tasks: Mutex::new(Some(sender)),
            threads: Mutex::new(threads),
        })
    }

    /// Runs `question` on one of the threads.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |db| {
            // Nobody waits if the asking future was dropped.
            let _ = reply.send(question(db));
        });
        let sent = {
            let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.as_ref().is_some_and(|tasks| tasks.send(task).is_ok())
        };
        if !sent {
            return Err(Error::Closed);
        }
        let answer = answer.await.map_err(|_| Error::Closed)?;
        answer.map_err(|error| error.in_folder(&self.data_dir))
    }

    /// Finishes what is queued, and joins the threads.
    pub(crate) fn close(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads = {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *threads)
        };
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

fn work(db: &Connection, tasks: &Mutex<Receiver<Task>>) {
    loop {
        let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = task else { return };
        // A panic in one question must not take the thread away from all later ones. The asker sees `Closed`.
        if panic::catch_unwind(AssertUnwindSafe(|| task(db))).is_err() {
            tracing::error!("a question to the database panicked");
        }
    }
}
