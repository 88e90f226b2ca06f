/*
 * Values that are files (postmap -F): a table keeps their content in base64 (RFC 4648),
 * so that certificates and keys fit where text is expected.
 */
#ifndef TABLE_BASE64_H
#define TABLE_BASE64_H

#include <stdbool.h>
#include "base/buf.h"

#define BASE64_VALUE_MAX ((size_t)64 << 20)

/* The content of all files that a list names, a line end between two, in base64. */
MUST_USE bool base64_files(struct str names, struct buf *out, struct buf *error);
void base64_encode(struct buf *out, struct str bytes);
/* Strict: whole groups of four, padding only at the end. */
MUST_USE bool base64_decode(struct buf *out, struct str text);

#endif
