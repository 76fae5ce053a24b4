// Writes taglines: the glue between the contract and `taglines`, which says what is asked and what an answer has to be.
#include "taglines.h"

void exports_plugin_describe(types_stage_info_t *info) {
  types_artifact_spec_t *made = allocated(1, sizeof *made);
  *made = (types_artifact_spec_t){
      .name = copied("taglines.md"),
      .media_type = copied("text/markdown"),
      .summary = copied("The taglines, as a numbered list."),
  };
  *info = (types_stage_info_t){
      .name = copied("tagline-c"),
      .version = copied("1.0.0"),
      .summary = copied("Writes taglines for what the request describes."),
      .makes = {made, 1},
      .settings_schema = copied("{\"additionalProperties\":false,\"properties\":{\"count\":{\"default\":5,"
                                "\"description\":\"How many taglines to write.\",\"maximum\":10,\"minimum\":1,"
                                "\"type\":\"integer\"}},\"type\":\"object\"}"),
  };
}

bool exports_plugin_build_prompt(types_stage_context_t *context, types_model_request_t *request,
                                 types_stage_error_t *error) {
  return first_question(context, request, error);
}

bool exports_plugin_run(types_stage_context_t *context, types_stage_output_t *output, types_stage_error_t *error) {
  types_model_request_t request;
  if (!first_question(context, &request, error)) return false;
  taglines_t taglines = {.count = count_of(context)};
  if (!ask_until_usable(&request, read_taglines, &taglines, error)) return false;
  text_t count = {0};
  add(&count, "%zu", taglines.count);
  log_field_t field = {copied("count"), count.done};
  note(LOG_LEVEL_INFO, "taglines are written", &field, 1);
  *output = output_of(&taglines);
  return true;
}
