#include "message/rewrite.h"

#include "ipc/message_body.h"

IPC_RECORD_BODY(rewrite_address, REWRITE_ADDRESS_FIELDS)
IPC_MESSAGE_BODY(rewrite_request, REWRITE_REQUEST_FIELDS)
IPC_MESSAGE_BODY(rewrite_reply, REWRITE_REPLY_FIELDS)
IPC_MESSAGE_BODY(resolve_request, RESOLVE_REQUEST_FIELDS)
IPC_RECORD_BODY(resolved, RESOLVED_FIELDS)
IPC_MESSAGE_BODY(resolve_reply, RESOLVE_REPLY_FIELDS)
