/* What pickup understands (public/pickup): a file was dropped. The answer is the same
 * message: pickup has heard. */
#ifndef MESSAGE_PICKUP_H
#define MESSAGE_PICKUP_H

#include "ipc/message.h"

#define PICKUP_WAKE_FIELDS(F) F(U8, reserved, 0)
IPC_MESSAGE(pickup_wake, 1, SAFE, PICKUP_WAKE_FIELDS)

#endif
