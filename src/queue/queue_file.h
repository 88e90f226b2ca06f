/*
 * A queue file as its users see it: the envelope read strictly, recipients in bounded
 * portions, the content as lines, and the marks that agents make. See doc/queue-file.md.
 * Modes: 0600 being written, 0700 ready (test mode & 0700), 0400 corrupt; 0040 and 0010
 * are flags (unthrottle, expire).
 */
#ifndef QUEUE_QUEUE_FILE_H
#define QUEUE_QUEUE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/arena.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "queue/queue_dir.h"
#include "queue/record.h"

#define QUEUE_MODE_WRITING    0600
#define QUEUE_MODE_READY      0700
#define QUEUE_MODE_CORRUPT    0400
#define QUEUE_MODE_UNTHROTTLE 0040
#define QUEUE_MODE_EXPIRE     0010

/* The first byte of a file in which no message lies any more (commit_slots.h). No record
 * begins with it. */
#define QUEUE_OVER '\0'

/* Bits of the attribute trace_flags. */
#define QUEUE_TRACE_VERIFY 256u  /* a probe of verify: do not deliver, tell verify */
#define QUEUE_TRACE_PROBE  512u  /* sendmail -bv: do not deliver, report */
#define QUEUE_TRACE_REPORT 1024u /* sendmail -v: deliver and report */

struct queue_attribute {
	struct str name, value;
};

struct queue_recipient {
	int64_t offset;       /* of the R record: what a mark goes to */
	struct str address;   /* internal form */
	struct str original;  /* "" when none recorded */
	struct str dsn_orcpt; /* "rfc822;..." or "" */
	uint32_t notify;      /* enum dsn_notify, 0 = default */
};

#define QUEUE_ORCPT_MAX 1000 /* a longer one is left out: it only serves notices */

#define QUEUE_ATTRIBUTES_MAX 100 /* queue_file_attribute_count_limit */

/* What stands in the first, envelope segment besides recipients. */
struct queue_envelope {
	int64_t content_size;   /* bytes of the content segment as stored */
	int64_t content_offset; /* of the first content record */
	int64_t message_size;   /* logged and listed size (field 5 of C) */
	uint32_t recipient_count, flags, sendopts;
	struct timeval arrival;
	int64_t created;
	int64_t warn_time; /* 0: none; of the W record; -1 after the notice */
	int64_t warn_offset;
	int64_t trace_offset; /* of the attribute trace_flags, 0: none */
	struct str sender, full_name, filter, redirect, verp, envelope_id;
	uint32_t ret;
	struct str message_id; /* from the extracted segment */
	struct queue_attribute *attributes;
	size_t attribute_count;
	int64_t first_recipient_offset; /* where queue_file_recipients starts */
};

struct queue_file {
	int fd;
	struct stat status; /* at open */
	struct record_reader reader;
	int64_t
	    walked; /* bytes of records since the walk began: a pointer loop shows here */
	int64_t extracted;  /* offset of the X record, 0: not known yet */
	int64_t recipients; /* where these begin, 0: not known */
};

/* For files that are not in a queue (postcat, tests): takes over an open descriptor. */
MUST_USE int queue_file_take(struct queue_file *f, int fd);

/* Opens (locked with flock when `lock`). 0; -EWOULDBLOCK: somebody else holds it;
 * -EBUSY: mode not ready yet; -errno. `write`: for marking. */
MUST_USE int queue_file_open(struct queue_file *f, const char *queue, struct str id,
    bool write, bool lock, uid_t owner);
/* For those whom qmgr sends to a message: as above, without lock. What lies in incoming
 * or at a place (queue_dir.h) may be in active by now. -EINVAL: it is in none of these.
 */
MUST_USE int queue_file_open_active(
    struct queue_file *f, struct str queue, struct str id, bool write, uid_t owner);
/* Of a file at a place (queue_dir.h): does a message of this id lie in it, perhaps? Its
 * arrival time tells for sure. The caller holds a lock, or it may be gone the next
 * moment.
 */
MUST_USE bool queue_file_lies(struct queue_file *f, struct str id);
void queue_file_close(struct queue_file *f);

/* Strict reading of everything but recipients; checks that the end record is there and
 * that the size record fits. Strings live in the arena. -EBADMSG: corrupt, `reason` says
 * how, in the words of the log ("missing end record"). */
MUST_USE int queue_file_envelope(struct queue_file *f, struct arena *a,
    struct queue_envelope *e_r, struct buf *reason);

/* The arrival time, of the first bytes of a queue file: its second record. */
#define QUEUE_FRONT_MAX 512
MUST_USE bool queue_arrival(struct str front, struct timeval *arrival_r);

/* The same for listings: what comes after the first segment may be damaged. */
MUST_USE int queue_file_glance(struct queue_file *f, struct arena *a,
    struct queue_envelope *e_r, struct buf *reason);

/* The same for those whom qmgr sends to a message that it read to its end: what stands
 * before the recipients, and where the content is; how many recipients there are makes no
 * difference. A file without recipients or size record is read to its content. */
MUST_USE int queue_file_head(struct queue_file *f, struct arena *a,
    struct queue_envelope *e_r, struct buf *reason);

/* An address that readers take: at most ADDRESS_MAX bytes, none of them a control. */
bool queue_recipient_valid(struct str address);
/* Up to `max` recipients that are not done, from *offset on (0: from the start); *offset
 * moves on, and is -1 after the last one (extracted segment included). Count or -EBADMSG,
 * -errno. */
MUST_USE ssize_t queue_file_recipients(struct queue_file *f, struct arena *a,
    int64_t *offset, struct queue_recipient *out, size_t max);

const char *queue_attribute(
    const struct queue_envelope *e, const char *name); /* or NULL */

/* Content, line by line: data without line end; *whole_r false for a part of a longer
 * line (L). 1, 0 at the end of the segment, -EBADMSG, -errno. Follows pointers. */
void queue_file_content_start(struct queue_file *f, const struct queue_envelope *e);
MUST_USE int queue_file_content_next(
    struct queue_file *f, struct str *line_r, bool *whole_r);

/* Turns R at `offset` into D after checking that an R record stands there (D already:
 * fine). 0, -EBADMSG, -errno. The caller has synced what the mark stands for. */
MUST_USE int queue_file_mark_done(struct queue_file *f, int64_t offset);
/* The same with an attribute (A) that shall not count any more (K). */
MUST_USE int queue_file_kill_attribute(struct queue_file *f, int64_t offset);
/* Rewrites the time of the W record in place. */
MUST_USE int queue_file_set_warn(struct queue_file *f, int64_t offset, int64_t when);

#endif
