#include "mail/verp.h"

#include "mail/address.h"

void verp_sender(
    struct buf *out, struct str delimiters, struct str sender, struct str recipient)
{
	struct address_parts from = address_split(sender), to = address_split(recipient);
	buf_add_str(out, from.local);
	buf_add_char(out, delimiters.p[0]);
	buf_add_str(out, to.local);
	if (to.domain.len > 0) {
		buf_add_char(out, delimiters.p[1]);
		buf_add_str(out, to.domain);
	}
	if (from.domain.len > 0) {
		buf_add_char(out, '@');
		buf_add_str(out, from.domain);
	}
}
