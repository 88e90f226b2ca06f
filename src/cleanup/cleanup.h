/*
 * cleanup's objects. One struct message lives from a client's submission to the answer;
 *its bytes go into a commit slot.
 *
 *	cleanup.c     main: reserved ids, one exchange a message
 *	message.c     the life of one message: envelope, content, end, commit
 *	recipients.c  rewriting, virtual aliases, duplicates
 *	expanded.c    what the sender is told of his aliases
 *	lookup.c, mapping.c, bcc.c  (mapping.h) tables of addresses
 *	content.c     text into lines, lines into fields and body
 *	checks.c      header and body checks, and what MIME forbids
 *	fold.c        rewritten address lists, in lines
 *	encoded_word.c  names that are not ASCII
 *	header.c      single fields: rewritten, dropped, counted
 *	missing.c     fields that are added
 */
#ifndef CLEANUP_CLEANUP_H
#define CLEANUP_CLEANUP_H

#include "base/map.h"
#include "cleanup_params.h"
#include "client/qmgr_client.h"
#include "client/rewrite_client.h"
#include "mail/header.h"
#include "mail/content_checks.h"
#include "mail/mime_convert.h"
#include "message/cleanup.h"
#include "queue/commit.h"
#include "queue/queue_write.h"
#include "run/fiber.h"
#include "service/service.h"
#include "table/maps.h"
#include "table/match_list.h"
#include "table/source.h"

#define MESSAGE_ARENA (32 * 1024 * 1024) /* recipients after expansion, above all */

struct cleanup_state {
	struct cleanup_params params;
	struct commit *commit;
	struct rewrite_client *rewrite;
	struct qmgr_client *qmgr;
	struct run_timer *late; /* looks after mail without a name */
	bool looking_after;
	struct ipc_client *verify, *trace;
	struct virtual_aliases *virtual_aliases; /* these four are NULL when not set */
	struct mapping *mapping;
	struct bcc *bcc;
	struct content_checks *checks;
	struct bytes_edit *bytes; /* message_strip_characters and _reject_ */
	struct match_list *mydestination;
	bool drops[HEADER_COUNT]; /* message_drop_headers */
	struct mime_options mime;
};
extern struct cleanup_state cleanup;

/* What is done to addresses in the header (local_header_rewrite_clients). */
enum header_rewriting {
	HEADER_AS_IT_IS = 0,
	HEADER_REWRITE_LOCAL = REWRITE_LOCAL,
	HEADER_REWRITE_REMOTE = REWRITE_REMOTE, /* remote_header_rewrite_domain */
};

struct message {
	struct arena *arena;
	struct commit_slot *slot;
	char id[QUEUE_ID_MAX];
	struct cleanup_submit envelope;
	struct buf *out;            /* of the slot: records not yet in the file */
	struct queue_size size;     /* the C record */
	struct str first_recipient; /* seen, for duplicates */
	struct map *recipients;     /* all that were seen, or NULL: there was but one */
	struct str sender;          /* as it stands in the file */
	struct str last_recipient;  /* for log lines */
	struct expanded *expanded;  /* recipients to be told of */
	uint32_t expanded_count;
	struct bcc_wanted *bccs;
	/* Of cleanup_late: what comes after the content does not change how it is read.
	 */
	uint32_t late_flags;
	struct str late_filter, late_redirect;
	struct cleanup_recipient *late_copies;
	uint32_t late_copies_count;
	struct str filter, redirect; /* what checks ask for */
	const char *mime_refusal;    /* said at the end; NULL: none */
	struct str returned; /* the filter that returns refused mail to its sender */
	enum header_rewriting rewriting;
	enum cleanup_status status; /* first trouble */
	const char *reason;         /* in words of its own, or NULL */
	/* content.c */
	struct mime *mime;
	struct mime_convert *convert; /* force_mime_input_conversion: owns `mime` */
	struct buf line;              /* the line that is being collected */
	bool in_body, first_line_done;
	bool edits_bytes;    /* message_strip_characters and _reject_ apply */
	bool plain;          /* the rest is body that nobody looks at */
	bool line_is_part;   /* pieces of the line that is collected are out already */
	bool unchecked;      /* a check said PASS, or a mistake makes looking useless */
	bool announces_8bit; /* a Content-Transfer-Encoding: 8bit */
	int64_t text_size;
	/* header.c */
	unsigned hops;
	bool seen[HEADER_COUNT];
	bool resent;
	struct str message_id, resent_message_id;
};

/* --- message.c --- */
/* Serves a submission from its first frame to the answer. */
void message_serve(struct ipc_exchange *x, struct str payload);
/* Records the first trouble; later ones change nothing. */
void message_fail(struct message *m, enum cleanup_status status, const char *reason);
/* Bad content: the client is told, or, when nobody waits for an answer (CLEANUP_BOUNCE),
 * the message is taken and returned. `reason` begins with an enhanced status. */
void message_refuse(struct message *m, enum cleanup_status status, const char *reason);
/* Address or header field: when it needs SMTPUTF8, and it was asked to be found out, the
 * message is marked (smtputf8_autodetect_classes). */
void message_detect_utf8(struct message *m, struct str text);
void message_write_out(struct message *m);         /* when `out` is full enough */
int64_t message_position(const struct message *m); /* of the next record in the file */

/* --- cleanup.c --- */
/* The slot that this connection reserved under `id`, or that nobody holds any more; an
 * empty id reserves one. NULL: trouble. */
struct commit_slot *slot_take(struct ipc_exchange *x, struct str id);
/* Tells qmgr, and goes on telling until the message is settled. */
void announce(const struct commit_message *m);

/* --- recipients.c --- */
struct virtual_aliases *recipients_open(void); /* NULL: not set */
bool recipients_changed(struct virtual_aliases *aliases);
void recipients_add(
    struct message *m, const struct cleanup_recipient *list, uint32_t count);
void recipients_add_bcc(struct message *m, struct str address);

/* --- expanded.c --- */
/* Of a recipient with NOTIFY=SUCCESS: his address before the alias, and as he was given.
 * `offset`: of his first record. */
void expanded_add(struct message *m, const struct cleanup_recipient *source,
    struct str address, struct str original, struct str dsn_orcpt, int64_t offset);
/* Before the commit; fails the message when it cannot be told. */
void expanded_tell(struct message *m);
void expanded_forget(const struct message *m); /* nothing came of the message */

/* --- probe.c --- */
/* Tells verify that the address of this probe stands for several. */
void probe_answer(struct message *m, struct str address);
/* Completes an address; gives it back unchanged when that is sure. */
struct str address_complete(
    struct message *m, struct str address, enum rewrite_context context);

/* --- content.c --- */
void content_start(struct message *m);
void content_add_received(struct message *m, struct str fields);
void content_add(struct message *m, struct str text);
void content_end(struct message *m);
void content_release(struct message *m);
/* Lines of a finished field, without final LF. */
void content_write_lines(struct message *m, struct str text);

/* --- encoded_word.c --- */
/* One word in quoted-printable when that is short, else words in base64, a line each. */
void encoded_words(struct str text, const char *charset, struct buf *out);

/* --- header.c --- */
/* A field of the message's own header. */
void header_field(struct message *m, struct str field);
void header_log_message_id(const struct message *m, struct str message_id, bool resent);
/* Logs it, and keeps the first. */
void header_note_message_id(struct message *m, bool resent, struct str message_id);

/* --- missing.c --- */
void header_end(struct message *m);

#endif
