/*
 * The text as it is changed on its way out: header and body checks (smtp_header_checks
 * and its kin), smtp_generic_maps, 8-bit parts in 7-bit form for servers without
 * 8BITMIME.
 */
#ifndef SMTP_EDIT_H
#define SMTP_EDIT_H

#include "smtp/smtp.h"
#include "smtp_wire/data.h"

void edit_before_jail(void);
/* Whether anything may have to be changed for this server. */
bool edit_is_needed(const struct session *s, const struct delivery *d);
/* Writes the text, `fields` (lines ended by LF) before it, all lines ended. 0, the
 * stream's error, -EBADMSG (corrupt file), or -EAGAIN: a table did not answer (logged).
 */
MUST_USE int edit_send(
    struct session *s, struct delivery *d, struct str fields, struct data_writer *w);

#endif
