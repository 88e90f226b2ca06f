#include "run/child_fds.h"

#include <unistd.h>

void child_fds_close_from(int first)
{
	(void)closefrom(first);
}
