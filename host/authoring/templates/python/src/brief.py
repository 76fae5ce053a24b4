"""What is asked, and what becomes of the answer. Nothing here calls the host."""

import json

from wit_world.imports.types import Artifact, ModelRequest, StageContext, StageOutput

from stage import bad_input, invalid_output, json_text, question

# The artifact that the stage makes.
BRIEF = "brief.md"

# An answer with this many times the words that were asked for is asked for again. Models count badly.
EXCESS_FACTOR_MAX = 2

# Longest summary, in characters; the contract allows 300 bytes.
SUMMARY_CHARACTERS_MAX = 70

WORD_COUNT_DEFAULT = 120

# What a profile can set. The host checks the settings against it and fills in its defaults.
SETTINGS_SCHEMA = {
    "type": "object",
    "properties": {
        "word_count_max": {
            "description": "Length of the brief.",
            "type": "integer",
            "minimum": 20,
            "maximum": 1000,
            "default": WORD_COUNT_DEFAULT,
        },
    },
    "additionalProperties": False,
}


def word_count_max(context: StageContext) -> int:
    return json.loads(context.settings).get("word_count_max", WORD_COUNT_DEFAULT)


def first_question(context: StageContext) -> ModelRequest:
    """The first question."""
    if context.request_text.strip() == "":
        raise bad_input("request_empty", "the request has no text: say what the brief is about")
    system = (
        "You write briefs that colleagues can work from. "
        "Answer with the brief in Markdown and nothing else: no greeting, no code fence."
    )
    user = (
        "Write a brief of the request: a title line `# …`, one sentence that says the goal and the audience, "
        f"then the points that matter as a list. At most {word_count_max(context)} words.\n\n"
        f"The request:\n\n{context.request_text}"
    )
    if context.revision is not None:
        user += f"\n\nA reviewer sent the last brief back:\n\n{context.revision.feedback}"
    return question("brief", system, user)


def read(context: StageContext, answer: str) -> str:
    """The brief in an answer. What is wrong with an unusable one is what the model is told."""
    brief = answer.strip()
    if not brief.startswith("# "):
        raise invalid_output("no_title", "its first line is no title `# …`")
    count = len(brief.split())
    allowed = word_count_max(context)
    if count > allowed * EXCESS_FACTOR_MAX:
        raise invalid_output("too_long", f"the brief has {count} words; at most {allowed} were asked for")
    return brief


def output(brief: str) -> StageOutput:
    """What the stage leaves behind."""
    title = brief.split("\n", 1)[0].removeprefix("# ").strip()
    return StageOutput(
        artifacts=[Artifact(BRIEF, "text/markdown", f"{brief}\n")],
        data=json_text({"title": title}),
        summary=title[:SUMMARY_CHARACTERS_MAX],
        variables=[],
    )
