/*
 * Memory that is freed together: one arena a session, one a message. Blocks grow to a
 * ceiling that the owner chose, so no stranger can make us hold more. An arena starts
 * without memory. arena_alloc past the ceiling returns NULL and the arena stays usable:
 * every caller that sizes by foreign input must check. Memory is zeroed, aligned to 16.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include "base/str.h"

struct arena;

struct arena *arena_new(size_t ceiling); /* bytes in total, never NULL */
void arena_free(struct arena *a);        /* NULL is fine */
size_t arena_used(const struct arena *a);

void *arena_alloc(struct arena *a, size_t size);
void *arena_alloc_array(struct arena *a, size_t count, size_t size); /* checks overflow */
/* Copies; the copy has a NUL behind it. p is NULL when the ceiling is reached. */
struct str arena_str(struct arena *a, struct str s);
const char *arena_cstr(struct arena *a, struct str s);
const char *arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);

DEFINE_CLEANUP(arena_free, struct arena *)

#endif
