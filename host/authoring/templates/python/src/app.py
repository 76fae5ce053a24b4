"""The plugin: the glue between the contract (`wit/stage.wit`) and `brief`."""

from wit_world import exports
from wit_world.imports.types import ArtifactSpec, ModelRequest, StageContext, StageInfo, StageOutput

import brief
from stage import ask_until_usable, checked, json_text


# The class has the name of the contract's interface.
@checked
class Plugin(exports.Plugin):
    def describe(self) -> StageInfo:
        """Who the plugin is, and what it needs and makes. The same on every call."""
        return StageInfo(
            name="{{name}}",
            version="0.1.0",
            summary="Turns a request into a short brief.",
            needs=[],
            uses=[],
            makes=[
                ArtifactSpec(brief.BRIEF, "text/markdown", "Goal, audience and the points that matter.")
            ],
            settings_schema=json_text(brief.SETTINGS_SCHEMA),
        )

    def build_prompt(self, context: StageContext) -> ModelRequest:
        """The first question for this context. The host shows it before anything is paid."""
        return brief.first_question(context)

    def run(self, context: StageContext) -> StageOutput:
        """Does the stage's work."""
        request = brief.first_question(context)
        written = ask_until_usable(request, lambda answer: brief.read(context, answer))
        return brief.output(written)
