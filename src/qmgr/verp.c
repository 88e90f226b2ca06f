/* Variable envelope return paths: list@a to user@b comes from list+user=b@a. */
#include "qmgr/qmgr.h"

#include "mail/address.h"

struct str verp_sender(const struct message *m, struct str recipient, struct buf *space)
{
	struct str sender = m->envelope.sender, marks = m->envelope.verp;
	if (marks.len != 2 || sender.len == 0)
		return sender;
	struct address_parts from = address_split(sender), to = address_split(recipient);
	buf_add_str(space, from.local);
	buf_add_char(space, marks.p[0]);
	buf_add_str(space, to.local);
	buf_add_char(space, marks.p[1]);
	buf_add_str(space, to.domain);
	if (from.domain.len > 0)
		buf_add_char(space, '@');
	buf_add_str(space, from.domain);
	return space->overflow ? sender : buf_str(space);
}
