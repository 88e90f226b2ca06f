/*
 * "flags=DORX" behind the program's name in master.cf: what is put before each message,
 * as a mailbox would have it, and whether this is the end of the way.
 */
#ifndef SMTP_FLAGS_H
#define SMTP_FLAGS_H

#include "smtp/smtp.h"

/* Reads the words of the row; fatal when one is unknown. The last flags= counts. */
void flags_before_jail(void);
/* False: the delivery may not go on, and all have their outcome. Fields that name a
 * recipient are for deliveries of one; with D, who had the message once does not get it
 * again. */
bool flags_permit(struct delivery *d);
/* This is the end of the way (X, lmtp_assume_final): where the server knows nothing of
 * notices, those of success say "delivered", not "relayed". */
bool flags_final(void);
/* The lines that stand before the text, each ended by LF, generic maps applied. False: a
 * table does not answer. */
MUST_USE bool flags_fields(struct delivery *d, struct buf *out);

#endif
