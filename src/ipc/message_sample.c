#include "ipc/message_sample.h"

IPC_RECORD_BODY(sample_item, SAMPLE_ITEM_FIELDS)
IPC_RECORD_BODY(sample_group, SAMPLE_GROUP_FIELDS)
IPC_MESSAGE_BODY(sample, SAMPLE_FIELDS)
