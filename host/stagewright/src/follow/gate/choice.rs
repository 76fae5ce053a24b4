//! What can be chosen at a gate, and under which keys.
use control_api::dto::{ApprovalDetailDto, GateSubjectDto};

use crate::output::{Paint, clean};
use crate::policy::{self, Standing};
use crate::render;

/// What was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    Grant,
    Reject,
    Revise,
    Edit,
    Show,
    Next,
    Compare,
    Detach,
}

impl Choice {
    const ALL: [Choice; 8] = [
        Choice::Grant,
        Choice::Reject,
        Choice::Revise,
        Choice::Edit,
        Choice::Show,
        Choice::Next,
        Choice::Compare,
        Choice::Detach,
    ];

    /// The letter, the word with the letter marked, and other words for it.
    fn words(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Choice::Grant => ("g", "[g]rant", &["grant", "y", "yes"]),
            Choice::Reject => ("r", "[r]eject", &["reject", "n", "no"]),
            Choice::Revise => ("v", "re[v]ise", &["revise"]),
            Choice::Edit => ("e", "[e]dit", &["edit"]),
            Choice::Show => ("s", "[s]how", &["show"]),
            Choice::Next => ("p", "next [p]rompt", &["next", "prompt", "next prompt"]),
            Choice::Compare => ("c", "[c]ompare", &["compare", "diff"]),
            Choice::Detach => ("d", "[d]etach", &["detach", "l", "later", "q", "quit"]),
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Choice::Grant => "the run goes on with this",
            Choice::Reject => "the run ends; asks why",
            Choice::Revise => "the stage is done again; asks what should change",
            Choice::Edit => "change the text in your editor, then grant with it",
            Choice::Show => "show it once more",
            Choice::Next => "show what the next stage would ask",
            Choice::Compare => "show what changed since the version before",
            Choice::Detach => "leave it to somebody else, or for later",
        }
    }

    fn is_meant(self, typed: &str) -> bool {
        let (letter, _, words) = self.words();
        typed == letter || words.contains(&typed)
    }
}

/// What one gate lets one person choose.
pub(super) struct Offer {
    choices: Vec<Choice>,
}

impl Offer {
    pub(super) fn of(detail: &ApprovalDetailDto, standing: Standing) -> Offer {
        let is_result = matches!(detail.approval.subject, GateSubjectDto::Result);
        let may_grant = standing != Standing::MayNotGrant;
        let is_offered = |choice: &Choice| match choice {
            Choice::Grant => may_grant,
            Choice::Edit => may_grant && is_result && !detail.artifacts.is_empty(),
            Choice::Revise => is_result,
            Choice::Next => detail.next.as_ref().is_some_and(|next| next.problem.is_none()),
            Choice::Compare => !detail.previous.is_empty(),
            Choice::Reject | Choice::Show | Choice::Detach => true,
        };
        Offer { choices: Choice::ALL.into_iter().filter(is_offered).collect() }
    }

    /// The words with their letters, in one line.
    pub(super) fn keys(&self, paint: Paint) -> String {
        let words: Vec<&str> = self.choices.iter().map(|choice| choice.words().1).collect();
        paint.dim(&format!("{}  [?]", words.join("  ")))
    }

    /// What each of them does.
    pub(super) fn legend(&self) -> String {
        let line = |choice: &Choice| format!("    {:15}{}", choice.words().1, choice.meaning());
        self.choices.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn choice(&self, typed: &str) -> Option<Choice> {
        let typed = typed.to_lowercase();
        self.choices.iter().copied().find(|choice| choice.is_meant(&typed))
    }
}

/// Why asking would be in vain, and who decides.
pub(super) fn asked_in_vain(
    detail: &ApprovalDetailDto,
    standing: Standing,
    actor: &str,
) -> Option<String> {
    let approval = &detail.approval;
    let actor = clean(actor);
    match standing {
        Standing::MayDecide | Standing::MayNotGrant => None,
        Standing::HasGranted => {
            let count = usize::try_from(approval.grants_needed).unwrap_or(usize::MAX);
            let missing = count.saturating_sub(approval.grants.len()) as u64;
            let people = render::counted(missing, "other person has", "other people have");
            Some(format!("`{actor}` has granted; {people} to grant as well"))
        }
        Standing::NotAReviewer => Some(format!(
            "`{actor}` is not among those who may decide: {}; `--actor NAME` says who acts",
            policy::who_may_decide(approval)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Offer {
        Offer { choices: Choice::ALL.to_vec() }
    }

    #[test]
    fn a_choice_is_a_letter_or_a_word() {
        assert_eq!(all().choice("G"), Some(Choice::Grant));
        assert_eq!(all().choice("reject"), Some(Choice::Reject));
        assert_eq!(all().choice("v"), Some(Choice::Revise));
        assert_eq!(all().choice("later"), Some(Choice::Detach));
        assert_eq!(all().choice(""), None);
        assert_eq!(all().choice("?"), None);
    }

    #[test]
    fn no_letter_and_no_word_stands_for_two_choices() {
        let mut typed: Vec<&str> = Vec::new();
        for choice in Choice::ALL {
            let (letter, word, others) = choice.words();
            assert!(word.contains(&format!("[{letter}]")), "{word}");
            typed.push(letter);
            typed.extend(others);
        }
        let count = typed.len();
        typed.sort_unstable();
        typed.dedup();
        assert_eq!(typed.len(), count);
    }

    #[test]
    fn what_cannot_be_done_is_not_offered() {
        let only = Offer { choices: vec![Choice::Grant, Choice::Detach] };
        assert_eq!(only.keys(Paint::PLAIN), "[g]rant  [d]etach  [?]");
        assert_eq!(only.choice("e"), None);
        assert!(only.legend().contains("[d]etach       leave it to somebody else"));
    }
}
