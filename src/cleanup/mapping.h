/*
 * What cleanup does to an address: completed (trivial-rewrite), canonical maps,
 * masquerading; who gets a copy of it (BCC). All table lookups of addresses go through
 * here, so trouble in a table is logged and defers the message in one place.
 */
#ifndef CLEANUP_MAPPING_H
#define CLEANUP_MAPPING_H

#include "cleanup/cleanup.h"

/* Where an address stands: bits, as *_classes name them. */
enum address_use {
	USE_ENVELOPE_SENDER = 1,
	USE_ENVELOPE_RECIPIENT = 2,
	USE_HEADER_SENDER = 4,
	USE_HEADER_RECIPIENT = 8,
};

/* --- lookup.c --- */
/* A list of tables for addresses; NULL maps: not set. */
struct address_table {
	const char *title;
	struct maps *maps;
	bool propagates; /* propagate_unmatched_extensions names it */
};
/* `value` gets what the table says, `extension` what was not matched of the address when
 * the table propagates it. ABSENT also when the table is not set. Trouble is logged and
 * fails the message. */
MUST_USE enum table_result lookup_address(struct message *m, struct address_table *table,
    struct str address, struct buf *value, struct buf *extension);
void lookup_open(struct address_table *table, const char *title, const char *list,
    const char *propagate_as);
bool lookup_changed(struct address_table *table);
/* "<table> map lookup problem", and the message fails with "try again later". */
void lookup_trouble(struct message *m, const char *title);
/* Warns of a table whose entries lead to ever more: `what` about the address is too much.
 */
void lookup_unreasonable(
    struct message *m, const char *title, const char *what, struct str address);
/* An address that a table said: completed, "@domain" with the local part of `source`, the
 * extension added. p NULL: too long. */
struct str lookup_result(
    struct message *m, struct str said, struct str source, struct str extension);

/* --- mapping.c --- */
struct mapping *mapping_open(void); /* NULL: nothing is set */
bool mapping_changed(struct mapping *mapping);
/* Canonical maps and masquerading for this use; gives the address back when nothing
 * applies. Flags of the message count (no_address_mappings). */
struct str mapping_apply(struct message *m, struct str address, enum address_use use);

/* --- bcc.c --- */
struct bcc *bcc_open(void); /* NULL: nothing is set */
bool bcc_changed(struct bcc *bcc);
/* An address that a check asked for. */
struct bcc_wanted {
	struct bcc_wanted *next;
	struct str address;
};
/* Writes the copy's recipient, if there is one. */
void bcc_of_sender(struct message *m);
void bcc_of_recipient(struct message *m, struct str address);
/* Keeps what header or body checks ask for until bcc_write. */
void bcc_add(struct message *m, struct str address);
/* always_bcc and those of checks, behind the content. */
void bcc_write(struct message *m);

#endif
