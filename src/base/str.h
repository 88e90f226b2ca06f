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
static inline struct str str_of(const char *cstring);
static inline struct str str_slice(
    struct str s, size_t from, size_t to);                     /* clamped to s */
static inline struct str str_skip(struct str s, size_t count); /* clamped to s */
struct str str_trim(struct str s); /* without ASCII blanks at both ends */

static inline bool str_equal(struct str a, struct str b);
bool str_equal_nocase(struct str a, struct str b); /* ASCII letters only */
static inline bool str_is(struct str s, const char *cstring);
bool str_is_nocase(struct str s, const char *cstring);
static inline bool str_starts(struct str s, struct str prefix);
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

/* Writes `value` in decimal, blanks before it to at least `width` bytes: at most `width`
 * or STR_U64_MAX, no NUL. Returns what is behind it. Faster than printf. */
#define STR_U64_MAX 20
char *str_put_u64(char *out, uint64_t value, size_t width);

/* Copies to `out` (NUL-terminated). False when it does not fit or holds a NUL. */
MUST_USE bool str_to_cstr(struct str s, char *out, size_t size);

/* True for valid UTF-8 (RFC 3629: no overlong forms, no surrogates, <= U+10FFFF). */
bool str_is_utf8(struct str s);
/* Bytes of the valid UTF-8 character that s starts with, or 0. */
size_t str_utf8_length(struct str s);
bool str_is_ascii(struct str s);
bool str_has_control(struct str s); /* any byte < 32 or 127 */
/* Bytes before the first that is not printable ASCII (32..126). */
size_t str_printable_length(struct str s);

/* ASCII classes, independent of the locale. */
static inline bool ascii_is_alpha(char c);
static inline bool ascii_is_digit(char c);
static inline bool ascii_is_alnum(char c);
static inline bool ascii_is_space(char c); /* blank, \t \n \v \f \r */
static inline bool ascii_is_print(char c); /* 32..126 */
static inline char ascii_lower(char c);
static inline char ascii_upper(char c);

/* --- small enough to become part of their callers, where constants are known --- */

/* memcmp must not see a null pointer, which an empty str may hold. */
static inline bool str_same_bytes(const char *a, const char *b, size_t len)
{
	return len == 0 || memcmp(a, b, len) == 0;
}

static inline struct str str_of(const char *cstring)
{
	if (cstring == NULL)
		return STR_EMPTY;
	return (struct str){cstring, strlen(cstring)};
}

static inline struct str str_skip(struct str s, size_t count)
{
	if (count == 0)
		return s;
	if (count > s.len)
		count = s.len;
	if (s.p == NULL)
		return s;
	return (struct str){s.p + count, s.len - count};
}

static inline struct str str_slice(struct str s, size_t from, size_t to)
{
	if (to < s.len)
		s.len = to;
	return str_skip(s, from);
}

static inline bool str_equal(struct str a, struct str b)
{
	return a.len == b.len && str_same_bytes(a.p, b.p, a.len);
}

static inline bool str_is(struct str s, const char *cstring)
{
	return str_equal(s, str_of(cstring));
}

static inline bool str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_same_bytes(s.p, prefix.p, prefix.len);
}

static inline bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_is_alnum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

static inline bool ascii_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool ascii_is_print(char c)
{
	return c >= 32 && c <= 126;
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
}

#endif
