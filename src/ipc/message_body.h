/*
 * The bodies behind ipc/message.h: IPC_RECORD_BODY and IPC_MESSAGE_BODY, used once per
 * record in a .c file, and the primitive writers and readers that they consist of.
 * Each reader takes its field off the front of *rest; false: the bytes are not that
 * field.
 */
#ifndef IPC_MESSAGE_BODY_H
#define IPC_MESSAGE_BODY_H

#include "ipc/message.h"

void ipc_put_u8(struct buf *out, uint8_t v);
void ipc_put_u16(struct buf *out, uint16_t v);
void ipc_put_u32(struct buf *out, uint32_t v);
void ipc_put_u64(struct buf *out, uint64_t v);
/* A text longer than its field allows sets out->overflow: it would be refused there. */
void ipc_put_bytes(struct buf *out, struct str v, size_t max);
void ipc_put_count(struct buf *out, uint32_t count);

MUST_USE bool ipc_get_u8(struct str *rest, uint8_t *r);
MUST_USE bool ipc_get_u16(struct str *rest, uint16_t *r);
MUST_USE bool ipc_get_u32(struct str *rest, uint32_t *r);
MUST_USE bool ipc_get_u64(struct str *rest, uint64_t *r);
MUST_USE bool ipc_get_i64(struct str *rest, int64_t *r);
MUST_USE bool ipc_get_bool(struct str *rest, bool *r);
MUST_USE bool ipc_get_bytes(struct str *rest, size_t max, struct str *r);
MUST_USE bool ipc_get_str(
    struct str *rest, size_t max, struct str *r); /* no control bytes */
/* A count that the bytes left can hold, as a record takes at least `least` bytes. */
MUST_USE bool ipc_get_count(struct str *rest, size_t least, uint32_t *r);

void ipc_print_u64(struct buf *out, const char *name, uint64_t v);
void ipc_print_i64(struct buf *out, const char *name, int64_t v);
void ipc_print_str(struct buf *out, const char *name, struct str v);
void ipc_print_list_start(struct buf *out, const char *name, uint32_t count);
void ipc_print_record_start(struct buf *out);
void ipc_print_record_end(struct buf *out);

#define IPC_WRITE_U8(name, arg)    ipc_put_u8(out, m->name);
#define IPC_WRITE_U16(name, arg)   ipc_put_u16(out, m->name);
#define IPC_WRITE_U32(name, arg)   ipc_put_u32(out, m->name);
#define IPC_WRITE_U64(name, arg)   ipc_put_u64(out, m->name);
#define IPC_WRITE_I64(name, arg)   ipc_put_u64(out, (uint64_t)m->name);
#define IPC_WRITE_BOOL(name, arg)  ipc_put_u8(out, m->name ? 1 : 0);
#define IPC_WRITE_STR(name, arg)   ipc_put_bytes(out, m->name, arg);
#define IPC_WRITE_BYTES(name, arg) ipc_put_bytes(out, m->name, arg);
#define IPC_WRITE_LIST(name, arg)                      \
	ipc_put_count(out, m->name##_count);           \
	for (uint32_t i = 0; i < m->name##_count; i++) \
		arg##_write(out, &m->name[i]);
#define IPC_WRITE(kind, name, arg) IPC_WRITE_##kind(name, arg)

#define IPC_READ_OR_FAIL(call) \
	if (!(call))           \
		return false;
#define IPC_READ_U8(name, arg)    IPC_READ_OR_FAIL(ipc_get_u8(&at, &m.name))
#define IPC_READ_U16(name, arg)   IPC_READ_OR_FAIL(ipc_get_u16(&at, &m.name))
#define IPC_READ_U32(name, arg)   IPC_READ_OR_FAIL(ipc_get_u32(&at, &m.name))
#define IPC_READ_U64(name, arg)   IPC_READ_OR_FAIL(ipc_get_u64(&at, &m.name))
#define IPC_READ_I64(name, arg)   IPC_READ_OR_FAIL(ipc_get_i64(&at, &m.name))
#define IPC_READ_BOOL(name, arg)  IPC_READ_OR_FAIL(ipc_get_bool(&at, &m.name))
#define IPC_READ_STR(name, arg)   IPC_READ_OR_FAIL(ipc_get_str(&at, arg, &m.name))
#define IPC_READ_BYTES(name, arg) IPC_READ_OR_FAIL(ipc_get_bytes(&at, arg, &m.name))
#define IPC_READ_LIST(name, arg)                                           \
	IPC_READ_OR_FAIL(ipc_get_count(&at, arg##_least, &m.name##_count)) \
	m.name = arena_alloc_array(a, m.name##_count, sizeof(*m.name));    \
	IPC_READ_OR_FAIL(m.name != NULL || m.name##_count == 0)            \
	for (uint32_t i = 0; i < m.name##_count; i++)                      \
	IPC_READ_OR_FAIL(arg##_read_from(&at, a, &m.name[i]))
#define IPC_READ(kind, name, arg) IPC_READ_##kind(name, arg)

#define IPC_PRINT_U8(name, arg)    ipc_print_u64(out, #name, m->name);
#define IPC_PRINT_U16(name, arg)   ipc_print_u64(out, #name, m->name);
#define IPC_PRINT_U32(name, arg)   ipc_print_u64(out, #name, m->name);
#define IPC_PRINT_U64(name, arg)   ipc_print_u64(out, #name, m->name);
#define IPC_PRINT_I64(name, arg)   ipc_print_i64(out, #name, m->name);
#define IPC_PRINT_BOOL(name, arg)  ipc_print_u64(out, #name, m->name ? 1 : 0);
#define IPC_PRINT_STR(name, arg)   ipc_print_str(out, #name, m->name);
#define IPC_PRINT_BYTES(name, arg) ipc_print_str(out, #name, m->name);
#define IPC_PRINT_LIST(name, arg)                          \
	ipc_print_list_start(out, #name, m->name##_count); \
	for (uint32_t i = 0; i < m->name##_count; i++) {   \
		ipc_print_record_start(out);               \
		arg##_print(out, &m->name[i]);             \
		ipc_print_record_end(out);                 \
	}
#define IPC_PRINT(kind, name, arg) IPC_PRINT_##kind(name, arg)

#define IPC_RECORD_BODY(record, FIELDS)                                             \
	void record##_write(UNUSED struct buf *out, UNUSED const struct record *m)  \
	{                                                                           \
		FIELDS(IPC_WRITE)                                                   \
	}                                                                           \
	bool record##_read_from(                                                    \
	    struct str *rest, UNUSED struct arena *a, struct record *m_r)           \
	{                                                                           \
		struct str at = *rest;                                              \
		struct record m = {0};                                              \
		FIELDS(IPC_READ)                                                    \
		*rest = at;                                                         \
		*m_r = m;                                                           \
		return true;                                                        \
	}                                                                           \
	bool record##_read(struct str payload, struct arena *a, struct record *m_r) \
	{                                                                           \
		struct record m;                                                    \
		if (!record##_read_from(&payload, a, &m) || payload.len != 0)       \
			return false;                                               \
		*m_r = m;                                                           \
		return true;                                                        \
	}                                                                           \
	void record##_print(struct buf *out, const struct record *m)                \
	{                                                                           \
		FIELDS(IPC_PRINT)                                                   \
	}

#define IPC_MESSAGE_BODY(message, FIELDS) IPC_RECORD_BODY(message, FIELDS)

#endif
