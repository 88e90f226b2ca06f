/*
 * Inside src/deliver: how the outcome of each recipient becomes true. Entries in the
 * bounce, defer and trace logs come first, then log lines, then marks.
 *
 * A probe (DELIVERY_VERIFY) has one outcome, a line in the trace log, or what verify is
 * told (DELIVERY_TELL_VERIFY); its recipients are done whatever came out. With
 * DELIVERY_TRACE every outcome goes to the trace log too, and so does success where the
 * sender asked for it (RFC 3461) and the next hop cannot tell.
 */
#ifndef DELIVER_OUTCOME_H
#define DELIVER_OUTCOME_H

#include "deliver/delivery.h"

/* Success is told to the trace service, so it waits for outcome_finish. */
bool outcome_is_traced(const struct delivery *d, size_t index);
/* A recipient that was sent: log line and mark. */
void outcome_done(struct delivery *d, size_t index);
/* A member of a list failed: its owner is told, and it is logged, at once. */
void outcome_tell_owner(struct delivery *d, size_t index);
/* Everything that waits; a result may become DELIVERY_DEFERRED when a log cannot take it.
 */
void outcome_finish(struct delivery *d);
bool outcome_soft_bounce(void);
uid_t outcome_queue_owner(void);
int64_t outcome_wall_microseconds(void);

/* --- outcome_log.c --- */
void outcome_log_open(const struct common_params *common);
/* One append for all recipients of one result, each where it belongs. 0, or why the log
 * could not take them. */
MUST_USE int outcome_log_failed(const struct delivery *d);
MUST_USE int outcome_log_delayed(const struct delivery *d);
MUST_USE int outcome_log_trace(
    const struct delivery *d, enum delivery_result result, const char *action);
/* Tells a list's owner of a member that failed. 0 or -errno. */
MUST_USE int outcome_log_owner(const struct delivery *d, size_t index);

#endif
