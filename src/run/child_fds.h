/* Closing what a child must not inherit; one file per platform. For child.c only. */
#ifndef RUN_CHILD_FDS_H
#define RUN_CHILD_FDS_H

#include "base/attributes.h"

/* Closes every descriptor from `first` on. Async-signal-safe. */
void child_fds_close_from(int first);

#endif
