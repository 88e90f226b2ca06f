/* Frames of doc/wire.md: writing one, and reading them strictly from a byte stream. */
#ifndef IPC_WIRE_H
#define IPC_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

#define WIRE_PAYLOAD_MAX   262144u
#define WIRE_CHUNK         32768u
#define WIRE_SMALL_MESSAGE 65536u
#define WIRE_WINDOW        262144u
#define WIRE_WINDOW_MIN    4096u
#define WIRE_WINDOW_MAX    16777216u
#define WIRE_FRAME_COST    64u /* of the window, besides the payload */
#define WIRE_EXCHANGES_MAX 1000000u
#define WIRE_HEADER        12u
#define WIRE_VERSION       1u
#define WIRE_NAME_MAX      64u
#define WIRE_HELLO_WAIT_MS 10000

enum wire_kind { WIRE_HELLO = 1, WIRE_MESSAGE, WIRE_CREDIT, WIRE_CANCEL, WIRE_GOAWAY };
#define WIRE_END        1u
#define WIRE_DESCRIPTOR 2u /* reserved: refused as long as no service uses it */

#define WIRE_TYPE_WAKEUP 0xffffu /* master's timer for the service; no payload, END */
#define WIRE_GOAWAY_ALL \
	UINT32_MAX /* "start no new exchange; what you sent will be handled" */

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
/* After wire_frame_read gave 0 for `in`: bytes that surely must come before it can give
 * more (the rest of the header, then the rest of the frame). */
size_t wire_frame_missing(struct str in);
void wire_hello_write(struct buf *out, const struct wire_hello *h);
MUST_USE bool wire_hello_read(struct str payload, struct wire_hello *h_r);

#endif
