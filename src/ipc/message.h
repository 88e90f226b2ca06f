/*
 * Messages declared once: a list of fields gives the struct, the writer, the strict
 * reader, the printer (for debug lines and test failures), a round-trip test and a fuzz
 * target.
 *
 *	#define RESOLVE_REQUEST_FIELDS(F)                    \
 *		F(STR, sender, ADDRESS_MAX)                      \
 *		F(U32, flags, 0)                                 \
 *		F(LIST, recipients, resolve_recipient)
 *	IPC_MESSAGE(resolve_request, 2, SAFE, RESOLVE_REQUEST_FIELDS)   in the header
 *	IPC_MESSAGE_BODY(resolve_request, RESOLVE_REQUEST_FIELDS)       in the .c
 *
 * gives struct resolve_request, RESOLVE types as enum constants resolve_request_type and
 * resolve_request_retry, and
 *	void resolve_request_write(struct buf *out, const struct resolve_request *m);
 *	bool resolve_request_read(struct str payload, struct arena *a, struct
 *resolve_request *m_r); void resolve_request_print(struct buf *out, const struct
 *resolve_request *m);
 *
 * Field kinds: U8 U16 U32 U64 I64 BOOL; STR (third: most bytes; control bytes refused),
 * BYTES (any byte), LIST (third: an IPC_RECORD, declared with its own field list; count
 * field is NAME_count; most IPC_LIST_MAX). The reader borrows STR and BYTES from the
 * payload and takes LIST arrays from the arena; false = malformed or the arena is full.
 * The writer sets out->overflow when a text or list is longer than its field allows, so
 * that buf_ok tells before a peer refuses it. A payload that the reader accepts is the
 * only encoding of its content: ipc/message_check.h makes the round-trip test and the
 * fuzz target of that.
 */
#ifndef IPC_MESSAGE_H
#define IPC_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"

#define IPC_LIST_MAX 20000u

enum ipc_retry { IPC_NEVER, IPC_SAFE };

#define IPC_FIELD_U8(name, arg)    uint8_t name;
#define IPC_FIELD_U16(name, arg)   uint16_t name;
#define IPC_FIELD_U32(name, arg)   uint32_t name;
#define IPC_FIELD_U64(name, arg)   uint64_t name;
#define IPC_FIELD_I64(name, arg)   int64_t name;
#define IPC_FIELD_BOOL(name, arg)  bool name;
#define IPC_FIELD_STR(name, arg)   struct str name;
#define IPC_FIELD_BYTES(name, arg) struct str name;
#define IPC_FIELD_LIST(name, arg) \
	struct arg *name;         \
	uint32_t name##_count;
#define IPC_FIELD(kind, name, arg) IPC_FIELD_##kind(name, arg)

/* Least bytes that a field takes on the wire: bounds list counts before memory is taken.
 */
#define IPC_LEAST_U8               +1
#define IPC_LEAST_U16              +2
#define IPC_LEAST_U32              +4
#define IPC_LEAST_U64              +8
#define IPC_LEAST_I64              +8
#define IPC_LEAST_BOOL             +1
#define IPC_LEAST_STR              +4
#define IPC_LEAST_BYTES            +4
#define IPC_LEAST_LIST             +4
#define IPC_LEAST(kind, name, arg) IPC_LEAST_##kind

#define IPC_RECORD(record, FIELDS)                                    \
	enum { record##_least = 0 FIELDS(IPC_LEAST) };                \
	struct record {                                               \
		FIELDS(IPC_FIELD)                                     \
	};                                                            \
	void record##_write(struct buf *out, const struct record *m); \
	MUST_USE bool record##_read_from(                             \
	    struct str *rest, struct arena *a, struct record *m_r);   \
	MUST_USE bool record##_read(                                  \
	    struct str payload, struct arena *a, struct record *m_r); \
	void record##_print(struct buf *out, const struct record *m);

#define IPC_MESSAGE(message, number, retry, FIELDS)                        \
	enum { message##_type = (number), message##_retry = IPC_##retry }; \
	IPC_RECORD(message, FIELDS)

/* IPC_MESSAGE_BODY and the primitive readers and writers: ipc/message_body.h. */

#endif
