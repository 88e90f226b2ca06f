#include "ipc/wire.h"

#include <errno.h>
#include "base/panic.h"
#include "ipc/little_endian.h"

#define LENGTH_FIELD 4u /* not counted in the length */

void wire_frame_write(struct buf *out, const struct wire_frame *f)
{
	ENSURE(f->payload.len <= WIRE_PAYLOAD_MAX);
	char *p = buf_reserve(out, WIRE_HEADER + f->payload.len);
	if (p == NULL)
		return;
	put_le32(p, (uint32_t)(WIRE_HEADER - LENGTH_FIELD + f->payload.len));
	put_le32(p + 4, f->exchange);
	p[8] = (char)f->kind;
	p[9] = (char)f->flags;
	put_le16(p + 10, f->type);
	if (f->payload.len > 0)
		memcpy(p + WIRE_HEADER, f->payload.p, f->payload.len);
	buf_advance(out, WIRE_HEADER + f->payload.len);
}

static bool flags_fit_kind(const struct wire_frame *f)
{
	if (f->kind == WIRE_MESSAGE)
		return (f->flags & ~WIRE_END) == 0 && f->exchange != 0;
	return f->flags == 0 && f->type == 0;
}

/* What each kind may carry, and whether it is about the connection or an exchange. */
static bool payload_fits_kind(const struct wire_frame *f)
{
	switch (f->kind) {
	case WIRE_HELLO:
		return f->exchange == 0;
	case WIRE_MESSAGE:
		return true;
	case WIRE_CREDIT:
		return f->payload.len == 4;
	case WIRE_CANCEL:
		return f->exchange != 0 && f->payload.len == 0;
	case WIRE_GOAWAY:
		return f->exchange == 0 && f->payload.len == 4;
	default:
		return false;
	}
}

int wire_frame_read(struct str *in, struct wire_frame *f_r)
{
	if (in->len < LENGTH_FIELD)
		return 0;
	uint32_t length = get_le32(in->p);
	if (length < WIRE_HEADER - LENGTH_FIELD ||
	    length > WIRE_HEADER - LENGTH_FIELD + WIRE_PAYLOAD_MAX)
		return -EBADMSG;
	if (in->len < WIRE_HEADER)
		return 0;
	struct wire_frame f = {
	    .exchange = get_le32(in->p + 4),
	    .kind = (uint8_t)in->p[8],
	    .flags = (uint8_t)in->p[9],
	    .type = get_le16(in->p + 10),
	    .payload = {in->p + WIRE_HEADER, length - (WIRE_HEADER - LENGTH_FIELD)},
	};
	/* The header alone can condemn a frame: do not wait for a payload that is not
	 * wanted. */
	if (!flags_fit_kind(&f) || !payload_fits_kind(&f))
		return -EBADMSG;
	if (in->len < LENGTH_FIELD + length)
		return 0;
	*in = str_skip(*in, LENGTH_FIELD + length);
	*f_r = f;
	return 1;
}

size_t wire_frame_missing(struct str in)
{
	if (in.len < WIRE_HEADER)
		return WIRE_HEADER - in.len;
	return LENGTH_FIELD + get_le32(in.p) - in.len;
}

void wire_hello_write(struct buf *out, const struct wire_hello *h)
{
	ENSURE(h->service.len <= WIRE_NAME_MAX);
	char bytes[4 + 2 + 1 + WIRE_NAME_MAX + 8];
	char *p = bytes;
	memcpy(p, "POST", 4);
	put_le16(p + 4, WIRE_VERSION);
	p[6] = (char)h->service.len;
	p += 7;
	memcpy(p, h->service.p, h->service.len);
	p += h->service.len;
	put_le32(p, h->exchanges);
	put_le32(p + 4, h->window);
	p += 8;
	struct wire_frame f = {
	    .kind = WIRE_HELLO,
	    .payload = {bytes, (size_t)(p - bytes)},
	};
	wire_frame_write(out, &f);
}

bool wire_hello_read(struct str payload, struct wire_hello *h_r)
{
	if (payload.len < 7 || !str_starts(payload, STR("POST")))
		return false;
	size_t name_len = (uint8_t)payload.p[6];
	if (get_le16(payload.p + 4) != WIRE_VERSION || name_len == 0 ||
	    name_len > WIRE_NAME_MAX || payload.len != 7 + name_len + 8)
		return false;
	struct str name = {payload.p + 7, name_len};
	if (str_has_control(name))
		return false;
	*h_r = (struct wire_hello){
	    .service = name,
	    .exchanges = get_le32(payload.p + 7 + name_len),
	    .window = get_le32(payload.p + 7 + name_len + 4),
	};
	return true;
}
