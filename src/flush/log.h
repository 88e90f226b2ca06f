/*
 * Logs of waiting mail, one a site: flush/example_com holds queue ids, a line each. A log
 * is a set: an id that comes twice counts once. The working directory is the queue
 * directory; logs belong to mail_owner, mode 0600.
 */
#ifndef FLUSH_LOG_H
#define FLUSH_LOG_H

#include <stdbool.h>
#include "base/buf.h"
#include "queue/queue_dir.h"

#define FLUSH_LOG_MAX ((size_t)64 << 20) /* bytes; more is left for the next request */

/* Letters and digits in lower case; a '_' for every other byte. */
void flush_log_path(char path[QUEUE_PATH_MAX], struct str site);

/* The next id that can be one; others are warned about (`path` is for that) and passed
 * by. False at the end. */
MUST_USE bool flush_log_next(struct str *rest, const char *path, struct str *id_r);

/* Notes an id. 0 or -errno. */
MUST_USE int flush_log_add(const char *path, struct str id);

/* Calls once for each id, and empties the log when all calls are over. The log is locked
 * meanwhile, and `call` must not wait. 0 or -errno (-ENOENT: there is no such log). */
MUST_USE int flush_log_take(
    const char *path, void (*call)(void *context, struct str id), void *context);

#endif
