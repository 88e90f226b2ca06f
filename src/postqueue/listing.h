/*
 * Reading what showq says: lists of "name\0value\0", ended by "\0". Strict, with bounds;
 * the server is one of ours, but its bytes are gossip all the same.
 */
#ifndef POSTQUEUE_LISTING_H
#define POSTQUEUE_LISTING_H

#include <stdbool.h>
#include <stdio.h>
#include "base/buf.h"

#define LISTING_VALUE_MAX 65536

struct listing_reader {
	int fd;
	struct buf bytes; /* read and not used yet */
	size_t at;
	struct buf name, value;
};

void listing_reader_init(struct listing_reader *r, int fd);
void listing_reader_free(struct listing_reader *r);
/* 1 an attribute (r->name, r->value), 0 the end of a list, -ENODATA the end of the
 * stream, -EBADMSG, -errno. */
MUST_USE int listing_next(struct listing_reader *r);

/* Print all messages that the reader gives; 0 or what listing_next said. `long_ids`: with
 * the wider columns of enable_long_queue_ids. */
typedef int listing_printer(struct listing_reader *r, FILE *out, bool long_ids);
MUST_USE listing_printer listing_print;      /* postqueue -p */
MUST_USE listing_printer listing_print_json; /* postqueue -j */

/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void json_add_string(struct buf *out, struct str s);

#endif
