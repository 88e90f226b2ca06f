#include "base/arena.h"

#include "base/memory.h"
#include "base/panic.h"

#define ALIGNMENT   ((size_t)16)
#define FIRST_BLOCK ((size_t)1024)
#define LAST_BLOCK  ((size_t)65536)
#define PRINT_USUAL 128 /* bytes of a printed text that need no second look */

/*
 * Blocks of the usual sizes wait here for the next arena of their thread: the allocator
 * of libc joins and splits chunks of these sizes each time. Sanitizers see each block
 * come and go.
 */
#ifdef UNDER_ADDRESS_SANITIZER
#define KEPT_MAX 0
#else
#define KEPT_MAX 16 /* of each size */
#endif
#define KEPT_SIZES 3 /* 1, 4 and 16 KB */

struct block {
	struct block *older;
	size_t size, used;
	_Alignas(16) unsigned char bytes[];
};

struct arena {
	struct block *newest;
	size_t ceiling;
	size_t held; /* bytes of all blocks: what the ceiling bounds */
	size_t used; /* bytes handed out */
	size_t next_size;
};

static _Thread_local struct {
	struct block *first;
	size_t count;
} kept[KEPT_SIZES];

/* KEPT_SIZES: such blocks are not kept. */
static size_t kept_index(size_t size)
{
	size_t i = 0;
	for (size_t usual = FIRST_BLOCK; i < KEPT_SIZES && size != usual; usual *= 4)
		i++;
	return i;
}

static struct block *block_new(size_t size)
{
	size_t i = kept_index(size);
	struct block *b;

	if (i == KEPT_SIZES || kept[i].count == 0) {
		b = memory_alloc(sizeof(*b) + size);
		b->size = size;
		return b;
	}
	b = kept[i].first;
	kept[i].first = b->older;
	kept[i].count--;
	memset(b->bytes, 0, b->used);
	b->older = NULL;
	b->used = 0;
	return b;
}

static void block_free(struct block *b)
{
	size_t i = kept_index(b->size);

	if (i == KEPT_SIZES || kept[i].count >= KEPT_MAX) {
		free(b);
		return;
	}
	b->older = kept[i].first;
	kept[i].first = b;
	kept[i].count++;
}

struct arena *arena_new(size_t ceiling)
{
	struct arena *a = memory_alloc(sizeof(*a));

	a->ceiling = ceiling;
	a->next_size = FIRST_BLOCK;
	return a;
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	for (struct block *b = a->newest, *older; b != NULL; b = older) {
		older = b->older;
		block_free(b);
	}
	free(a);
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

static struct block *add_block(struct arena *a, size_t need)
{
	size_t left = a->ceiling - a->held;
	size_t size = a->next_size;
	struct block *b;

	if (need > left)
		return NULL;
	if (size > left)
		size = left;
	if (size < need)
		size = need;
	b = block_new(size);
	a->held += size;
	if (a->next_size < LAST_BLOCK)
		a->next_size *= 4;
	/* The newer block goes on top unless the old one still has more room. */
	if (a->newest != NULL && a->newest->size - a->newest->used > size - need) {
		b->older = a->newest->older;
		a->newest->older = b;
	} else {
		b->older = a->newest;
		a->newest = b;
	}
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct block *b = a->newest;
	size_t need = size == 0 ? 1 : size;
	size_t at;

	if (b != NULL) {
		at = (b->used + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
		if (at <= b->size && need <= b->size - at) {
			b->used = at + need;
			a->used += need;
			return b->bytes + at;
		}
	}
	b = add_block(a, need);
	if (b == NULL)
		return NULL;
	b->used = need;
	a->used += need;
	return b->bytes;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return arena_alloc(a, total);
}

const char *arena_cstr(struct arena *a, struct str s)
{
	char *copy;

	if (s.len == SIZE_MAX)
		return NULL;
	copy = arena_alloc(a, s.len + 1);
	if (copy != NULL && s.len > 0)
		memcpy(copy, s.p, s.len);
	return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
	const char *copy = arena_cstr(a, s);

	return (struct str){copy, copy == NULL ? 0 : s.len};
}

const char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;
	char usual[PRINT_USUAL], *text;
	int len;

	va_start(args, format);
	len = vsnprintf(usual, sizeof(usual), format, args);
	va_end(args);
	ENSURE(len >= 0);
	text = arena_alloc(a, (size_t)len + 1);
	if (text == NULL || (size_t)len < sizeof(usual))
		return text == NULL ? NULL : memcpy(text, usual, (size_t)len);
	va_start(args, format);
	(void)vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	return text;
}
