/* For schedule.c alone: how the window of a destination changes. */
#ifndef QMGR_SCHEDULE_WINDOW_H
#define QMGR_SCHEDULE_WINDOW_H

#include "qmgr/schedule.h"

void schedule_window_reset(struct schedule_destination *d); /* to the initial one */
/* A delivery came through, or did not; it still counts as under way. */
void schedule_window_grow(struct schedule_destination *d);
/* True: dead, and the window is reset. */
MUST_USE bool schedule_window_shrink(struct schedule_destination *d);

#endif
