#include "base/memory.h"

#include <stdlib.h>

#include "unit.h"

/* Of each size twice: the second time from what was given back full of other bytes. */
TEST(memory_is_zeroed_when_it_was_used_before)
{
	static const size_t sizes[] = {0, 1, 24, 200, 1023, 1024, 1025, 5000, 200000};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int round = 0; round < 2; round++) {
			unsigned char *p = memory_alloc(sizes[i]);
			unsigned char all = 0;

			for (size_t at = 0; at < sizes[i]; at++) {
				all |= p[at];
				p[at] = 0xff;
			}
			assert_int_equal(all, 0);
			free(p);
		}
	}
}
