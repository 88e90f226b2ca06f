#include "run/stack_resident.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

size_t stack_resident_from(const void *stack, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = size / page, first = 0;
	unsigned char resident[64];

	if (pages > sizeof(resident) ||
	    mincore((void *)(uintptr_t)stack, size, resident) != 0)
		return 0;
	while (first < pages && (resident[first] & 1) == 0)
		first++;
	return first * page;
}
