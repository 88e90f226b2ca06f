#include "base/str.h"

#include <limits.h>

int str_print_length(struct str s)
{
	return s.len > INT_MAX ? INT_MAX : (int)s.len;
}

struct str str_trim(struct str s)
{
	while (s.len > 0 && ascii_is_space(s.p[0]))
		s = str_skip(s, 1);
	while (s.len > 0 && ascii_is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

static bool same_bytes_nocase(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i] && ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

bool str_equal_nocase(struct str a, struct str b)
{
	return a.len == b.len && same_bytes_nocase(a.p, b.p, a.len);
}

bool str_is_nocase(struct str s, const char *cstring)
{
	return str_equal_nocase(s, str_of(cstring));
}

bool str_starts_nocase(struct str s, struct str prefix)
{
	return s.len >= prefix.len && same_bytes_nocase(s.p, prefix.p, prefix.len);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.len >= suffix.len && str_equal(str_skip(s, s.len - suffix.len), suffix);
}

bool str_ends_nocase(struct str s, struct str suffix)
{
	return s.len >= suffix.len &&
	    str_equal_nocase(str_skip(s, s.len - suffix.len), suffix);
}

int str_compare(struct str a, struct str b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common == 0 ? 0 : memcmp(a.p, b.p, common);

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

int str_compare_nocase(struct str a, struct str b)
{
	for (size_t i = 0; i < a.len && i < b.len; i++) {
		int order = (unsigned char)ascii_lower(a.p[i]) -
		    (unsigned char)ascii_lower(b.p[i]);
		if (order != 0)
			return order;
	}
	return (a.len > b.len) - (a.len < b.len);
}

static ptrdiff_t index_in(struct str s, const void *found)
{
	return found == NULL ? -1 : (const char *)found - s.p;
}

ptrdiff_t str_find(struct str s, char c)
{
	return s.len == 0 ? -1 : index_in(s, memchr(s.p, c, s.len));
}

ptrdiff_t str_find_last(struct str s, char c)
{
	return s.len == 0 ? -1 : index_in(s, memrchr(s.p, c, s.len));
}

ptrdiff_t str_find_str(struct str s, struct str needle)
{
	if (needle.len == 0)
		return 0;
	return s.len == 0 ? -1 : index_in(s, memmem(s.p, s.len, needle.p, needle.len));
}

/* Sets are short: a loop is over before a call of strchr is. */
static bool is_one_of(char c, const char *set)
{
	while (*set != '\0' && *set != c)
		set++;
	return *set != '\0';
}

ptrdiff_t str_find_any(struct str s, const char *set)
{
	for (size_t i = 0; i < s.len; i++)
		if (is_one_of(s.p[i], set))
			return (ptrdiff_t)i;
	return -1;
}

/* Of ASCII characters, a bit each. */
struct set {
	uint64_t low, high;
};

static struct set set_of(const char *members)
{
	struct set set = {0};

	for (; *members != '\0'; members++) {
		uint64_t bit = UINT64_C(1) << (*members & 63);
		if (*members < 64)
			set.low |= bit;
		else
			set.high |= bit;
	}
	return set;
}

static bool set_has(struct set set, char c)
{
	unsigned char code = (unsigned char)c;
	return code < 128 && ((code < 64 ? set.low : set.high) >> (code & 63) & 1) != 0;
}

static bool next_word(
    struct str *rest, const char *separators, bool braced, struct str *word_r)
{
	struct set parting = set_of(separators);
	struct str s = *rest;
	size_t depth = 0, end = 0;

	while (end < s.len && set_has(parting, s.p[end]))
		end++;
	s = str_skip(s, end);
	if (s.len == 0) {
		*rest = s;
		return false;
	}
	end = 0;
	for (; end < s.len; end++) {
		if (depth == 0 && set_has(parting, s.p[end]))
			break;
		if (braced && s.p[end] == '{')
			depth++;
		else if (depth > 0 && s.p[end] == '}')
			depth--;
	}
	*word_r = str_slice(s, 0, end);
	*rest = str_skip(s, end);
	return true;
}

bool str_next(struct str *rest, const char *separators, struct str *word_r)
{
	return next_word(rest, separators, false, word_r);
}

bool str_next_braced(struct str *rest, const char *separators, struct str *word_r)
{
	return next_word(rest, separators, true, word_r);
}

bool str_list_has(struct str list, const char *word)
{
	struct str next;
	while (str_next(&list, " \t\r\n,", &next))
		if (str_is_nocase(next, word))
			return true;
	return false;
}

bool str_is_digits(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return s.len > 0;
}

bool str_to_u64(struct str s, uint64_t *value_r)
{
	uint64_t value = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!ascii_is_digit(s.p[i]) ||
		    __builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
			return false;
	}
	*value_r = value;
	return true;
}

bool str_to_i64(struct str s, int64_t *value_r)
{
	bool negative = s.len > 0 && s.p[0] == '-';
	uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
	uint64_t value;

	if (!str_to_u64(negative ? str_skip(s, 1) : s, &value) || value > limit)
		return false;
	*value_r = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

char *str_put_u64(char *out, uint64_t value, size_t width)
{
	char text[STR_U64_MAX];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	size_t len = sizeof(text) - at;
	for (; width > len; width--)
		*out++ = ' ';
	memcpy(out, text + at, len);
	return out + len;
}

bool str_to_range(struct str s, int64_t min, int64_t max, int64_t *value_r)
{
	int64_t value;

	if (!str_to_i64(s, &value) || value < min || value > max)
		return false;
	*value_r = value;
	return true;
}

bool str_to_cstr(struct str s, char *out, size_t size)
{
	if (s.len >= size || str_find(s, '\0') >= 0)
		return false;
	if (s.len > 0)
		memcpy(out, s.p, s.len);
	out[s.len] = '\0';
	return true;
}

/* Bytes before the first one with the high bit set, looked at eight at a time. */
static size_t ascii_prefix(struct str s)
{
	size_t i = 0;

	for (; i + 8 <= s.len; i += 8) {
		uint64_t eight;
		memcpy(&eight, s.p + i, 8);
		if ((eight & 0x8080808080808080U) != 0)
			break;
	}
	while (i < s.len && ((unsigned char)s.p[i] & 0x80) == 0)
		i++;
	return i;
}

bool str_is_ascii(struct str s)
{
	return ascii_prefix(s) == s.len;
}

size_t str_utf8_length(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char low = 0x80, high = 0xBF; /* bounds of the second byte */
	size_t len;

	if (s.len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (s.len < len)
		return 0;
	/* RFC 3629 section 4: overlong forms, surrogates, beyond U+10FFFF. */
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	return len;
}

bool str_is_utf8(struct str s)
{
	while ((s = str_skip(s, ascii_prefix(s))).len > 0) {
		size_t len = str_utf8_length(s);
		if (len == 0)
			return false;
		s = str_skip(s, len);
	}
	return true;
}

#define EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

static uint64_t eight_bytes(const char *p)
{
	uint64_t bytes;
	memcpy(&bytes, p, sizeof(bytes));
	return bytes;
}

/* Subtraction borrows from the top bit of a byte that is less: whether there is one, not
 * which. */
static bool any_control(uint64_t bytes)
{
	uint64_t deleted = bytes ^ EIGHT(127);
	uint64_t is_low = (bytes - EIGHT(32)) & ~bytes;
	uint64_t is_deleted = (deleted - EIGHT(1)) & ~deleted;
	return ((is_low | is_deleted) & EIGHT(128)) != 0;
}

static bool all_printable(uint64_t bytes)
{
	return !any_control(bytes) && (bytes & EIGHT(128)) == 0;
}

bool str_has_control(struct str s)
{
	size_t i = 0;
	for (; s.len - i > 8; i += 8)
		if (any_control(eight_bytes(s.p + i)))
			return true;
	if (s.len >= 8) /* the last eight, some of them again */
		return any_control(eight_bytes(s.p + s.len - 8));
	for (; i < s.len; i++)
		if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
			return true;
	return false;
}

size_t str_printable_length(struct str s)
{
	size_t i = 0;
	while (s.len - i >= 8 && all_printable(eight_bytes(s.p + i)))
		i += 8;
	while (i < s.len && ascii_is_print(s.p[i]))
		i++;
	return i;
}
