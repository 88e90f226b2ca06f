/* The Received field (RFC 5321 4.4) and the Message-ID and Date we add. */
#ifndef MAIL_RECEIVED_H
#define MAIL_RECEIVED_H

#include "base/buf.h"

struct received {
	struct str helo, client_name, client_address; /* empty helo: "by" form only */
	struct str myhostname, mail_name, protocol, queue_id;
	struct str recipient; /* the only one, or empty; internal form */
	int64_t wall_seconds;
	int64_t uid; /* >= 0: "(Postfix, from userid N)" */
};
/* Lines separated by "\n", continuation with a tab, no final "\n". */
void received_write(struct buf *out, const struct received *r);
/* "20261122032857.76E1142C@mx.lab.test" in <>, time in UTC as Postfix shows it */
void message_id_write(
    struct buf *out, struct str queue_id, struct str myhostname, int64_t wall_seconds);

#endif
