#include "message/bounce.h"

#include "ipc/message_body.h"

IPC_RECORD_BODY(bounce_add_entry, BOUNCE_ADD_FIELDS)
IPC_MESSAGE_BODY(bounce_append, BOUNCE_APPEND_FIELDS)
IPC_MESSAGE_BODY(bounce_send, BOUNCE_SEND_FIELDS)
IPC_MESSAGE_BODY(bounce_one, BOUNCE_ONE_FIELDS)
IPC_MESSAGE_BODY(bounce_reply, BOUNCE_REPLY_FIELDS)
