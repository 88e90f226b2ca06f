/*
 * The next record of a queue file, pointers followed; inside src/queue only. A walk that
 * passes more bytes than the file has goes in circles: -EBADMSG.
 */
#ifndef QUEUE_QUEUE_WALK_H
#define QUEUE_QUEUE_WALK_H

#include "queue/queue_file.h"

void queue_walk_start(struct queue_file *f, int64_t offset);
/* 1 a record, 0 end of file, -EBADMSG, -errno. */
MUST_USE int queue_walk_next(struct queue_file *f, int *type_r, struct str *data_r);

/* Takes a decimal number off the front, between blanks: 1, 0 when there is none any more,
 * -EBADMSG when the next word is no number, or more than `max`. */
MUST_USE int queue_number_next(struct str *rest, int64_t max, int64_t *value_r);

/* The six numbers of a size record (older files have fewer; the rest stays 0). */
#define QUEUE_SIZE_NUMBERS 6
MUST_USE bool queue_size_parse(struct str data, int64_t numbers[QUEUE_SIZE_NUMBERS]);

/* "name=value" in an A record. */
MUST_USE bool queue_attribute_parse(struct str data, struct queue_attribute *r);
/* Belongs to the recipient that follows, not to the message. */
bool queue_attribute_is_recipients(struct str name);

#endif
