#include "queue/queue_id.h"

/* No vowels, so that no id spells a word. */
static const char alphabet[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
static const char hex[] = "0123456789ABCDEF";
#define LONG_BASE          52
#define LONG_INODE_BASE    51 /* without 'z', which marks the inode's start */
#define LONG_SECONDS_MIN   6
#define LONG_MICROSECONDS  4
#define SHORT_MICROSECONDS 5

/* Writes `value` with at least `width` digits; returns behind the last one. */
static char *put_digits(
    char *out, const char *set, uint64_t value, unsigned base, int width)
{
	char digits[64];
	int count = 0;
	for (; value > 0 || count < width; value /= base)
		digits[count++] = set[value % base];
	while (count > 0)
		*out++ = digits[--count];
	return out;
}

void queue_id_make(
    char id[QUEUE_ID_MAX], struct timeval when, uint64_t inode, bool long_form)
{
	if (!long_form) {
		char *end =
		    put_digits(id, hex, (uint64_t)when.tv_usec, 16, SHORT_MICROSECONDS);
		*put_digits(end, hex, inode, 16, 1) = '\0';
		return;
	}
	char *p =
	    put_digits(id, alphabet, (uint64_t)when.tv_sec, LONG_BASE, LONG_SECONDS_MIN);
	p = put_digits(p, alphabet, (uint64_t)when.tv_usec, LONG_BASE, LONG_MICROSECONDS);
	*p++ = 'z';
	*put_digits(p, alphabet, inode, LONG_INODE_BASE, 1) = '\0';
}

bool queue_id_valid(struct str id)
{
	if (id.len < SHORT_MICROSECONDS || id.len >= QUEUE_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++)
		if (!ascii_is_alnum(id.p[i]))
			return false;
	return true;
}

static bool digits_value(struct str digits, unsigned base, uint64_t *value_r)
{
	uint64_t value = 0;
	for (size_t i = 0; i < digits.len; i++) {
		const char *found = strchr(alphabet, digits.p[i]);
		if (found == NULL || found - alphabet >= (ptrdiff_t)base ||
		    value > (UINT64_MAX - base) / base)
			return false;
		value = value * base + (uint64_t)(found - alphabet);
	}
	*value_r = value;
	return digits.len > 0;
}

/* Where the inode's 'z' stands in a long id, or -1: a short one. */
static ptrdiff_t long_mark(struct str id)
{
	ptrdiff_t mark = str_find_last(id, 'z');
	return mark >= LONG_SECONDS_MIN + LONG_MICROSECONDS ? mark : -1;
}

bool queue_id_long_microseconds(struct str id, uint32_t *microseconds_r)
{
	ptrdiff_t mark = long_mark(id);
	uint64_t value = 0;
	if (mark < 0)
		return false;
	if (!digits_value(str_slice(id, (size_t)mark - LONG_MICROSECONDS, (size_t)mark),
		LONG_BASE, &value) ||
	    value > 999999)
		return false;
	*microseconds_r = (uint32_t)value;
	return true;
}

bool queue_id_has_inode(struct str id, uint64_t inode)
{
	char own[QUEUE_ID_MAX];
	ptrdiff_t mark = long_mark(id);
	bool is_long = mark >= 0;
	queue_id_make(own, (struct timeval){0}, inode, is_long);
	size_t skip =
	    is_long ? LONG_SECONDS_MIN + LONG_MICROSECONDS + 1 : SHORT_MICROSECONDS;
	struct str rest = str_skip(id, is_long ? (size_t)mark + 1 : SHORT_MICROSECONDS);
	return str_is(rest, own + skip);
}

void queue_id_with_inode(
    char out[QUEUE_ID_MAX], struct str id, uint64_t inode, bool long_form)
{
	char fresh[QUEUE_ID_MAX];
	uint32_t microseconds = 0;
	bool is_long = queue_id_long_microseconds(id, &microseconds);
	struct timeval when = {.tv_usec = (suseconds_t)microseconds};
	queue_id_make(fresh, when, inode, is_long && long_form);
	if (is_long && !long_form) {
		memcpy(out, fresh, QUEUE_ID_MAX);
		return;
	}
	size_t keep = is_long ? (size_t)long_mark(id) + 1 : SHORT_MICROSECONDS;
	size_t skip =
	    is_long ? LONG_SECONDS_MIN + LONG_MICROSECONDS + 1 : SHORT_MICROSECONDS;
	(void)snprintf(
	    out, QUEUE_ID_MAX, "%.*s%s", STR_ARG(str_slice(id, 0, keep)), fresh + skip);
}
