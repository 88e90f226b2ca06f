/* A message with every kind of field, for tests and the fuzz target. */
#ifndef IPC_MESSAGE_SAMPLE_H
#define IPC_MESSAGE_SAMPLE_H

#include "ipc/message_body.h"
#include "ipc/message_check.h"

#define SAMPLE_ITEM_FIELDS(F) \
	F(STR, key, 10)       \
	F(U16, value, 0)
IPC_RECORD(sample_item, SAMPLE_ITEM_FIELDS)

#define SAMPLE_GROUP_FIELDS(F) \
	F(U8, rank, 0)         \
	F(LIST, items, sample_item)
IPC_RECORD(sample_group, SAMPLE_GROUP_FIELDS)

#define SAMPLE_FIELDS(F)        \
	F(U8, small, 0)         \
	F(U16, port, 0)         \
	F(U32, flags, 0)        \
	F(U64, size, 0)         \
	F(I64, offset, 0)       \
	F(BOOL, last, 0)        \
	F(STR, name, 20)        \
	F(BYTES, content, 1000) \
	F(LIST, groups, sample_group)
IPC_MESSAGE(sample, 3, SAFE, SAMPLE_FIELDS)
IPC_MESSAGE_CHECK(sample)

#endif
