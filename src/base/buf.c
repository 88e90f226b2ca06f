#include "base/buf.h"

#include "base/memory.h"
#include "base/panic.h"

#define FIRST_SIZE ((size_t)256)

void buf_init(struct buf *b, size_t ceiling)
{
	*b = BUF_INIT(ceiling);
}

void buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->ceiling);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

bool buf_grow(struct buf *b, size_t len)
{
	size_t need, size = b->size < FIRST_SIZE ? FIRST_SIZE : b->size;

	if (b->len > b->ceiling || len > b->ceiling - b->len) {
		b->overflow = true;
		return false;
	}
	need = b->len + len + 1;
	while (size < need)
		size = size > SIZE_MAX / 2 ? need : size * 2;
	if (size - 1 > b->ceiling)
		size = b->ceiling + 1;
	b->p = memory_resize(b->p, size);
	b->size = size;
	return true;
}

char *buf_reserve(struct buf *b, size_t len)
{
	if (!buf_make_room(b, len))
		return NULL;
	b->p[b->len] = '\0';
	return b->p + b->len;
}

void buf_advance(struct buf *b, size_t len)
{
	ENSURE(len < b->size - b->len);
	b->len += len;
	b->p[b->len] = '\0';
}

void buf_truncate(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->p[len] = '\0';
}

void buf_consume(struct buf *b, size_t len)
{
	if (len > b->len)
		len = b->len;
	if (len == 0)
		return;
	b->len -= len;
	memmove(b->p, b->p + len, b->len + 1);
}

void buf_add_cstr(struct buf *b, const char *cstring)
{
	buf_add(b, cstring, strlen(cstring));
}

void buf_add_fill(struct buf *b, char c, size_t count)
{
	if (count == 0 || !buf_make_room(b, count))
		return;
	memset(b->p + b->len, c, count);
	b->len += count;
	b->p[b->len] = '\0';
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
	/* A first block, so that what is short needs no second look. */
	size_t room = b->p != NULL || buf_grow(b, 0) ? b->size - b->len : 0;
	va_list again;
	int made;

	va_copy(again, args);
	made = vsnprintf(room > 0 ? b->p + b->len : NULL, room, format, again);
	va_end(again);
	ENSURE(made >= 0);
	/* What fits the memory may still pass the ceiling of a buffer that was shrunk. */
	if ((size_t)made >= room || b->len + (size_t)made > b->ceiling) {
		if (room > 0)
			b->p[b->len] = '\0';
		if (!buf_make_room(b, (size_t)made))
			return;
		(void)vsnprintf(b->p + b->len, (size_t)made + 1, format, args);
	}
	b->len += (size_t)made;
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(b, format, args);
	va_end(args);
}

void buf_add_u64(struct buf *b, uint64_t value)
{
	char digits[STR_U64_MAX];

	buf_add(b, digits, (size_t)(str_put_u64(digits, value, 0) - digits));
}

void buf_add_i64(struct buf *b, int64_t value)
{
	char text[1 + STR_U64_MAX] = "-";
	char *start = text + 1;
	char *end =
	    str_put_u64(start, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 0);

	if (value < 0)
		start--;
	buf_add(b, start, (size_t)(end - start));
}

const char *buf_cstr(const struct buf *b)
{
	return b->p == NULL ? "" : b->p;
}

bool buf_ok(const struct buf *b)
{
	return !b->overflow;
}
