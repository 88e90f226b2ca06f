/*
 * For unit tests and fuzz targets of messages: NAME_check reads a payload, prints it,
 * writes it again, and panics unless the bytes are the same. False: the reader refused.
 *
 *	IPC_MESSAGE_CHECK(resolve_request)
 *	... resolve_request_check(payload);
 */
#ifndef IPC_MESSAGE_CHECK_H
#define IPC_MESSAGE_CHECK_H

#include "base/panic.h"
#include "ipc/message.h"
#include "ipc/wire.h"

#define IPC_MESSAGE_CHECK(message)                                                     \
	static UNUSED bool message##_check(struct str payload)                         \
	{                                                                              \
		CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(1u << 22); \
		struct message m;                                                      \
		if (!message##_read(payload, arena, &m))                               \
			return false;                                                  \
		CLEANUP(buf_free) struct buf again = BUF_INIT(WIRE_PAYLOAD_MAX);       \
		CLEANUP(buf_free) struct buf text = BUF_INIT(1u << 20);                \
		message##_write(&again, &m);                                           \
		message##_print(&text, &m);                                            \
		ENSURE(buf_ok(&again) && str_equal(buf_str(&again), payload));         \
		return true;                                                           \
	}

#endif
