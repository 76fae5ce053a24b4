"""What most stages need beside their own words: requests, failures, and asking once more when an answer cannot be used.

A result of the contract is a value that is returned or an `Err` of the contract that is raised. Whatever else is raised
is a fault of the plugin, and the host shows it with its traceback.
"""

import json
from collections.abc import Callable
from dataclasses import is_dataclass, replace
from functools import wraps
from typing import Any, Union, get_args, get_origin, get_type_hints

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import llm, log
from wit_world.imports.types import (
    Completion,
    Failure,
    FinishReason_ContentFilter,
    FinishReason_Length,
    JsonSchema,
    Message,
    ModelOptions,
    ModelRequest,
    ResponseFormat_JsonSchema,
    ResponseFormat_Text,
    Role,
    StageError_BadInput,
    StageError_InvalidOutput,
    StageError_Llm,
)


def checked[P](plugin: type[P]) -> type[P]:
    """The plugin, as it is to be exported: what its functions return is compared with the contract, since the runtime
    says that something is wrong and not where."""
    for name in ("describe", "build_prompt", "run"):
        setattr(plugin, name, _checked(name, getattr(plugin, name)))
    return plugin


def _checked(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    kind = get_type_hints(getattr(exports.Plugin, name))["return"]

    @wraps(work)
    def told(*given: Any) -> Any:
        result = work(*given)
        if problem := _problem(result, kind, f"what `{name}` returns"):
            raise TypeError(problem)
        return result

    return told


def _problem(value: Any, kind: Any, place: str) -> str | None:
    """The first thing in a value that is not of its kind."""
    found = f"{place} is {type(value).__name__}, and has to be "
    if get_origin(kind) is list:
        if not isinstance(value, list):
            return found + "a list"
        members = [(item, get_args(kind)[0], f"item {index} of {place}") for index, item in enumerate(value)]
    elif get_origin(kind) is Union:
        if all(_problem(value, one, place) for one in get_args(kind)):
            return found + " or ".join(one.__name__ for one in get_args(kind))
        members = []
    elif not isinstance(value, (int, float) if kind is float else kind):
        return found + kind.__name__
    elif is_dataclass(kind):
        hints = get_type_hints(kind).items()
        members = [(getattr(value, name), one, f"`{name}` of {place}") for name, one in hints]
    else:
        members = []
    problems = (_problem(*member) for member in members)
    return next((problem for problem in problems if problem), None)


def bad_input(code: str, message: str) -> Err:
    """The context or the settings cannot be worked on."""
    return Err(StageError_BadInput(Failure(code, message)))


def invalid_output(code: str, message: str) -> Err:
    """The model's answer cannot be used. The message is what the model is told when it is asked again."""
    return Err(StageError_InvalidOutput(Failure(code, message)))


def json_text(value: Any) -> str:
    """JSON as the other languages write it: without needless spaces and escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def question(label: str, system: str, user: str) -> ModelRequest:
    """A first question. How it is answered is left to the profile, then to the provider."""
    return ModelRequest(
        messages=[Message(Role.SYSTEM, system), Message(Role.USER, user)],
        options=ModelOptions(
            max_tokens=None,
            temperature=None,
            top_p=None,
            stop=[],
            seed=None,
            response_format=ResponseFormat_Text(),
        ),
        label=label,
    )


def answered_in(schema_name: str, schema: Any, request: ModelRequest) -> ModelRequest:
    """The same question, to be answered in JSON that follows a schema."""
    form = ResponseFormat_JsonSchema(JsonSchema(schema_name, json_text(schema)))
    return replace(request, options=replace(request.options, response_format=form))


def ask_until_usable[T](request: ModelRequest, read: Callable[[str], T]) -> T:
    """Asks, and when `read` raises an `invalid_output` of the answer, continues the conversation with that answer and
    the reason, once."""
    answer = _ask(request)
    try:
        return read(_whole_text(answer))
    except Err as error:
        if not isinstance(error.value, StageError_InvalidOutput):
            raise
        reason = error.value.value
    fields = [log.Field("code", reason.code), log.Field("reason", reason.message)]
    log.write(log.Level.WARN, "the answer cannot be used; asking once more", fields)
    return read(_whole_text(_ask(_second_question(request, answer, reason))))


def _ask(request: ModelRequest) -> Completion:
    """What the host says of a failed call is passed on as it is, so that the host knows whether to try again."""
    try:
        return llm.chat(request)
    except Err as error:
        raise Err(StageError_Llm(error.value)) from None


def _whole_text(answer: Completion) -> str:
    match answer.finish_reason:
        case FinishReason_Length():
            raise invalid_output(
                "answer_cut",
                "the answer was cut because it reached the bound of tokens; "
                "write it shorter, so that it ends by itself",
            )
        case FinishReason_ContentFilter():
            raise invalid_output(
                "answer_filtered",
                "the provider's content policy ended the answer; leave out what it objects to",
            )
    if answer.content.strip() == "":
        raise invalid_output("answer_empty", "the answer has no text")
    return answer.content


def _second_question(request: ModelRequest, answer: Completion, reason: Failure) -> ModelRequest:
    messages = list(request.messages)
    if answer.content.strip() != "":
        messages.append(Message(Role.ASSISTANT, answer.content))
    complaint = (
        f"That answer cannot be used: {reason.message.rstrip('.')}.\n"
        "Give the whole answer again, complete and corrected, in the form that was asked for. "
        "Write nothing before it and nothing after it."
    )
    messages.append(Message(Role.USER, complaint))
    # The same seed could give the same answer.
    return ModelRequest(messages, replace(request.options, seed=None), "second try")
