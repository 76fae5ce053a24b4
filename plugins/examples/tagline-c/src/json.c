#include "json.h"

#include <string.h>

// As deep as the contract allows; each level is a call of a function.
enum { DEPTH_MAX = 127 };

static bool skip_value(json_t *json, int depth);

static int next_byte(const json_t *json) {
  return json->at < json->end ? *json->at : -1;
}

static bool take(json_t *json, char byte) {
  if (next_byte(json) != byte) return false;
  json->at++;
  return true;
}

static bool take_word(json_t *json, const char *word) {
  for (; *word != '\0'; word++) {
    if (!take(json, *word)) return false;
  }
  return true;
}

static void skip_space(json_t *json) {
  while (take(json, ' ') || take(json, '\t') || take(json, '\n') || take(json, '\r')) continue;
}

static bool take_digits(json_t *json) {
  const uint8_t *first = json->at;
  while (next_byte(json) >= '0' && next_byte(json) <= '9') json->at++;
  return json->at > first;
}

static bool skip_number(json_t *json) {
  take(json, '-');
  if (!take(json, '0') && !take_digits(json)) return false;
  if (take(json, '.') && !take_digits(json)) return false;
  if (!take(json, 'e') && !take(json, 'E')) return true;
  if (!take(json, '+')) take(json, '-');
  return take_digits(json);
}

static bool take_hex(json_t *json, uint32_t *unit) {
  *unit = 0;
  for (int digit = 0; digit < 4; digit++) {
    static const char digits[] = "0123456789abcdef";
    int byte = next_byte(json);
    if (byte >= 'A' && byte <= 'F') byte += 'a' - 'A';
    const char *found = byte > 0 ? strchr(digits, byte) : NULL;
    if (found == NULL) return false;
    *unit = *unit * 16 + (uint32_t)(found - digits);
    json->at++;
  }
  return true;
}

static void add_character(text_t *text, uint32_t point) {
  uint8_t bytes[4];
  string_t character = {bytes, 0};
  if (point < 0x80) {
    bytes[character.len++] = (uint8_t)point;
  } else {
    // The first byte says how many follow; each of those holds six bits.
    int following = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    bytes[character.len++] = (uint8_t)((0xff00 >> (following + 1)) | (point >> (6 * following)));
    while (following-- > 0) {
      bytes[character.len++] = (uint8_t)(0x80 | ((point >> (6 * following)) & 0x3f));
    }
  }
  add_string(text, character);
}

// What stands after a backslash.
static bool take_escape(json_t *json, text_t *text) {
  static const char written[] = "\"\\/bfnrt";
  static const char meant[] = "\"\\/\b\f\n\r\t";
  uint32_t point;
  if (take(json, 'u')) {
    if (!take_hex(json, &point)) return false;
    if (point >= 0xd800 && point < 0xe000) {
      // Half of a pair is no character.
      uint32_t low;
      if (point >= 0xdc00 || !take_word(json, "\\u") || !take_hex(json, &low)) return false;
      if (low < 0xdc00 || low >= 0xe000) return false;
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
  } else {
    int byte = next_byte(json);
    const char *found = byte > 0 ? strchr(written, byte) : NULL;
    if (found == NULL) return false;
    point = (uint8_t)meant[found - written];
    json->at++;
  }
  add_character(text, point);
  return true;
}

static bool take_string(json_t *json, text_t *text) {
  if (!take(json, '"')) return false;
  while (!take(json, '"')) {
    if (take(json, '\\')) {
      if (!take_escape(json, text)) return false;
      continue;
    }
    uint8_t *first = (uint8_t *)json->at;
    while (next_byte(json) >= ' ' && *json->at != '"' && *json->at != '\\') json->at++;
    if (json->at == first) return false; // A control character, or the end.
    add_string(text, (string_t){first, (size_t)(json->at - first)});
  }
  return true;
}

// The name of a member, up to its value.
static bool take_name(json_t *json, text_t *name) {
  skip_space(json);
  if (!take_string(json, name)) return false;
  skip_space(json);
  return take(json, ':');
}

// An array or an object, from behind its opening bracket.
static bool skip_rest(json_t *json, char closing, int depth) {
  if (depth == DEPTH_MAX) return false;
  skip_space(json);
  if (take(json, closing)) return true;
  do {
    text_t unused = {0};
    if (closing == '}' && !take_name(json, &unused)) return false;
    if (!skip_value(json, depth + 1)) return false;
  } while (take(json, ','));
  return take(json, closing);
}

// One value, with the white space around it.
static bool skip_value(json_t *json, int depth) {
  bool is_skipped;
  text_t unused = {0};
  skip_space(json);
  if (take(json, '{')) {
    is_skipped = skip_rest(json, '}', depth);
  } else if (take(json, '[')) {
    is_skipped = skip_rest(json, ']', depth);
  } else {
    switch (next_byte(json)) {
      case '"': is_skipped = take_string(json, &unused); break;
      case 't': is_skipped = take_word(json, "true"); break;
      case 'f': is_skipped = take_word(json, "false"); break;
      case 'n': is_skipped = take_word(json, "null"); break;
      default: is_skipped = skip_number(json);
    }
  }
  skip_space(json);
  return is_skipped;
}

bool json_parse(string_t text, json_t *value) {
  *value = (json_t){text.ptr, text.ptr + text.len};
  json_t rest = *value;
  return skip_value(&rest, 0) && rest.at == rest.end;
}

bool json_member(json_t value, const char *name, json_t *member) {
  bool is_found = false;
  skip_space(&value);
  if (!take(&value, '{')) return false;
  for (skip_space(&value); !take(&value, '}'); take(&value, ',')) {
    text_t said = {0};
    if (!take_name(&value, &said)) return false;
    json_t start = value;
    if (!skip_value(&value, 0)) return false;
    if (is_equal(said.done, (string_t){(uint8_t *)name, strlen(name)})) {
      *member = (json_t){start.at, value.at};
      is_found = true;
    }
  }
  return is_found;
}

bool json_items(json_t value, json_t *items) {
  skip_space(&value);
  *items = value;
  return take(items, '[');
}

bool json_next(json_t *items, json_t *item) {
  take(items, ',');
  skip_space(items);
  if (next_byte(items) == ']') return false;
  item->at = items->at;
  bool is_there = skip_value(items, 0);
  item->end = items->at;
  return is_there;
}

bool json_string(json_t value, string_t *string) {
  text_t text = {0};
  skip_space(&value);
  bool is_string = take_string(&value, &text);
  *string = text.done;
  return is_string;
}

bool json_count(json_t value, size_t *count) {
  skip_space(&value);
  const uint8_t *digit = value.at;
  if (!take_digits(&value)) return false;
  for (*count = 0; digit < value.at; digit++) *count = *count * 10 + (*digit - '0');
  return true;
}

void add_json(text_t *text, string_t string) {
  static const char named[] = "\b\t\n\f\r\"\\";
  static const char names[] = "btnfr\"\\";
  add(text, "\"");
  for (size_t index = 0; index < string.len; index++) {
    uint8_t byte = string.ptr[index];
    const char *found = byte != 0 ? strchr(named, byte) : NULL;
    if (found != NULL) {
      add(text, "\\%c", names[found - named]);
    } else if (byte < ' ') {
      add(text, "\\u%04x", byte);
    } else {
      add_string(text, (string_t){&byte, 1});
    }
  }
  add(text, "\"");
}
