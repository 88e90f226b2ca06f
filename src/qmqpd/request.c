#include "qmqpd/request.h"

#include <string.h>

#define FIRST_RECIPIENTS 16

void request_init(struct request *r, struct arena *a, int64_t largest_message)
{
	*r = (struct request){.arena = a};
	buf_init(&r->content, (size_t)largest_message);
}

void request_free(struct request *r)
{
	buf_free(&r->content);
}

/* No address has one, and no queue file could hold it. */
static bool has_nul(struct str address)
{
	return address.len > 0 && memchr(address.p, '\0', address.len) != NULL;
}

static bool add_recipient(struct request *r, struct str address, uint32_t max)
{
	if (r->count == max)
		return false;
	if (r->count == r->room) {
		uint32_t room = r->room == 0 ? FIRST_RECIPIENTS : r->room * 2;
		struct cleanup_recipient *larger =
		    arena_alloc_array(r->arena, room, sizeof(*larger));
		if (larger == NULL)
			return false;
		if (r->count > 0)
			memcpy(larger, r->recipients, r->count * sizeof(*larger));
		r->recipients = larger;
		r->room = room;
	}
	struct str copy = arena_str(r->arena, address);
	r->recipients[r->count++] = (struct cleanup_recipient){.address = copy};
	return copy.p != NULL;
}

enum netstring_result request_read(struct request *r, const struct netstring_source *s,
    const struct request_limits *limits, const char **part_r)
{
	CLEANUP(buf_free) struct buf address = BUF_INIT((size_t)limits->address);
	int64_t all;
	bool ended = false;
	*part_r = "QMQP packet header";
	enum netstring_result result = netstring_length(s, INT64_MAX / 20, &all);
	if (result == NETSTRING_OK) {
		*part_r = "message content";
		result = netstring_read(s, limits->message, &r->content);
	}
	if (result == NETSTRING_OK) {
		*part_r = "sender address";
		result = netstring_read(s, limits->address, &address);
		r->sender = arena_str(r->arena, buf_str(&address));
	}
	if (result == NETSTRING_OK && has_nul(r->sender))
		result = NETSTRING_MALFORMED;
	while (result == NETSTRING_OK) {
		*part_r = "recipient address";
		result = netstring_take(s, ',', &ended);
		if (result != NETSTRING_OK || ended)
			break;
		result = netstring_read(s, limits->address, &address);
		if (result == NETSTRING_OK && has_nul(buf_str(&address)))
			result = NETSTRING_MALFORMED;
		else if (result == NETSTRING_OK &&
		    !add_recipient(r, buf_str(&address), limits->recipients))
			result = NETSTRING_TOO_LONG;
	}
	return result;
}

void request_find_verp(struct request *r, const char *filter)
{
	static const char delimiters[] = "-=";
	struct str suffix = STR("-@[]"), rest = r->sender;
	if (!str_ends(rest, suffix))
		return;
	rest.len -= suffix.len;
	ptrdiff_t at = str_find_last(rest, '@');
	if (at <= 0 || rest.p[at - 1] != delimiters[0] || strchr(filter, '-') == NULL ||
	    strchr(filter, '=') == NULL)
		return;
	const char *sender = arena_printf(r->arena, "%.*s%.*s",
	    STR_ARG(str_slice(rest, 0, (size_t)at - 1)),
	    STR_ARG(str_skip(rest, (size_t)at)));
	if (sender == NULL)
		return;
	r->sender = str_of(sender);
	r->verp = STR("-=");
}
