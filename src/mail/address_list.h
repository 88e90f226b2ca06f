/*
 * Address lists in header fields (RFC 5322 3.4), rewritten with everything that is not an
 * address kept: display names, comments, groups. Also what sendmail -t and command lines
 * hand in ("a, b", "Name <a@b>").
 */
#ifndef MAIL_ADDRESS_LIST_H
#define MAIL_ADDRESS_LIST_H

#include <stdbool.h>
#include "base/buf.h"

/* For each address: internal form in; the callback adds the internal form to put in its
 * place (nothing: the address stays, written anew). Return false to stop. */
typedef bool address_list_each(
    void *context, struct str internal, struct buf *replacement);

/*
 * Walks `text` (a field body, folded lines allowed). With `out`, the rewritten list is
 * added there, tidied as Postfix does (no source routes, quotes only where they are
 * needed, the comments before a bare address behind it, none parted from '>' by blanks),
 * wrapped like Postfix does (", \n\t" after 78 columns is up to the caller's folding);
 * NULL only walks. At most `token_limit` tokens (header_address_token_limit), the rest is
 * kept as it is. False: the callback stopped.
 */
bool address_list_walk(struct str text, size_t token_limit, address_list_each *each,
    void *context, struct buf *out);

#endif
