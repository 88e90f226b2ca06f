#include "message/delivery.h"

#include "ipc/message_body.h"

IPC_RECORD_BODY(delivery_recipient, DELIVERY_RECIPIENT_FIELDS)
IPC_MESSAGE_BODY(delivery_request, DELIVERY_REQUEST_FIELDS)
IPC_MESSAGE_BODY(delivery_reply, DELIVERY_REPLY_FIELDS)
