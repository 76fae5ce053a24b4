//! What goes into one transaction.
//!
//! A job that must be durable is taken at once, with everything that waits. The note about a call's start is held back
//! for a moment: if the answer comes within it, both are written as one row. Jobs keep their order but for notes, which
//! come later than they were given and never after anything that could look for them.
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use domain::{CallId, RunId};

use super::Job;
use crate::CallOrigin;
use crate::calls::Noted;

/// Most jobs of one transaction: enough that fifty busy runs share a commit, and few enough that none waits long.
const BATCH_JOB_COUNT_MAX: usize = 256;

/// How long jobs that need not be durable wait for one that must be, to share its commit; and a note for its answer. A
/// call that is answered at once costs no commit and no second write of its own then; a model that takes longer than
/// this does not notice.
const LINGER: Duration = Duration::from_millis(5);

/// Most notes that are held back.
const HELD_NOTE_COUNT_MAX: usize = 1024;

/// The jobs on their way into transactions.
pub(super) struct Gathering<'a> {
    jobs: &'a Receiver<Job>,
    /// Notes with the time up to which they are held back, the oldest first.
    held: VecDeque<(Instant, Box<Noted>)>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(jobs: &'a Receiver<Job>) -> Self {
        Self { jobs, held: VecDeque::new() }
    }

    /// The jobs of the next transaction, never none. `wait` gives the next job however long it takes, or `None` when
    /// nobody can give one any more.
    pub(super) fn next_batch(&mut self, wait: impl FnOnce() -> Option<Job>) -> Option<Vec<Job>> {
        let mut batch = Batch::default();
        if self.held.is_empty() {
            let first = wait()?;
            self.put(&mut batch, first);
        }
        loop {
            while batch.jobs.len() < BATCH_JOB_COUNT_MAX {
                let Ok(job) = self.jobs.try_recv() else { break };
                self.put(&mut batch, job);
            }
            if batch.is_urgent() || batch.jobs.len() >= BATCH_JOB_COUNT_MAX {
                break;
            }
            let until = batch.until.into_iter().chain(self.held.front().map(|(until, _)| *until));
            let until = until.min().expect("there is a job or a held note");
            match self.jobs.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(job) => self.put(&mut batch, job),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    self.release(&mut batch, |_| true);
                    break;
                }
            }
        }
        self.release_overdue(&mut batch);
        Some(batch.jobs)
    }

    fn put(&mut self, batch: &mut Batch, mut job: Job) {
        match &mut job {
            Job::NoteStarted(_) => {}
            Job::KeepAnswer { outcome, note, .. } => {
                *note = self.take(&outcome.answer.started.call);
            }
            Job::Append { append, .. } => {
                let (answered, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.held)
                    .into_iter()
                    .partition(|(_, note)| append.answers(&note.call.call));
                self.held = others;
                answered.into_iter().for_each(|(_, note)| append.take_note(*note));
                let run = append.run.clone();
                self.release(batch, |note| is_of(note, &run));
            }
            // Whatever else there is may look at calls.
            _ => self.release(batch, |_| true),
        }
        match job {
            Job::NoteStarted(note) => {
                self.held.push_back((Instant::now() + LINGER, note));
                if self.held.len() > HELD_NOTE_COUNT_MAX
                    && let Some((_, oldest)) = self.held.pop_front()
                {
                    batch.push(Job::NoteStarted(oldest));
                }
            }
            job => batch.push(job),
        }
    }

    fn take(&mut self, call: &CallId) -> Option<Box<Noted>> {
        let place = self.held.iter().position(|(_, note)| note.call.call == *call)?;
        self.held.remove(place).map(|(_, note)| note)
    }

    /// Puts the notes that are chosen into the batch.
    fn release(&mut self, batch: &mut Batch, is_chosen: impl Fn(&Noted) -> bool) {
        for (until, note) in std::mem::take(&mut self.held) {
            if is_chosen(&note) {
                batch.push(Job::NoteStarted(note));
            } else {
                self.held.push_back((until, note));
            }
        }
    }

    fn release_overdue(&mut self, batch: &mut Batch) {
        let now = Instant::now();
        while let Some((_, note)) = self.held.pop_front_if(|(until, _)| *until <= now) {
            batch.push(Job::NoteStarted(note));
        }
    }
}

fn is_of(note: &Noted, run: &RunId) -> bool {
    match &note.call.origin {
        CallOrigin::Stage { run: of, .. } => of == run,
        CallOrigin::Chat { .. } => false,
    }
}

/// The jobs of one transaction.
#[derive(Default)]
struct Batch {
    jobs: Vec<Job>,
    /// How long what it has can wait; `None`: it has nothing.
    until: Option<Instant>,
}

impl Batch {
    fn push(&mut self, job: Job) {
        self.until.get_or_insert_with(|| Instant::now() + LINGER);
        self.jobs.push(job);
    }

    /// Whether somebody waits for the disk.
    fn is_urgent(&self) -> bool {
        self.jobs.iter().any(Job::must_be_durable)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::append::AppendJob;
    use crate::calls::Outcome;
    use crate::tests::scene;
    use crate::{Append, Beside, CallAnswered, CallStarted, Texts};

    fn note(call: CallStarted) -> Job {
        Job::NoteStarted(Box::new(Noted::new(call, Texts::Whole).unwrap()))
    }

    fn answer(call: CallStarted) -> CallAnswered {
        scene::answered(call, Ok(scene::completion("x", None)))
    }

    fn keep(call: CallStarted) -> Job {
        let outcome = Box::new(Outcome::new(answer(call), Texts::Whole).unwrap());
        Job::KeepAnswer { outcome, note: None, reply: oneshot::channel().0 }
    }

    fn append(run: u32, beside: Vec<Beside>) -> Job {
        let append = Append { beside, ..scene::creation(run) };
        let append = Box::new(AppendJob::new(append, Texts::Whole).unwrap());
        Job::Append { append, reply: oneshot::channel().0 }
    }

    fn rebuild() -> Job {
        Job::RebuildProjections { reply: oneshot::channel().0 }
    }

    fn stage_call(number: u32, run: u32) -> CallStarted {
        scene::stage_call(number, &scene::run_id(run), 1, number)
    }

    /// The batches that these jobs are put into, each in one line.
    fn batches(jobs: Vec<Job>) -> String {
        let (sender, receiver) = mpsc::channel();
        jobs.into_iter().for_each(|job| sender.send(job).unwrap());
        drop(sender);
        let mut gathering = Gathering::new(&receiver);
        let mut lines = Vec::new();
        while let Some(batch) = gathering.next_batch(|| receiver.recv().ok()) {
            lines.push(batch.iter().map(shown).collect::<Vec<_>>().join(", "));
        }
        lines.join("\n")
    }

    fn shown(job: &Job) -> String {
        match job {
            Job::NoteStarted(note) => format!("note {}", number(&note.call)),
            Job::KeepAnswer { outcome, note, .. } => {
                let noted = if note.is_some() { "noted " } else { "" };
                format!("{noted}answer {}", number(&outcome.answer.started))
            }
            Job::Append { append, .. } => format!("append with {} notes", append.note_count()),
            _ => "something else".to_owned(),
        }
    }

    fn number(call: &CallStarted) -> i64 {
        call.at.as_unix_ms()
    }

    #[test]
    fn a_note_waits_for_its_answer_and_not_for_another() {
        let chat = |number| scene::call(number, scene::chat(None));
        let jobs = vec![note(chat(1)), note(chat(2)), keep(chat(3)), keep(chat(2))];
        insta::assert_snapshot!(batches(jobs), @r"
        answer 3, noted answer 2
        note 1
        ");
    }

    #[test]
    fn an_append_takes_the_notes_that_it_answers_and_comes_after_those_of_its_run() {
        let beside = vec![Beside::Answer(Box::new(answer(stage_call(2, 1))))];
        let jobs = vec![
            note(stage_call(1, 1)),
            note(stage_call(2, 1)),
            note(stage_call(3, 9)),
            append(1, beside),
        ];
        insta::assert_snapshot!(batches(jobs), @r"
        note 1, append with 1 notes
        note 3
        ");
    }

    #[test]
    fn a_job_that_may_look_at_calls_comes_after_all_notes() {
        let chat = scene::call(1, scene::chat(None));
        let jobs = vec![note(chat.clone()), rebuild(), keep(chat)];
        insta::assert_snapshot!(batches(jobs), @"note 1, something else, answer 1");
    }

    #[test]
    fn a_note_without_an_answer_is_written_after_a_moment() {
        let (sender, receiver) = mpsc::channel();
        sender.send(note(scene::call(1, scene::chat(None)))).unwrap();
        let mut gathering = Gathering::new(&receiver);
        let batch = gathering.next_batch(|| receiver.recv().ok()).unwrap();
        assert_eq!(batch.iter().map(shown).collect::<Vec<_>>(), ["note 1"]);
        assert!(gathering.held.is_empty());
    }

    #[test]
    fn no_batch_and_no_number_of_held_notes_grows_without_bound() {
        let chat = |number| scene::call(number, scene::chat(None));
        let jobs: Vec<Job> = (1..=300).map(|number| keep(chat(number))).collect();
        let lines: Vec<usize> =
            batches(jobs).lines().map(|line| line.split(", ").count()).collect();
        assert_eq!(lines, [BATCH_JOB_COUNT_MAX, 300 - BATCH_JOB_COUNT_MAX]);
        let (sender, receiver) = mpsc::channel();
        let notes = HELD_NOTE_COUNT_MAX as u32 + 5;
        (1..=notes).for_each(|number| sender.send(note(chat(number))).unwrap());
        sender.send(rebuild()).unwrap();
        let mut gathering = Gathering::new(&receiver);
        let mut batch = Batch::default();
        for _ in 1..=notes {
            let job = receiver.recv().unwrap();
            gathering.put(&mut batch, job);
        }
        assert_eq!((batch.jobs.len(), gathering.held.len()), (5, HELD_NOTE_COUNT_MAX));
    }
}
