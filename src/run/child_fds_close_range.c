#include "run/child_fds.h"

#include <unistd.h>

void child_fds_close_from(int first)
{
	long limit;

	if (close_range((unsigned)first, ~0U, 0) == 0)
		return;
	limit = sysconf(_SC_OPEN_MAX); /* an older kernel */
	for (long fd = first; fd < limit; fd++)
		(void)close((int)fd);
}
