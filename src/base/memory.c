#include "base/memory.h"

#include <malloc.h>

#include "base/fault.h"
#include "base/panic.h"

#define KEEP_FREE   (16 * 1024 * 1024) /* at the end of the heap */
#define MAP_ITS_OWN (4 * 1024 * 1024)  /* larger objects go back at once */
/* Up to this size the C library keeps freed pieces at hand; calloc passes them by. */
#define AT_HAND 1024

/* The buffers of one message are taken and given back again and again: without this each
 * time from and to the kernel. */
void memory_keep_for_reuse(void)
{
	(void)mallopt(M_TRIM_THRESHOLD, KEEP_FREE);
	(void)mallopt(M_MMAP_THRESHOLD, MAP_ITS_OWN);
}

static void *checked(void *p, size_t size)
{
	if (p == NULL)
		fatal("out of memory: %zu bytes", size);
	return p;
}

void *memory_alloc(size_t size)
{
	if (size <= AT_HAND)
		return memset(memory_resize(NULL, size), 0, size);
	return checked(fault_hit(FAULT_MALLOC) != 0 ? NULL : calloc(1, size), size);
}

void *memory_alloc_aligned(size_t alignment, size_t size)
{
	void *p = NULL;
	int error = fault_hit(FAULT_MALLOC);
	if (error == 0)
		error = posix_memalign(&p, alignment, size);
	return checked(error == 0 ? p : NULL, size);
}

void *memory_alloc_array(size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		fatal("out of memory: %zu times %zu bytes", count, size);
	return memory_alloc(total);
}

/* Not inline: where the compiler sees malloc before memset, it makes calloc of them. */
NOINLINE void *memory_resize(void *old, size_t size)
{
	if (size == 0)
		size = 1;
	return checked(fault_hit(FAULT_MALLOC) != 0 ? NULL : realloc(old, size), size);
}

char *memory_copy_cstr(const char *cstring)
{
	size_t size = strlen(cstring) + 1;
	char *copy = memory_alloc(size);

	memcpy(copy, cstring, size);
	return copy;
}

void memory_free_cleanup(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}
