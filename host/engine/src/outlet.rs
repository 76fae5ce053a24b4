//! Hands what is heard piece by piece to somebody who may be slow, and skips nothing.
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// The sending end of a channel, for a listener that must not block.
///
/// What has no room waits here. It is little, because whoever puts waits for [`Outlet::room`] before it gets more: at
/// most what one read from a connection brings.
pub(crate) struct Outlet<T> {
    sender: Sender<T>,
    waiting: Mutex<VecDeque<T>>,
}

impl<T: Send> Outlet<T> {
    pub(crate) fn new(sender: Sender<T>) -> Self {
        Self { sender, waiting: Mutex::new(VecDeque::new()) }
    }

    /// Hands on, as soon as there is room. If nobody reads any more, the piece is dropped.
    pub(crate) fn put(&self, piece: T) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.is_empty() {
            waiting.push_back(piece);
        } else if let Err(TrySendError::Full(piece)) = self.sender.try_send(piece) {
            waiting.push_back(piece);
        }
    }

    /// Whether the next piece would have to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.sender.capacity() == 0 || self.has_waiting()
    }

    /// Waits until everything is handed on and there is room for one piece more, or nobody reads any more.
    pub(crate) async fn room(&self) {
        self.flushed().await;
        // An error says that nobody reads, and then there is nothing to wait for.
        self.sender.reserve().await.ok();
    }

    /// Waits until everything is handed on, or nobody reads any more.
    pub(crate) async fn flushed(&self) {
        while self.has_waiting() {
            let permit = self.sender.reserve().await;
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            match (permit, waiting.pop_front()) {
                // Under the lock, so that a piece that is put meanwhile stays behind this one.
                (Ok(permit), Some(piece)) => permit.send(piece),
                (Ok(_), None) => {}
                (Err(_), _) => waiting.clear(),
            }
        }
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn abandoned(&self) {
        self.sender.closed().await;
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_has_no_room_waits_and_keeps_its_order() {
        let (sender, mut receiver) = mpsc::channel(1);
        let outlet = Outlet::new(sender);
        (0..5).for_each(|piece| outlet.put(piece));
        assert!(outlet.is_full());
        let reading = async {
            let mut read = Vec::new();
            while read.len() < 5 {
                read.push(receiver.recv().await.unwrap());
            }
            read
        };
        let (read, ()) = tokio::join!(reading, outlet.room());
        assert_eq!(read, [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_reader_that_is_gone() {
        let (sender, receiver) = mpsc::channel(1);
        let outlet = Outlet::new(sender);
        (0..5).for_each(|piece| outlet.put(piece));
        drop(receiver);
        outlet.room().await;
        outlet.abandoned().await;
    }
}
