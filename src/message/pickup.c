#include "message/pickup.h"

#include "ipc/message_body.h"

IPC_MESSAGE_BODY(pickup_wake, PICKUP_WAKE_FIELDS)
