// As much JSON as a stage needs: reading what a model wrote, and writing strings.
//
// A text is checked once, as a whole and as strictly as RFC 8259 has it; after that, values are places in it.
#pragma once

#include "text.h"

typedef struct {
  const uint8_t *at;
  const uint8_t *end;
} json_t;

// The value of a whole text. False if that is not JSON, or nested more than 127 levels deep.
bool json_parse(string_t text, json_t *value);

// The member with a name; the last, if there are several. False if it has none or is no object.
bool json_member(json_t value, const char *name, json_t *member);

// The items of an array, for `json_next`. False if it is none.
bool json_items(json_t value, json_t *items);

// Takes the next item. False if there is no more.
bool json_next(json_t *items, json_t *item);

// The characters of a string. False if it is none.
bool json_string(json_t value, string_t *string);

// A number without sign and fraction. False if it is none.
bool json_count(json_t value, size_t *count);

// Writes a string with its quotes.
void add_json(text_t *text, string_t string);
