// What is asked, and what an answer has to be. Nothing here calls the host.
#pragma once

#include "stage.h"

typedef struct {
  string_t *lines;
  size_t count;
} taglines_t;

// How many taglines the settings ask for.
size_t count_of(const types_stage_context_t *context);

// The first question.
bool first_question(const types_stage_context_t *context, types_model_request_t *request,
                    types_stage_error_t *error);

// The taglines in an answer: a `read_answer_t` for `taglines_t`, in which `count` says how many there have to be.
bool read_taglines(string_t answer, void *taglines, types_stage_error_t *error);

// What the stage leaves behind.
types_stage_output_t output_of(const taglines_t *taglines);
