/* What qmgr understands (public/qmgr). */
#ifndef MESSAGE_QMGR_H
#define MESSAGE_QMGR_H

#include "ipc/message.h"

/* New files, in incoming or without a name at a place (queue_dir.h; 0: incoming); qmgr
 * believes only what it reads from them. Many ids a frame. `arrival`, wall clock
 * microseconds, tells whether it is this message that lies at the place. `late`: it was
 * announced before, is not settled yet, and shall get a name. May be repeated at will. */
#define QMGR_ID_FIELDS(F)  \
	F(STR, id, 64)     \
	F(U64, place, 0)   \
	F(I64, arrival, 0) \
	F(BOOL, late, 0)
IPC_RECORD(qmgr_id, QMGR_ID_FIELDS)
#define QMGR_INCOMING_FIELDS(F) F(LIST, ids, qmgr_id)
IPC_MESSAGE(qmgr_incoming, 1, SAFE, QMGR_INCOMING_FIELDS)
/* `backlog`: messages announced or seen in incoming that are not active yet. A sender
 * that sees more than a few hundred waits in_flow_delay before it accepts the next. */
#define QMGR_BACKLOG_FIELDS(F) F(U32, backlog, 0)
IPC_MESSAGE(qmgr_backlog, 2, SAFE, QMGR_BACKLOG_FIELDS)

enum qmgr_trigger_flags {
	QMGR_SCAN_INCOMING = 1, /* 'I' */
	QMGR_SCAN_DEFERRED = 2, /* 'D' */
	QMGR_SCAN_ALL = 4,      /* 'A': whatever the time stamp says */
	QMGR_FLUSH_DEAD = 8,    /* 'F': forget dead transports and destinations */
};
#define QMGR_TRIGGER_FIELDS(F) F(U32, flags, 0)
IPC_MESSAGE(qmgr_trigger, 3, SAFE, QMGR_TRIGGER_FIELDS)

#endif
