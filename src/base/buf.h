/*
 * struct buf: a growing byte string with a ceiling that it is born with. It owns its
 * bytes and keeps a NUL after them. A write that would pass the ceiling changes nothing
 * and sets `overflow`, which stays set until buf_clear; so a series of writes is checked
 * once, at its end. Memory that cannot be had is fatal (the process cannot work).
 * A zero-filled struct buf is an empty buffer with ceiling 0: use buf_init.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include "base/str.h"

struct buf {
	char *p;        /* NULL until the first byte */
	size_t len;     /* bytes in use, the NUL not counted */
	size_t size;    /* bytes allocated */
	size_t ceiling; /* most bytes in use */
	bool overflow;
};

#define BUF_INIT(max) ((struct buf){.ceiling = (max)})
void buf_init(struct buf *b, size_t ceiling);
void buf_free(struct buf *b); /* gives the memory back; keeps the ceiling, usable again */
void buf_clear(struct buf *b); /* empty, memory kept, overflow forgotten */

static inline void buf_add(struct buf *b, const void *bytes, size_t len);
static inline void buf_add_str(struct buf *b, struct str s);
void buf_add_cstr(struct buf *b, const char *cstring);
static inline void buf_add_char(struct buf *b, char c);
void buf_add_fill(struct buf *b, char c, size_t count);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF_LIKE(2, 0);
void buf_add_i64(struct buf *b, int64_t value); /* decimal, faster than printf */
void buf_add_u64(struct buf *b, uint64_t value);

/* Room for `len` more bytes at b->p + b->len, or NULL (overflow set). */
char *buf_reserve(struct buf *b, size_t len);
void buf_advance(struct buf *b, size_t len); /* after writing into the reserve */
void buf_truncate(struct buf *b, size_t len);
void buf_consume(struct buf *b, size_t len); /* drops bytes from the front */

/* The bytes; valid until the next change. */
static inline struct str buf_str(const struct buf *b);
const char *buf_cstr(const struct buf *b); /* "" when empty */

/* False when a write passed the ceiling since the last buf_clear. */
MUST_USE bool buf_ok(const struct buf *b);

/* --- small enough to become part of their callers --- */

bool buf_grow(struct buf *b, size_t len); /* the slow part of the next */

/* Room for len more bytes and the NUL. */
static inline bool buf_make_room(struct buf *b, size_t len)
{
	bool fits =
	    len < b->size - b->len && b->len <= b->ceiling && len <= b->ceiling - b->len;
	return fits || buf_grow(b, len);
}

static inline void buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (len == 0 || !buf_make_room(b, len))
		return;
	memcpy(b->p + b->len, bytes, len);
	b->len += len;
	b->p[b->len] = '\0';
}

static inline void buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.len);
}

static inline void buf_add_char(struct buf *b, char c)
{
	if (!buf_make_room(b, 1))
		return;
	b->p[b->len++] = c;
	b->p[b->len] = '\0';
}

static inline struct str buf_str(const struct buf *b)
{
	return b->len == 0 ? STR_EMPTY : (struct str){b->p, b->len};
}

#endif
