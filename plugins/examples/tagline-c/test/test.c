// What an answer has to be, tested without WebAssembly: `make test`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "taglines.h"

static int failed_count = 0;

#define CHECK(is_true) check((is_true), #is_true, __LINE__)

static void check(bool is_true, const char *words, int line) {
  if (is_true) return;
  failed_count++;
  printf("line %d: %s\n", line, words);
}

// The host is not here. What is tested calls neither of these.
bool llm_chat(types_model_request_t *request, types_completion_t *answer, types_llm_error_t *error) {
  (void)request, (void)answer, (void)error;
  abort();
}

void log_write(log_level_t level, contract_string_t *message, log_list_field_t *fields) {
  (void)level, (void)message, (void)fields;
  abort();
}

static bool is(string_t string, const char *words) {
  return is_equal(string, copied(words));
}

static bool is_json(const char *text) {
  json_t value;
  return json_parse(copied(text), &value);
}

static string_t nested(int depth) {
  text_t text = {0};
  for (int level = 0; level < depth; level++) add(&text, "[");
  for (int level = 0; level < depth; level++) add(&text, "]");
  return text.done;
}

static void json_is_taken_as_strictly_as_the_standard_has_it(void) {
  json_t value;
  CHECK(is_json(" {\"a\" : [1, -0.5e+3, true, false, null, \"\\u00e9\\ud83d\\udc1d\"], \"b\":{}}\n"));
  const char *refused[] = {
      "",      "{",       "[1,]",     "{\"a\":1,}", "{a:1}",       "{\"a\" 1}", "[1 2]",        "[]]",
      "01",    "1.",      "+1",       ".5",         "1e",          "NaN",       "nul",          "'a'",
      "\"a",   "\"\n\"", "\"\\x\"", "\"\\u12g4\"", "\"\\ud83d\"", "\"\\udc1d\"", "\"\\ud83d\\u0041\"",
  };
  for (size_t index = 0; index < sizeof refused / sizeof *refused; index++) {
    if (is_json(refused[index])) printf("taken: %s\n", refused[index]);
    CHECK(!is_json(refused[index]));
  }
  CHECK(json_parse(nested(127), &value));
  CHECK(!json_parse(nested(128), &value));
}

static void strings_are_read_and_written(void) {
  json_t value;
  string_t read;
  CHECK(json_parse(copied("\"\\\"\\\\\\/\\b\\f\\n\\r\\t \\u0041\\u00e9\\u2028\\ud83d\\udc1d\""), &value));
  CHECK(json_string(value, &read));
  CHECK(is(read, "\"\\/\b\f\n\r\t Aé\u2028🐝"));
  text_t written = {0};
  add_json(&written, read);
  CHECK(is(written.done, "\"\\\"\\\\/\\b\\f\\n\\r\\t Aé\u2028🐝\""));
  text_t control = {0};
  add_json(&control, copied("\x01\x1f"));
  CHECK(is(control.done, "\"\\u0001\\u001f\""));
}

static void of_members_with_one_name_the_last_counts(void) {
  json_t object, member;
  size_t count;
  CHECK(json_parse(copied("{\"a\": 1, \"b\": {\"a\": 2}, \"\\u0061\": 34}"), &object));
  CHECK(json_member(object, "a", &member) && json_count(member, &count) && count == 34);
  CHECK(!json_member(object, "c", &member));
}

// Why two taglines cannot be read from an answer.
static string_t refusal(const char *answer) {
  taglines_t taglines = {.count = 2};
  types_stage_error_t error;
  if (read_taglines(copied(answer), &taglines, &error)) return copied("it is read");
  return error.val.invalid_output.message;
}

static void an_answer_that_cannot_be_used_says_why(void) {
  CHECK(is(refusal("Here they are: ..."), "it is not JSON"));
  CHECK(is(refusal("[]"), "it has no list `taglines`"));
  CHECK(is(refusal("{\"taglines\":[\"One.\"]}"), "it has 1 taglines instead of 2"));
  CHECK(is(refusal("{\"taglines\":[\"One.\",2]}"), "tagline 2 is no text"));
  CHECK(is(refusal("{\"taglines\":[\"One.\",\"  \"]}"), "tagline 2 is empty"));
  CHECK(is(refusal("{\"taglines\":[\"One.\",\"Two\\nlines.\"]}"), "tagline 2 has more than one line"));
  CHECK(is(refusal("{\"taglines\":[\"One.\",\" One.\"]}"), "tagline 2 repeats tagline 1"));
}

static void characters_are_counted_and_not_bytes(void) {
  text_t answer = {0};
  add(&answer, "{\"taglines\":[\"");
  for (int count = 0; count < 80; count++) add(&answer, "🐝");
  add(&answer, "\",\"b\"]}");
  add_string(&answer, (string_t){(uint8_t[]){0}, 1});
  CHECK(is(refusal((char *)answer.done.ptr), "it is read"));
}

int main(void) {
  json_is_taken_as_strictly_as_the_standard_has_it();
  strings_are_read_and_written();
  of_members_with_one_name_the_last_counts();
  an_answer_that_cannot_be_used_says_why();
  characters_are_counted_and_not_bytes();
  if (failed_count == 0) puts("all in order");
  return failed_count == 0 ? 0 : 1;
}
