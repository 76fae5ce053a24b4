#include "stage.h"

#include <string.h>

bool bad_input(const char *code, const char *message, types_stage_error_t *error) {
  error->tag = TYPES_STAGE_ERROR_BAD_INPUT;
  error->val.bad_input = (types_failure_t){copied(code), copied(message)};
  return false;
}

bool invalid_output(const char *code, string_t message, types_stage_error_t *error) {
  error->tag = TYPES_STAGE_ERROR_INVALID_OUTPUT;
  error->val.invalid_output = (types_failure_t){copied(code), message};
  return false;
}

types_model_request_t question(const char *label, const char *system, string_t user) {
  types_message_t *messages = allocated(2, sizeof *messages);
  messages[0] = (types_message_t){TYPES_ROLE_SYSTEM, copied(system)};
  messages[1] = (types_message_t){TYPES_ROLE_USER, user};
  // Zero is `none` for every option, and `text` for the format of the answer.
  return (types_model_request_t){
      .messages = {messages, 2},
      .label = {true, copied(label)},
  };
}

void answered_in(const char *schema_name, string_t schema, types_model_request_t *request) {
  types_response_format_t *format = &request->options.response_format;
  format->tag = TYPES_RESPONSE_FORMAT_JSON_SCHEMA;
  format->val.json_schema = (types_json_schema_t){copied(schema_name), schema};
}

void note(log_level_t level, const char *message, log_field_t *fields, size_t field_count) {
  string_t text = copied(message);
  log_list_field_t list = {fields, field_count};
  log_write(level, &text, &list);
}

// What the host says of a failed call is passed on as it is, so that the host knows whether to try again.
static bool ask(types_model_request_t *request, types_completion_t *answer, types_stage_error_t *error) {
  error->tag = TYPES_STAGE_ERROR_LLM;
  return llm_chat(request, answer, &error->val.llm);
}

static bool read_whole(const types_completion_t *answer, read_answer_t *read, void *result,
                       types_stage_error_t *error) {
  if (answer->finish_reason.tag == TYPES_FINISH_REASON_LENGTH) {
    return invalid_output("answer_cut",
                          copied("the answer was cut because it reached the bound of tokens; "
                                 "write it shorter, so that it ends by itself"),
                          error);
  }
  if (answer->finish_reason.tag == TYPES_FINISH_REASON_CONTENT_FILTER) {
    return invalid_output("answer_filtered",
                          copied("the provider's content policy ended the answer; leave out what it objects to"),
                          error);
  }
  if (is_blank(answer->content)) {
    return invalid_output("answer_empty", copied("the answer has no text"), error);
  }
  return read(answer->content, result, error);
}

static string_t complaint(string_t reason) {
  while (reason.len > 0 && reason.ptr[reason.len - 1] == '.') reason.len--;
  text_t text = {0};
  add(&text, "That answer cannot be used: ");
  add_string(&text, reason);
  add(&text, ".\nGive the whole answer again, complete and corrected, in the form that was asked for. "
             "Write nothing before it and nothing after it.");
  return text.done;
}

static types_model_request_t second_question(const types_model_request_t *request, string_t answer,
                                             string_t reason) {
  size_t count = request->messages.len;
  types_message_t *messages = allocated(count + 2, sizeof *messages);
  memcpy(messages, request->messages.ptr, count * sizeof *messages);
  if (!is_blank(answer)) messages[count++] = (types_message_t){TYPES_ROLE_ASSISTANT, answer};
  messages[count++] = (types_message_t){TYPES_ROLE_USER, complaint(reason)};
  types_model_request_t second = *request;
  second.messages = (types_list_message_t){messages, count};
  second.label.val = copied("second try");
  // The same seed could give the same answer.
  second.options.seed.is_some = false;
  return second;
}

bool ask_until_usable(types_model_request_t *request, read_answer_t *read, void *result,
                      types_stage_error_t *error) {
  types_completion_t answer;
  if (!ask(request, &answer, error)) return false;
  if (read_whole(&answer, read, result, error)) return true;
  if (error->tag != TYPES_STAGE_ERROR_INVALID_OUTPUT) return false;
  types_failure_t reason = error->val.invalid_output;
  log_field_t fields[] = {{copied("code"), reason.code}, {copied("reason"), reason.message}};
  note(LOG_LEVEL_WARN, "the answer cannot be used; asking once more", fields, 2);
  types_model_request_t second = second_question(request, answer.content, reason.message);
  return ask(&second, &answer, error) && read_whole(&answer, read, result, error);
}
