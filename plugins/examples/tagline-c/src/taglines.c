#include "taglines.h"

#include "json.h"

enum {
  COUNT_DEFAULT = 5,
  // Longest tagline, in characters. A longer one does not fit on a poster.
  TAGLINE_CHARACTERS_MAX = 80,
};

size_t count_of(const types_stage_context_t *context) {
  // The host has compared the settings with the schema.
  json_t settings, said;
  size_t count = COUNT_DEFAULT;
  if (json_parse(context->settings, &settings) && json_member(settings, "count", &said)) json_count(said, &count);
  return count;
}

// The keys stand in the order of the alphabet, as the other languages write them: a question is the same text in all.
static string_t answer_schema(size_t count) {
  text_t text = {0};
  add(&text,
      "{\"additionalProperties\":false,\"properties\":{\"taglines\":{"
      "\"items\":{\"maxLength\":%d,\"minLength\":1,\"type\":\"string\"},"
      "\"maxItems\":%zu,\"minItems\":%zu,\"type\":\"array\"}},"
      "\"required\":[\"taglines\"],\"type\":\"object\"}",
      TAGLINE_CHARACTERS_MAX, count, count);
  return text.done;
}

bool first_question(const types_stage_context_t *context, types_model_request_t *request,
                    types_stage_error_t *error) {
  if (is_blank(context->request_text)) {
    return bad_input("request_empty", "the request has no text: say what the taglines are for", error);
  }
  size_t count = count_of(context);
  text_t user = {0};
  add(&user, "Write %zu taglines for:\n\n", count);
  add_string(&user, context->request_text);
  if (context->revision.is_some) {
    add(&user, "\n\nA reviewer said about the last ones:\n\n");
    add_string(&user, context->revision.val.feedback);
  }
  const char *system = "You write taglines: short, concrete, each different from the others. Answer in JSON.";
  *request = question("taglines", system, user.done);
  answered_in("taglines", answer_schema(count), request);
  return true;
}

// Always false. The reason is written as `printf` would.
__attribute__((format(printf, 2, 3)))
static bool unusable(types_stage_error_t *error, const char *format, ...) {
  text_t reason = {0};
  va_list values;
  va_start(values, format);
  add_values(&reason, format, values);
  va_end(values);
  return invalid_output("taglines_unusable", reason.done, error);
}

static string_t without_spaces_around(string_t text) {
  for (; text.len > 0 && text.ptr[0] == ' '; text.ptr++) text.len--;
  while (text.len > 0 && text.ptr[text.len - 1] == ' ') text.len--;
  return text;
}

static bool check_tagline(json_t said, size_t number, string_t *tagline, types_stage_error_t *error) {
  string_t string;
  if (!json_string(said, &string)) return unusable(error, "tagline %zu is no text", number);
  // Only spaces go: what else counts as white space differs between languages.
  *tagline = without_spaces_around(string);
  if (tagline->len == 0) return unusable(error, "tagline %zu is empty", number);
  size_t length = 0;
  for (size_t index = 0; index < tagline->len; index++) {
    uint8_t byte = tagline->ptr[index];
    if (byte < ' ') return unusable(error, "tagline %zu has more than one line", number);
    // The first byte of a character does not begin with the bits 10.
    if ((byte & 0xc0) != 0x80) length++;
  }
  if (length <= TAGLINE_CHARACTERS_MAX) return true;
  return unusable(error, "tagline %zu has %zu characters, with %d allowed", number, length, TAGLINE_CHARACTERS_MAX);
}

bool read_taglines(string_t answer, void *result, types_stage_error_t *error) {
  taglines_t *taglines = result;
  json_t answered, list, items, item;
  if (!json_parse(answer, &answered)) return unusable(error, "it is not JSON");
  if (!json_member(answered, "taglines", &list) || !json_items(list, &items)) {
    return unusable(error, "it has no list `taglines`");
  }
  size_t found = 0;
  for (json_t rest = items; json_next(&rest, &item);) found++;
  if (found != taglines->count) {
    return unusable(error, "it has %zu taglines instead of %zu", found, taglines->count);
  }
  string_t *lines = taglines->lines = allocated(found, sizeof *lines);
  for (size_t index = 0; json_next(&items, &item); index++) {
    if (!check_tagline(item, index + 1, &lines[index], error)) return false;
  }
  for (size_t index = 0; index < found; index++) {
    for (size_t first = 0; first < index; first++) {
      if (!is_equal(lines[first], lines[index])) continue;
      return unusable(error, "tagline %zu repeats tagline %zu", index + 1, first + 1);
    }
  }
  return true;
}

static string_t markdown(const taglines_t *taglines) {
  text_t text = {0};
  add(&text, "# Taglines\n\n");
  for (size_t index = 0; index < taglines->count; index++) {
    add(&text, "%zu. ", index + 1);
    add_string(&text, taglines->lines[index]);
    add(&text, "\n");
  }
  return text.done;
}

static string_t data(const taglines_t *taglines) {
  text_t text = {0};
  add(&text, "{\"taglines\":[");
  for (size_t index = 0; index < taglines->count; index++) {
    if (index > 0) add(&text, ",");
    add_json(&text, taglines->lines[index]);
  }
  add(&text, "]}");
  return text.done;
}

types_stage_output_t output_of(const taglines_t *taglines) {
  text_t summary = {0}, first = {0};
  add(&summary, "%zu taglines, the first: ", taglines->count);
  add_string(&summary, taglines->lines[0]);
  add_json(&first, taglines->lines[0]);

  types_artifact_t *artifact = allocated(1, sizeof *artifact);
  *artifact = (types_artifact_t){copied("taglines.md"), copied("text/markdown"), markdown(taglines)};
  types_variable_t *variable = allocated(1, sizeof *variable);
  *variable = (types_variable_t){copied("tagline"), first.done};
  return (types_stage_output_t){
      .artifacts = {artifact, 1},
      .data = data(taglines),
      .summary = summary.done,
      .variables = {variable, 1},
  };
}
