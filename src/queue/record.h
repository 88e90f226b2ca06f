/*
 * Records of queue and maildrop files (doc/queue-file.md): one type byte, a length as
 * little-endian base-128 number of at most 5 bytes, data. The reader treats every file as
 * hostile: lengths are bounded before memory is taken, nothing is read past the end.
 */
#ifndef QUEUE_RECORD_H
#define QUEUE_RECORD_H

#include <stdbool.h>
#include "base/buf.h"

/* The characters are the bytes in the file. One row each: name, byte, label of postcat.
 */
#define RECORD_TYPES(R)                             \
	R(SIZE, 'C', "message_size")                \
	R(TIME, 'T', "message_arrival_time")        \
	R(CREATED, 'c', "create_time")              \
	R(FULL_NAME, 'F', "sender_fullname")        \
	R(INSPECTOR, 'I', "content_inspector")      \
	R(FILTER, 'L', "content_filter")            \
	R(SENDER, 'S', "sender")                    \
	R(DONE, 'D', "done_recipient")              \
	R(RECIPIENT, 'R', "recipient")              \
	R(ORIGINAL, 'O', "original_recipient")      \
	R(CANCELLED, '/', "canceled_recipient")     \
	R(WARN, 'W', "warning_message_time")        \
	R(ATTRIBUTE, 'A', "named_attribute")        \
	R(KILLED, 'K', "killed_record")             \
	R(REDIRECT, '>', "redirect_to")             \
	R(FLAGS, 'f', "flags")                      \
	R(DELAY, 'd', "message_delay")              \
	R(MESSAGE, 'M', "message_content")          \
	R(LINE, 'N', "regular_text")                \
	R(PADDING, 'w', "padding")                  \
	R(EXTRACTED, 'X', "header_extracted")       \
	R(RETURN_RECEIPT, 'r', "return_receipt")    \
	R(ERRORS_TO, 'e', "errors_to")              \
	R(PRIORITY, 'P', "priority")                \
	R(POINTER, 'p', "pointer_record")           \
	R(VERP, 'V', "verp_delimiters")             \
	R(DSN_RET, '<', "dsn_return_flags")         \
	R(DSN_ENVID, 'i', "dsn_envelope_id")        \
	R(DSN_ORCPT, 'o', "dsn_original_recipient") \
	R(DSN_NOTIFY, 'n', "dsn_notify_flags")      \
	R(END, 'E', "message_end")
/* In the content segment 'L' is text without line end ("unterminated_text"). */
#define RECORD_PART RECORD_FILTER

enum record_type {
#define RECORD_ENUM(name, byte, label) RECORD_##name = (byte),
	RECORD_TYPES(RECORD_ENUM)
#undef RECORD_ENUM
};

#define RECORD_DATA_MAX \
	102400u /* longest data the reader accepts (a pointer edit included) */

const char *record_label(int type, bool in_content); /* NULL: unknown type */

void record_write(struct buf *out, enum record_type type, struct str data);
/* The whole lines that `text` begins with, up to one of `limit` bytes, as RECORD_LINE,
 * which takes no more than twice their bytes. Returns how many bytes of `text` they are.
 */
size_t record_write_lines(struct buf *out, struct str text, size_t limit);
void record_printf(struct buf *out, enum record_type type, const char *format, ...)
    PRINTF_LIKE(3, 4);
void record_attribute(struct buf *out, const char *name, struct str value);
/* The same; there is no NUL in the name. */
void record_named(struct buf *out, struct str name, struct str value);

/* Takes a record off the front of `in`: 1, 0 (more bytes needed), -EBADMSG. */
MUST_USE int record_read(struct str *in, int *type_r, struct str *data_r);

/* Reads records from a file through a window of 64 KB, at any offset. */
struct record_reader {
	int fd;
	off_t offset;      /* of the record that comes next */
	off_t last_offset; /* of the record given last */
	off_t window_at;
	struct buf window;
	off_t size; /* of the file, when that is known: nothing is read beyond */
};
void record_reader_init(struct record_reader *r, int fd, off_t offset);
void record_reader_free(struct record_reader *r);
void record_reader_seek(struct record_reader *r, off_t offset);
/* The byte that the next record begins with, untouched at the end. 0 or -errno. */
MUST_USE int record_reader_peek(struct record_reader *r, char *type_r);
/* 1 a record (data valid until the next call), 0 end of file at a record boundary,
 * -EBADMSG malformed or cut, -errno. Pointers are given as records; queue_file follows
 * them. */
MUST_USE int record_reader_next(struct record_reader *r, int *type_r, struct str *data_r);

#endif
