// What most stages need beside their own words: requests, failures, and asking once more when an answer cannot be used.
//
// A function that may fail gives false, with the contract's error in `error`.
#pragma once

#include "text.h"

// The context or the settings cannot be worked on. Always false.
bool bad_input(const char *code, const char *message, types_stage_error_t *error);

// The model's answer cannot be used. The message is what the model is told when it is asked again. Always false.
bool invalid_output(const char *code, string_t message, types_stage_error_t *error);

// A first question. How it is answered is left to the profile, then to the provider.
types_model_request_t question(const char *label, const char *system, string_t user);

// The same question, to be answered in JSON that follows a schema.
void answered_in(const char *schema_name, string_t schema, types_model_request_t *request);

// Reads an answer into what the stage makes of it.
typedef bool read_answer_t(string_t answer, void *result, types_stage_error_t *error);

// Asks, and when `read` ends in an `invalid_output`, continues the conversation with that answer and the reason, once.
bool ask_until_usable(types_model_request_t *request, read_answer_t *read, void *result,
                      types_stage_error_t *error);

// Keeps a line with the run.
void note(log_level_t level, const char *message, log_field_t *fields, size_t field_count);
