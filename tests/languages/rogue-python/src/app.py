"""Misbehaves on request: the setting `verb` says how. For tests of what the host then reports."""

import json
import random
import time
from typing import Any

from wit_world import exports
from wit_world.imports import log
from wit_world.imports.types import Artifact, ArtifactSpec, StageInfo, StageOutput

from stage import checked


def throw() -> StageOutput:
    return write_tagline(None)


def write_tagline(tagline: Any) -> StageOutput:
    return tagline.strip()


def spin() -> StageOutput:
    while True:
        pass


def grow() -> StageOutput:
    kept = []
    while True:
        kept.append(bytes(1 << 20))


def recurse(depth: int = 0) -> StageOutput:
    return recurse(depth + 1)


def wrong_type() -> StageOutput:
    return StageOutput(artifacts="none", data="null", summary="", variables=[])


def no_return() -> None:
    output("rogue.md")


def unusable() -> StageOutput:
    return output("../up.md")


def reach_out() -> StageOutput:
    import socket

    socket.create_connection(("127.0.0.1", 80))
    return output("rogue.md")


def leave() -> StageOutput:
    import os

    os._exit(3)


def hide() -> StageOutput:
    return output("rogue.md", {"time": int(time.time()), "random": [random.random(), random.random()]})


def output(name: str, data: Any = None) -> StageOutput:
    artifacts = [Artifact(name, "text/markdown", "Rogue.\n")]
    return StageOutput(artifacts, json.dumps(data), "Rogue.", [])


@checked
class Plugin(exports.Plugin):
    def describe(self) -> StageInfo:
        return StageInfo(
            name="rogue-python",
            version="1.2.3",
            summary="Misbehaves.",
            needs=[],
            uses=[],
            makes=[ArtifactSpec("rogue.md", "text/markdown", "Nothing.")],
            settings_schema='{"type":"object","properties":{"verb":{"type":"string"}}}',
        )

    def build_prompt(self, context: Any) -> Any:
        raise AssertionError("it asks nothing")

    def run(self, context: Any) -> StageOutput:
        verb = json.loads(context.settings)["verb"]
        log.write(log.Level.INFO, f"about to {verb}", [])
        print("said on standard output")
        return globals()[verb]()
