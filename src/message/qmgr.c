#include "message/qmgr.h"

#include "ipc/message_body.h"

IPC_RECORD_BODY(qmgr_id, QMGR_ID_FIELDS)
IPC_MESSAGE_BODY(qmgr_incoming, QMGR_INCOMING_FIELDS)
IPC_MESSAGE_BODY(qmgr_backlog, QMGR_BACKLOG_FIELDS)
IPC_MESSAGE_BODY(qmgr_trigger, QMGR_TRIGGER_FIELDS)
