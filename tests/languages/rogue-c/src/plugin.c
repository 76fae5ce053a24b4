// Misbehaves on request: the setting `verb` says how. For tests of what the host then reports.
#include <string.h>

#include "json.h"
#include "stage.h"

// Otherwise the frames of small functions would be those of their caller.
#define FRAME __attribute__((noinline))

static FRAME size_t share_of(size_t characters, size_t artifacts) {
  return characters / artifacts;
}

static FRAME size_t divide(const types_stage_context_t *context) {
  return share_of(280, context->artifacts.len);
}

static FRAME size_t deeper(volatile const uint8_t *above) {
  if (above[0] == '\0') return 0; // It never is; the compiler refuses what it knows to be endless.
  volatile uint8_t kept[1024];
  kept[0] = above[0];
  return deeper(kept) + kept[0];
}

static FRAME size_t grow(void) {
  for (;;) memset(allocated(1, 1 << 20), 1, 1 << 20);
}

void exports_plugin_describe(types_stage_info_t *info) {
  *info = (types_stage_info_t){
      .name = copied("rogue-c"),
      .version = copied("1.2.3"),
      .summary = copied("Misbehaves on request."),
      .settings_schema = copied("{\"type\":\"object\",\"properties\":{\"verb\":{\"type\":\"string\"}}}"),
  };
}

bool exports_plugin_build_prompt(types_stage_context_t *context, types_model_request_t *request,
                                 types_stage_error_t *error) {
  (void)error;
  *request = question("rogue", "You are never asked.", context->request_text);
  return true;
}

bool exports_plugin_run(types_stage_context_t *context, types_stage_output_t *output, types_stage_error_t *error) {
  json_t settings, said;
  string_t verb;
  if (!json_parse(context->settings, &settings) || !json_member(settings, "verb", &said) ||
      !json_string(said, &verb)) {
    return bad_input("verb_missing", "the settings have no verb", error);
  }
  text_t about = {0};
  add(&about, "about to %.*s", (int)verb.len, (char *)verb.ptr);
  note(LOG_LEVEL_INFO, (char *)about.done.ptr, NULL, 0);
  size_t made = 0;
  if (is_equal(verb, copied("divide"))) made = divide(context);
  if (is_equal(verb, copied("recurse"))) made = deeper(verb.ptr);
  if (is_equal(verb, copied("grow"))) made = grow();
  text_t summary = {0};
  add(&summary, "%zu", made);
  *output = (types_stage_output_t){.data = copied("null"), .summary = summary.done};
  return true;
}
