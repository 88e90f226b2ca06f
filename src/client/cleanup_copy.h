/* Handing the content of a queue file on to cleanup: notices and forwarded mail. */
#ifndef CLIENT_CLEANUP_COPY_H
#define CLIENT_CLEANUP_COPY_H

#include "client/cleanup_client.h"
#include "queue/queue_file.h"

/* After cleanup_message_begin. With `header_only` up to the first empty line. 0 or
 * -errno; -EBADMSG: the queue file is corrupt. */
MUST_USE int cleanup_message_copy(struct cleanup_message *m, struct queue_file *f,
    const struct queue_envelope *e, bool header_only, int64_t deadline);

#endif
