/*
 * 8-bit parts in 7-bit form while a message streams through: quoted-printable (RFC 2045
 * 6.7) for parts that say "Content-Transfer-Encoding: 8bit" or "binary", the other parts
 * and encodings unchanged; multipart and message parts say 7bit afterwards. The new field
 * stands last in its header. For servers without 8BITMIME (RFC 6152 3) and for
 * force_mime_input_conversion.
 *
 * It stands between recogniser and writer: it has the same events as the recogniser, so
 * checks and writers of a caller work alike with and without it.
 */
#ifndef MAIL_MIME_CONVERT_H
#define MAIL_MIME_CONVERT_H

#include "mail/mime.h"

struct mime_convert;

/* Makes its own recogniser; events are given on, converted. Lines that it breaks up come
 * out as lines of at most 76 bytes. Never NULL. */
struct mime_convert *mime_convert_new(
    const struct mime_options *options, const struct mime_events *events, void *context);
void mime_convert_free(struct mime_convert *c); /* NULL is fine */
/* The recogniser: feed it with mime_add_line, ask it. */
struct mime *mime_convert_input(struct mime_convert *c);
/* Behind the recogniser's mime_end: gives out what is there of a last line that had no
 * end, as a piece. */
void mime_convert_flush(struct mime_convert *c);

#endif
