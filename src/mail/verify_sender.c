#include "mail/verify_sender.h"

#include "mail/address.h"

static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZ";
#define DIGITS (sizeof(digits) - 1)

static void add_slice(struct buf *out, int64_t slice)
{
	char text[16];
	size_t at = sizeof(text);
	do {
		text[--at] = digits[slice % (int64_t)DIGITS];
		slice /= (int64_t)DIGITS;
	} while (slice > 0 && at > 0);
	buf_add(out, text + at, sizeof(text) - at);
}

static void write_slice(struct buf *out, const struct verify_sender *s, int64_t slice)
{
	struct address_parts parts = address_split(s->address);
	if (s->address.len == 0 || str_is(s->address, "<>"))
		return;
	buf_add_str(out, parts.local);
	if (s->ttl > 0)
		add_slice(out, slice);
	struct str domain = parts.domain.p != NULL ? parts.domain : s->origin;
	if (domain.len > 0) {
		buf_add_char(out, '@');
		buf_add_str(out, domain);
	}
}

static int64_t slice_of(const struct verify_sender *s, int64_t wall_seconds)
{
	return s->ttl > 0 && wall_seconds > 0 ? wall_seconds / s->ttl : 0;
}

void verify_sender_write(
    struct buf *out, const struct verify_sender *s, int64_t wall_seconds)
{
	write_slice(out, s, slice_of(s, wall_seconds));
}

bool verify_sender_is(
    const struct verify_sender *s, struct str address, int64_t wall_seconds)
{
	int64_t now = slice_of(s, wall_seconds);
	/* Nearly all addresses are told at their beginning. */
	if (s->address.len == 0 ||
	    !str_starts_nocase(address, address_split(s->address).local))
		return false;
	for (int64_t slice = now > 0 ? now - 1 : 0; slice <= now + 1; slice++) {
		CLEANUP(buf_free) struct buf sender = BUF_INIT(ADDRESS_MAX);
		write_slice(&sender, s, slice);
		if (sender.len > 0 && str_equal_nocase(buf_str(&sender), address))
			return true;
	}
	return false;
}
