#include "table/proxymap_message.h"

#include "ipc/message_body.h"

IPC_MESSAGE_BODY(proxymap_request, PROXYMAP_REQUEST_FIELDS)
IPC_MESSAGE_BODY(proxymap_reply, PROXYMAP_REPLY_FIELDS)
