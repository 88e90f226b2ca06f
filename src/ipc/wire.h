/* Frames of doc/wire.md: writing one, and reading them strictly from a byte stream. */
#ifndef IPC_WIRE_H
#define IPC_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

#define WIRE_PAYLOAD_MAX 262144u
#define WIRE_CHUNK 32768u
#define WIRE_SMALL_MESSAGE 65536u
#define WIRE_WINDOW 262144u
#define WIRE_HEADER 12u
#define WIRE_VERSION 1u
#define WIRE_NAME_MAX 64u

enum wire_kind { WIRE_HELLO = 1, WIRE_MESSAGE, WIRE_CREDIT, WIRE_CANCEL, WIRE_GOAWAY };
#define WIRE_END 1u
#define WIRE_DESCRIPTOR 2u

struct wire_frame {
	uint32_t exchange;
	uint8_t kind, flags;
	uint16_t type;
	struct str payload;
};

struct wire_hello {
	struct str service;
	uint32_t exchanges, window;
};

void wire_frame_write(struct buf *out, const struct wire_frame *f);
/* Takes the first frame off `in` (borrowed, in->p moves): 1 a frame, 0 more bytes needed,
 * -EBADMSG malformed. */
MUST_USE int wire_frame_read(struct str *in, struct wire_frame *f_r);
void wire_hello_write(struct buf *out, const struct wire_hello *h);
MUST_USE bool wire_hello_read(struct str payload, struct wire_hello *h_r);

#endif
