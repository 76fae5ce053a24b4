// Text that is put together piece by piece.
//
// The host gives every call an instance of its own, whose memory ends with it: nothing here is ever freed.
// What is returned to the host is freed by the bindings, so it must have been allocated, every piece by itself.
#pragma once

#include <stdarg.h>

#include "contract.h"

// UTF-8 with its length, and no NUL at its end.
typedef contract_string_t string_t;

typedef struct {
  string_t done;
  size_t room;
} text_t;

// Memory for `count` things of `size` bytes. Ends the call where there is none.
void *allocated(size_t count, size_t size);

// A copy that can be returned to the host.
string_t copied(const char *words);

// Adds what `printf` would print.
__attribute__((format(printf, 2, 3))) void add(text_t *text, const char *format, ...);
__attribute__((format(printf, 2, 0))) void add_values(text_t *text, const char *format, va_list values);
void add_string(text_t *text, string_t string);

bool is_equal(string_t one, string_t other);

// Whether there is nothing but white space.
bool is_blank(string_t string);
