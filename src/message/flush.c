#include "message/flush.h"

#include "ipc/message_body.h"

IPC_RECORD_BODY(flush_add_entry, FLUSH_ADD_FIELDS)
IPC_MESSAGE_BODY(flush_append, FLUSH_APPEND_FIELDS)
IPC_MESSAGE_BODY(flush_site, FLUSH_SITE_FIELDS)
IPC_MESSAGE_BODY(flush_message, FLUSH_MESSAGE_FIELDS)
IPC_MESSAGE_BODY(flush_reply, FLUSH_REPLY_FIELDS)
