/*
 * Mail that a daemon writes itself: probes of addresses, transcripts for the postmaster.
 * Cleanup maps its addresses as those of local mail.
 */
#ifndef CLIENT_OWN_MAIL_H
#define CLIENT_OWN_MAIL_H

#include "client/cleanup_client.h"
#include "common_params.h"

struct own_mail {
	struct str sender, recipient; /* internal form; completed by cleanup */
	uint32_t trace_flags;         /* QUEUE_TRACE_..., 0: none */
	uint32_t notify;              /* enum dsn_notify, 0: default */
	bool filter;                  /* header and body checks see it */
	struct str text; /* after Received and Date: header, empty line, body; LF */
};

/* 0: safe with cleanup, and `id_r` says where. -errno: nothing was sent; -EIO: cleanup
 * refused it, and said why in the log. */
MUST_USE int own_mail_send(struct cleanup_client *c, const struct common_params *common,
    const struct own_mail *mail, char id_r[64]);

#endif
