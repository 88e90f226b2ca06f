/*
 * Memory of received messages and of exchanges: kept in pools of the process, so that a
 * frame on a kept connection allocates nothing. What the pools keep is bounded; the rest
 * goes back at once. Internal to src/ipc.
 */
#ifndef IPC_PACKET_H
#define IPC_PACKET_H

#include <stdint.h>
#include "base/list.h"
#include "base/str.h"

struct packet {
	struct list_link link;
	struct packet *next_free;
	uint16_t type;
	uint8_t size_class;
	uint32_t len;
	char bytes[];
};

/* A copy of the payload. The link is initialised. */
struct packet *packet_new(uint16_t type, struct str payload);
void packet_free(struct packet *p); /* NULL is fine */
/* Gives pooled memory back (tests, so that leaks show). */
void packet_pool_clear(void);

#endif
