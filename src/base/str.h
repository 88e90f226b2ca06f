/*
 * struct str: borrowed bytes with a length, passed by value. It owns nothing, may hold
 * any byte, and need not end in NUL. Who hands out a str says how long it stays valid.
 * Text from strangers travels as str; a C string is made only by str_to_cstr, which
 * refuses embedded NULs.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attributes.h"

struct str {
	const char *p;
	size_t len;
};

/* A constant: STR("text"). */
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_EMPTY    ((struct str){"", 0})

/* For printf: printf("%.*s", STR_ARG(s)). Lengths over INT_MAX are cut. */
#define STR_ARG(s) str_print_length(s), (s).p
int str_print_length(struct str s);

/* NULL gives the empty str. */
struct str str_of(const char *cstring);
struct str str_slice(struct str s, size_t from, size_t to); /* clamped to s */
struct str str_skip(struct str s, size_t count);            /* clamped to s */
struct str str_trim(struct str s); /* without ASCII blanks at both ends */

bool str_equal(struct str a, struct str b);
bool str_equal_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_is(struct str s, const char *cstring);
bool str_is_nocase(struct str s, const char *cstring);
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_ends_nocase(struct str s, struct str suffix);
int str_compare(struct str a, struct str b);        /* bytewise, for sorting */
int str_compare_nocase(struct str a, struct str b); /* ASCII case does not count */

/* Index of the first / last byte `c`, or -1. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_find_last(struct str s, char c);
ptrdiff_t str_find_str(struct str s, struct str needle);
/* Index of the first byte that is one of `set`, or -1. */
ptrdiff_t str_find_any(struct str s, const char *set);

/*
 * Takes the next word off the front of *rest: skips bytes of `separators`, then gives
 * the bytes up to the next separator. False at the end, *word_r untouched.
 */
bool str_next(struct str *rest, const char *separators, struct str *word_r);
/* The same, but bytes between { and its matching } belong to one word, braces kept. */
bool str_next_braced(struct str *rest, const char *separators, struct str *word_r);
/* Whether a list as main.cf has them (words parted by blanks, line ends or commas) has
 * this word; case does not count. */
bool str_list_has(struct str list, const char *word);

/*
 * Strict decimal numbers: digits only, no sign (signed: one optional leading '-'), no
 * blanks, no overflow, nothing after it. False leaves *value_r untouched.
 */
MUST_USE bool str_to_u64(struct str s, uint64_t *value_r);
MUST_USE bool str_to_i64(struct str s, int64_t *value_r);
bool str_is_digits(struct str s); /* as many as there are, but one at least */
/* Value between min and max inclusive. */
MUST_USE bool str_to_range(struct str s, int64_t min, int64_t max, int64_t *value_r);

/* Copies to `out` (NUL-terminated). False when it does not fit or holds a NUL. */
MUST_USE bool str_to_cstr(struct str s, char *out, size_t size);

/* True for valid UTF-8 (RFC 3629: no overlong forms, no surrogates, <= U+10FFFF). */
bool str_is_utf8(struct str s);
/* Bytes of the valid UTF-8 character that s starts with, or 0. */
size_t str_utf8_length(struct str s);
bool str_is_ascii(struct str s);
bool str_has_control(struct str s); /* any byte < 32 or 127 */

/* ASCII classes, independent of the locale. */
bool ascii_is_alpha(char c);
bool ascii_is_digit(char c);
bool ascii_is_alnum(char c);
bool ascii_is_space(char c); /* blank, \t \n \v \f \r */
bool ascii_is_print(char c); /* 32..126 */
char ascii_lower(char c);
char ascii_upper(char c);

#endif
