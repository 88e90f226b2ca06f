/*
 * Header and body checks (content_checks.h) acted upon, and what message_*_characters
 * and strict_* refuse. Everything that is done to a message because of its content is
 * logged here, one shape for all.
 */
#ifndef CLEANUP_CHECKS_H
#define CLEANUP_CHECKS_H

#include "cleanup/cleanup.h"

struct content_checks *checks_open(void); /* NULL: no table is set */

/* What becomes of a field or line. */
enum check_result {
	CHECK_KEEP,
	CHECK_DROP,
	CHECK_REPLACE, /* `replacement` holds the new text */
};
enum check_result checks_header(struct message *m, enum mime_class field_class,
    struct str field, struct buf *replacement);
enum check_result checks_body(
    struct message *m, const struct mime_text *text, struct buf *replacement);

/* MIME that a strict_ parameter forbids: the message is refused. */
void checks_mime(struct message *m, enum mime_trouble trouble, struct str excerpt);

/* --- bytes.c --- */
struct bytes_edit *bytes_open(void); /* NULL: neither parameter is set */
/* Takes bytes out of a line; one that is refused fails the message. */
void bytes_edit(struct message *m, struct buf *line);

/* "QID: reject: content LINE from ...: 5.7.1 text", and the message is refused. */
void checks_reject(
    struct message *m, const char *what, struct str excerpt, struct str text);

#endif
