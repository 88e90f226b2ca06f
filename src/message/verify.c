#include "message/verify.h"

#include "ipc/message_body.h"

IPC_MESSAGE_BODY(verify_query, VERIFY_QUERY_FIELDS)
IPC_MESSAGE_BODY(verify_update, VERIFY_UPDATE_FIELDS)
IPC_MESSAGE_BODY(verify_reply, VERIFY_REPLY_FIELDS)
