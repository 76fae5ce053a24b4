use super::*;

const REQUIRED: [&str; 3] = ["Market overview", "Audience", "Tone & style"];

#[track_caller]
fn read(answer: &str) -> Document {
    Document::read(answer, &REQUIRED).unwrap()
}

#[track_caller]
fn bodies(answer: &str, expected: [&str; 3]) {
    let document = read(answer);
    let found: Vec<&str> = document.sections.iter().map(|section| section.body.as_str()).collect();
    assert_eq!(found, expected);
}

#[track_caller]
fn refused(answer: &str, code: &str, message: &str) {
    let error = Document::read(answer, &REQUIRED).unwrap_err();
    assert_eq!(error, StageError::invalid_output(code, message));
}

#[test]
fn a_clean_answer_is_read() {
    let answer = "# Honey\n\nLead.\n\n## Market overview\n\nBig.\n\n## Audience\n\n- Cooks\n\n## Tone & style\n\nWarm.\n";
    let document = read(answer);
    assert_eq!(document.title.as_deref(), Some("Honey"));
    assert_eq!(document.lead, "Lead.");
    assert_eq!(document.section("Audience"), Some("- Cooks"));
    assert_eq!(document.to_markdown("Other"), answer);
}

#[test]
fn chat_around_the_document_is_dropped() {
    let answer = "Sure! Here is your research:\n\n```markdown\n## Market overview\nBig.\n## Audience\nCooks.\n\
                  ## Tone & style\nWarm.\n\n---\n\nLet me know if you want changes!\n```\nCheers";
    let document = read(answer);
    assert_eq!((document.title.as_deref(), document.lead.as_str()), (None, ""));
    assert_eq!(document.section("Tone & style"), Some("Warm."));
    assert!(document.to_markdown("Research").starts_with("# Research\n\n## Market overview\n"));
}

#[test]
fn headings_are_found_however_they_are_written() {
    bodies("# 1. Market Overview\na\n# 2) AUDIENCE:\nb\n# 3. Tone and style\nc", ["a", "b", "c"]);
    bodies(
        "### Market overview - size and growth\na\n### Audience (who buys)\nb\n### Tone & Style\nc",
        ["a", "b", "c"],
    );
    bodies("**Market overview**\na\n**Audience:**\nb\n**Tone & style**:\nc", ["a", "b", "c"]);
}

#[test]
fn sections_are_put_into_the_required_order() {
    bodies("## Audience\nb\n## Tone & style\nc\n## Market overview\na", ["a", "b", "c"]);
}

#[test]
fn other_headings_belong_to_the_section_above_and_move_below_it() {
    let answer = "# Market overview\na\n## Size\n# Growth\n# Audience\nb\n# Tone & style\nc";
    bodies(answer, ["a\n\n### Size\n\n### Growth", "b", "c"]);
}

#[test]
fn a_sub_heading_with_the_name_of_a_section_does_not_open_it() {
    let answer = "## Market overview\na\n### Audience\nsize\n## Audience\nb\n## Tone & style\nc";
    bodies(answer, ["a\n\n### Audience\n\nsize", "b", "c"]);
}

#[test]
fn a_section_that_comes_twice_is_joined() {
    bodies(
        "## Audience\nb\n## Market overview\na\n## Audience\nmore\n## Tone & style\nc",
        ["a", "b\n\nmore", "c"],
    );
}

#[test]
fn missing_sections_are_named() {
    refused(
        "## Audience\nb\n",
        "section_missing",
        "the required sections `## Market overview`, `## Tone & style` are missing",
    );
    refused(
        "I cannot help with that.",
        "section_missing",
        "the required sections `## Market overview`, `## Audience`, `## Tone & style` are missing",
    );
}

#[test]
fn sections_without_text_are_named() {
    let answer = "## Market overview\n\n---\n\n## Audience\nb\n## Tone & style\nc";
    refused(answer, "section_empty", "the required section `## Market overview` is without text");
    // The last heading has no line after it at all.
    let answer = "## Market overview\na\n## Audience\nb\n## Tone & style";
    refused(answer, "section_empty", "the required section `## Tone & style` is without text");
}

#[test]
fn a_label_in_a_quotation_is_kept_and_thoughts_and_front_matter_are_not() {
    let answer = "<think>\n## Audience\nhm\n</think>\n---\ntitle: x\n---\n> Draft by a script.\n\nHere you go:\n\n\
                  ## Market overview\na\n## Audience\nb\n## Tone & style\nc";
    let document = read(answer);
    assert_eq!(document.lead, "> Draft by a script.");
    assert_eq!(document.section("Audience"), Some("b"));
}

#[test]
fn headings_inside_of_code_do_not_count() {
    let answer = "## Market overview\n```\n## Audience\n```\n## Audience\nb\n## Tone & style\nc";
    bodies(answer, ["```\n## Audience\n```", "b", "c"]);
}

#[test]
fn sections_are_given_to_programs_by_slug() {
    let map = read("## Market overview\na b\n## Audience\nc\n## Tone & style\nd").to_map();
    assert_eq!(map["tone_and_style"], "d");
    assert_eq!(map["market_overview"], "a b");
}

#[test]
fn words_are_counted_over_all_sections() {
    assert_eq!(
        read(
            "# T\n\none\n\n## Market overview\ntwo three\n## Audience\nfour\n## Tone & style\nfive"
        )
        .word_count(),
        5
    );
}

#[test]
fn a_length_far_over_what_was_asked_for_is_refused_and_some_excess_is_logged() {
    let document = read("## Market overview\none two\n## Audience\nthree\n## Tone & style\nfour");
    assert_eq!(document.check_length(4), Ok(()));
    assert_eq!(log::take(), Vec::<String>::new());
    assert_eq!(document.check_length(3), Ok(()));
    assert_eq!(log::take(), ["warn: the answer is longer than asked for words=4 word_count_max=3"]);
    assert_eq!(document.check_length(1).unwrap_err().failure().unwrap().code, "too_long");
}

#[test]
fn headings_with_letters_words_and_plurals_are_found() {
    bodies(
        "## Section 1: Market overview\na\n## Part 2 - Audience\nb\n## Section 3. Tone & style\nc",
        ["a", "b", "c"],
    );
    bodies(
        "## A. Market overview\na\n## B) Audiences\nb\n## III. Tones and styles\nc",
        ["a", "b", "c"],
    );
    for heading in ["Dos and Don'ts", "Do's & Don’ts", "Do and dont", "A. Dos and Don'ts (both)"]
    {
        let answer = format!("## {heading}\na");
        let document = Document::read(&answer, &["Do and don't"]).unwrap();
        assert_eq!(document.section("Do and don't"), Some("a"), "{heading}");
    }
}

#[test]
fn one_section_at_another_level_is_found() {
    bodies(
        "## Market overview\na\n## Audience\nb\n### Tone & style\nc\n#### Words\nd",
        ["a", "b", "c\n\n#### Words\n\nd"],
    );
    bodies("## Market overview\na\n**Audience**\nb\n\n## Tone & style\nc", ["a", "b", "c"]);
    bodies("# Market overview\na\n## Audience\nb\n## Tone & style\nc", ["a", "b", "c"]);
}

#[test]
fn translated_headings_are_taken_in_their_order() {
    bodies(
        "# Honig\n\n## Markt\na\n### Preise\nx\n## Zielgruppe\nb\n## Ton & Stil\nc",
        ["a\n\n### Preise\n\nx", "b", "c"],
    );
    assert_eq!(
        log::take(),
        ["warn: the headings are not those that were asked for; they are taken in their order \
          headings=Markt | Zielgruppe | Ton & Stil"]
    );
}

#[test]
fn translated_headings_that_cannot_be_taken_are_named() {
    refused(
        "# Honig\n\n## Markt\na\n## Zielgruppe\nb",
        "section_missing",
        "the required sections `## Market overview`, `## Audience`, `## Tone & style` are missing; the answer has other \
         headings: `Markt`, `Zielgruppe`; write the required headings in English, letter for letter as they were given, \
         although the text is in another language",
    );
    // A known heading in another place than its own: the order is not the required one.
    let swapped = Document::read("## Audience\na\n## Markt\nb\n## Stil\nc", &REQUIRED);
    assert_eq!(swapped.unwrap_err().failure().unwrap().code, "section_missing");
}

#[test]
fn closing_remarks_are_taken_off_the_end_of_the_answer_alone() {
    for remark in [
        "(Word count: 812)",
        "*Word count: 812*\n\nLet me know if it fits.",
        "Lassen Sie mich wissen, ob das passt.",
        "Wenn du möchtest, kürze ich den Text.",
    ] {
        let answer = format!(
            "## Tone & style\nc\n\nI hope this honey stays.\n\n## Market overview\na\n\n## Audience\nb\n\n---\n\n{remark}\n"
        );
        bodies(&answer, ["a", "b", "c\n\nI hope this honey stays."]);
    }
    let quoted =
        "## Market overview\na\n## Audience\nb\n## Tone & style\nc\n\n> Let me know how it tastes.";
    bodies(quoted, ["a", "b", "c\n\n> Let me know how it tastes."]);
}

#[test]
fn placeholders_are_no_text() {
    for placeholder in
        ["TBD", "*N/A*", "- (see above)", "[insert]", "[Insert the market here.]", "..."]
    {
        let answer =
            format!("## Market overview\n{placeholder}\n## Audience\nb\n## Tone & style\nc");
        refused(
            &answer,
            "section_empty",
            "the required section `## Market overview` is without text",
        );
    }
    bodies(
        "## Market overview\n[Honey](a.md)\n## Audience\nTBD by Ann\n## Tone & style\nc",
        ["[Honey](a.md)", "TBD by Ann", "c"],
    );
}
