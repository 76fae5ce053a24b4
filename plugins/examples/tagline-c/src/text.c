#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *allocated(size_t count, size_t size) {
  // At least one byte: for none, `calloc` may give a null pointer.
  void *memory = calloc(count > 0 ? count : 1, size);
  if (memory == NULL) abort();
  return memory;
}

string_t copied(const char *words) {
  text_t text = {0};
  add(&text, "%s", words);
  return text.done;
}

// Where the next bytes go.
static uint8_t *room_for(text_t *text, size_t len) {
  if (len > text->room - text->done.len) {
    text->room = 2 * text->room + len;
    text->done.ptr = realloc(text->done.ptr, text->room);
    if (text->done.ptr == NULL) abort();
  }
  return text->done.ptr + text->done.len;
}

void add_values(text_t *text, const char *format, va_list values) {
  va_list again;
  va_copy(again, values);
  size_t len = (size_t)vsnprintf(NULL, 0, format, again);
  va_end(again);
  // It ends what it writes with a NUL, which the next bytes overwrite.
  vsnprintf((char *)room_for(text, len + 1), len + 1, format, values);
  text->done.len += len;
}

void add(text_t *text, const char *format, ...) {
  va_list values;
  va_start(values, format);
  add_values(text, format, values);
  va_end(values);
}

void add_string(text_t *text, string_t string) {
  if (string.len == 0) return;
  memcpy(room_for(text, string.len), string.ptr, string.len);
  text->done.len += string.len;
}

bool is_equal(string_t one, string_t other) {
  return one.len == other.len && (one.len == 0 || memcmp(one.ptr, other.ptr, one.len) == 0);
}

bool is_blank(string_t string) {
  for (size_t index = 0; index < string.len; index++) {
    uint8_t byte = string.ptr[index];
    if (byte != ' ' && (byte < '\t' || byte > '\r')) return false;
  }
  return true;
}
