"""What is asked, and what an answer has to be. Nothing here calls the host."""

import json
import re
from typing import Any

from componentize_py_types import Err
from wit_world.imports.types import Artifact, ModelRequest, StageContext, StageOutput, Variable

import stage
from stage import json_text

COUNT_DEFAULT = 5

# Longest tagline, in characters. A longer one does not fit on a poster.
TAGLINE_CHARACTERS_MAX = 80

SETTINGS_SCHEMA = {
    "additionalProperties": False,
    "properties": {
        "count": {
            "default": COUNT_DEFAULT,
            "description": "How many taglines to write.",
            "maximum": 10,
            "minimum": 1,
            "type": "integer",
        }
    },
    "type": "object",
}


def count_of(context: StageContext) -> int:
    return json.loads(context.settings).get("count", COUNT_DEFAULT)


def question(context: StageContext) -> ModelRequest:
    """The first question."""
    if context.request_text.strip() == "":
        raise stage.bad_input("request_empty", "the request has no text: say what the taglines are for")
    count = count_of(context)
    user = f"Write {count} taglines for:\n\n{context.request_text}"
    if context.revision is not None:
        user += f"\n\nA reviewer said about the last ones:\n\n{context.revision.feedback}"
    system = "You write taglines: short, concrete, each different from the others. Answer in JSON."
    return stage.answered_in("taglines", answer_schema(count), stage.question("taglines", system, user))


def answer_schema(count: int) -> dict[str, Any]:
    # The keys stand in the order of the alphabet, as the other languages write them: a question is the same text in all.
    return {
        "additionalProperties": False,
        "properties": {
            "taglines": {
                "items": {"maxLength": TAGLINE_CHARACTERS_MAX, "minLength": 1, "type": "string"},
                "maxItems": count,
                "minItems": count,
                "type": "array",
            }
        },
        "required": ["taglines"],
        "type": "object",
    }


def read(answer: str, count: int) -> list[str]:
    """The taglines in an answer."""
    answered = _parse(answer)
    said = answered.get("taglines") if isinstance(answered, dict) else None
    if not isinstance(said, list):
        raise _unusable("it has no list `taglines`")
    if len(said) != count:
        raise _unusable(f"it has {len(said)} taglines instead of {count}")
    taglines = [_checked(tagline, number) for number, tagline in enumerate(said, start=1)]
    for number, tagline in enumerate(taglines, start=1):
        first = taglines.index(tagline) + 1
        if first != number:
            raise _unusable(f"tagline {number} repeats tagline {first}")
    return taglines


def _parse(answer: str) -> Any:
    try:
        answered = json.loads(answer, parse_constant=_refuse_constant)
        # Half of a surrogate pair can be written in JSON, but it is no character, and other languages refuse it.
        json_text(answered).encode()
        return answered
    except (ValueError, RecursionError):
        raise _unusable("it is not JSON") from None


def _refuse_constant(word: str) -> None:
    """Python takes `NaN` and `Infinity` for numbers; JSON has no such words."""
    raise ValueError(word)


def _checked(said: Any, number: int) -> str:
    if not isinstance(said, str):
        raise _unusable(f"tagline {number} is no text")
    # Only spaces go: what else counts as white space differs between languages.
    tagline = said.strip(" ")
    if tagline == "":
        raise _unusable(f"tagline {number} is empty")
    if re.search("[\x00-\x1f]", tagline):
        raise _unusable(f"tagline {number} has more than one line")
    if len(tagline) > TAGLINE_CHARACTERS_MAX:
        raise _unusable(
            f"tagline {number} has {len(tagline)} characters, with {TAGLINE_CHARACTERS_MAX} allowed"
        )
    return tagline


def _unusable(reason: str) -> Err:
    return stage.invalid_output("taglines_unusable", reason)


def output(taglines: list[str]) -> StageOutput:
    """What the stage leaves behind."""
    lines = [f"{number}. {tagline}\n" for number, tagline in enumerate(taglines, start=1)]
    body = f"# Taglines\n\n{''.join(lines)}"
    return StageOutput(
        artifacts=[Artifact("taglines.md", "text/markdown", body)],
        data=json_text({"taglines": taglines}),
        summary=f"{len(taglines)} taglines, the first: {taglines[0]}",
        variables=[Variable("tagline", json_text(taglines[0]))],
    )
