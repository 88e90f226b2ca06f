/*
 * What proxymap understands (private/proxymap, private/proxywrite): a question to a table
 * that the caller cannot or should not open itself. Declared here and not in src/message,
 * because the table driver "proxy" asks. Both may be repeated: a change says what the
 * entry is to be.
 */
#ifndef TABLE_PROXYMAP_MESSAGE_H
#define TABLE_PROXYMAP_MESSAGE_H

#include "ipc/message.h"

#define PROXYMAP_NAME_MAX  32768
#define PROXYMAP_KEY_MAX   65536
#define PROXYMAP_VALUE_MAX 131072
#define PROXYMAP_ERROR_MAX 1000

enum proxymap_operation { PROXYMAP_LOOKUP, PROXYMAP_UPDATE, PROXYMAP_REMOVE };

/* `table` is "type:name" without "proxy:"; `flags` are enum table_flags. */
#define PROXYMAP_REQUEST_FIELDS(F)       \
	F(U8, operation, 0)              \
	F(U32, flags, 0)                 \
	F(STR, table, PROXYMAP_NAME_MAX) \
	F(BYTES, key, PROXYMAP_KEY_MAX)  \
	F(BYTES, value, PROXYMAP_VALUE_MAX)
IPC_MESSAGE(proxymap_request, 1, SAFE, PROXYMAP_REQUEST_FIELDS)

enum proxymap_result {
	PROXYMAP_FOUND,
	PROXYMAP_ABSENT,
	PROXYMAP_TRY_LATER,
	PROXYMAP_BROKEN,
	PROXYMAP_DENIED, /* not among proxy_read_maps or proxy_write_maps */
};
#define PROXYMAP_REPLY_FIELDS(F)            \
	F(U8, result, 0)                    \
	F(BOOL, fixed, 0)                   \
	F(BYTES, value, PROXYMAP_VALUE_MAX) \
	F(BYTES, error, PROXYMAP_ERROR_MAX)
IPC_MESSAGE(proxymap_reply, 2, SAFE, PROXYMAP_REPLY_FIELDS)

#endif
