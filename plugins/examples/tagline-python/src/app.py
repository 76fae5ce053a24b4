"""Writes taglines: the glue between the contract and `taglines`."""

from wit_world import exports
from wit_world.imports import log
from wit_world.imports.types import ArtifactSpec, ModelRequest, StageContext, StageInfo, StageOutput

import taglines
from stage import ask_until_usable, checked, json_text


# The class has the name of the contract's interface.
@checked
class Plugin(exports.Plugin):
    def describe(self) -> StageInfo:
        return StageInfo(
            name="tagline-python",
            version="1.0.0",
            summary="Writes taglines for what the request describes.",
            needs=[],
            uses=[],
            makes=[ArtifactSpec("taglines.md", "text/markdown", "The taglines, as a numbered list.")],
            settings_schema=json_text(taglines.SETTINGS_SCHEMA),
        )

    def build_prompt(self, context: StageContext) -> ModelRequest:
        return taglines.question(context)

    def run(self, context: StageContext) -> StageOutput:
        count = taglines.count_of(context)
        request = taglines.question(context)
        written = ask_until_usable(request, lambda answer: taglines.read(answer, count))
        log.write(log.Level.INFO, "taglines are written", [log.Field("count", str(count))])
        return taglines.output(written)
