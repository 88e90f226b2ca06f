#include "qmqpd/netstring.h"

#include <errno.h>

const char *netstring_result_text(enum netstring_result r)
{
	static const char *const texts[] = {
	    [NETSTRING_OK] = "",
	    [NETSTRING_LOST] = "lost connection",
	    [NETSTRING_TIMEOUT] = "read/write timeout",
	    [NETSTRING_MALFORMED] = "netstring format error",
	    [NETSTRING_TOO_LONG] = "netstring length exceeds storage limit",
	};
	return texts[r];
}

/* The next byte, not taken yet. */
static enum netstring_result look(const struct netstring_source *s, char *byte_r)
{
	const char *bytes;
	ssize_t len = s->peek(s->context, &bytes);
	if (len == -ETIMEDOUT)
		return NETSTRING_TIMEOUT;
	if (len <= 0)
		return NETSTRING_LOST;
	*byte_r = bytes[0];
	return NETSTRING_OK;
}

enum netstring_result netstring_take(
    const struct netstring_source *s, char c, bool *there_r)
{
	char byte;
	enum netstring_result r = look(s, &byte);
	if (r != NETSTRING_OK)
		return r;
	*there_r = byte == c;
	if (*there_r)
		s->skip(s->context, 1);
	return NETSTRING_OK;
}

enum netstring_result netstring_length(
    const struct netstring_source *s, int64_t max, int64_t *length_r)
{
	int64_t length = 0;
	char byte;
	for (;;) {
		enum netstring_result r = look(s, &byte);
		if (r != NETSTRING_OK)
			return r;
		if (byte != ':' && !ascii_is_digit(byte))
			return NETSTRING_MALFORMED;
		s->skip(s->context, 1);
		if (byte == ':')
			break;
		if (length > INT64_MAX / 10 - 1)
			return NETSTRING_TOO_LONG;
		length = length * 10 + (byte - '0');
		if (length > max)
			return NETSTRING_TOO_LONG;
	}
	*length_r = length;
	return NETSTRING_OK;
}

enum netstring_result netstring_read(
    const struct netstring_source *s, int64_t max, struct buf *out)
{
	int64_t left;
	bool ended = false;
	buf_clear(out);
	enum netstring_result r = netstring_length(s, max, &left);
	while (r == NETSTRING_OK && left > 0) {
		const char *bytes;
		ssize_t len = s->peek(s->context, &bytes);
		if (len <= 0)
			return len == -ETIMEDOUT ? NETSTRING_TIMEOUT
						 : NETSTRING_MALFORMED;
		if (len > left)
			len = (ssize_t)left;
		buf_add_str(out, (struct str){bytes, (size_t)len});
		s->skip(s->context, (size_t)len);
		left -= len;
	}
	if (r != NETSTRING_OK)
		return r;
	r = netstring_take(s, ',', &ended);
	return r == NETSTRING_OK && ended && buf_ok(out) ? r : NETSTRING_MALFORMED;
}
