/*
 * Allocation that does not fail quietly: fatal when memory is out (mail is committed
 * before it is acknowledged, so nothing is lost). Sizes by foreign input belong into an
 * arena or a buf with a ceiling, not here. Fault point: malloc.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "base/attributes.h"

void *memory_alloc(size_t size);                           /* zeroed */
void *memory_alloc_aligned(size_t alignment, size_t size); /* not zeroed */
void *memory_alloc_array(size_t count, size_t size);
void *memory_resize(void *old, size_t size);
char *memory_copy_cstr(const char *cstring);
/* Once, by daemons: memory that was given back stays with the process for the next use.
 */
void memory_keep_for_reuse(void);
void memory_free_cleanup(
    void *pointer_to_pointer); /* CLEANUP(memory_free_cleanup) char *p */

#endif
