/*
 * Handing a message to cleanup. A stock of reserved queue ids is kept, so an id is there
 * without waiting; unused ones go back with the connection.
 *
 *	m = cleanup_message_new(client, deadline, &error);      id: cleanup_message_id(m)
 *	cleanup_message_begin(m, &envelope)                     then content in any pieces
 *	cleanup_message_add(m, bytes)
 *	cleanup_message_late(m, &late)                          what was decided meanwhile
 *	cleanup_message_finish(m, deadline, &done)              consumes nothing: free m
 *	cleanup_message_free(m)                                 not finished: cancelled
 *
 * Content up to WIRE_SMALL_MESSAGE is kept in memory and goes out in one frame.
 */
#ifndef CLIENT_CLEANUP_CLIENT_H
#define CLIENT_CLEANUP_CLIENT_H

#include "ipc/ipc.h"
#include "message/cleanup.h"

struct cleanup_client;
struct cleanup_message;

/* `stock`: ids to keep ready, 0 for programs that submit now and then. */
struct cleanup_client *cleanup_client_new(struct ipc_client *ipc, unsigned stock);

/* NULL: *error_r (-errno). With stock 0 no id is known before the answer. */
struct cleanup_message *cleanup_message_new(
    struct cleanup_client *c, int64_t deadline, int *error_r);
const char *cleanup_message_id(
    const struct cleanup_message *m); /* "" when not known yet */
/* The id was shown in a log line or reply: when the message is dropped now, cleanup says
 * "removed (canceled)". */
void cleanup_message_shown(struct cleanup_message *m);

/* The envelope is copied into the frame at once; m->id is filled in by us. More
 * recipients than one frame holds are sent in portions. */
MUST_USE int cleanup_message_begin(
    struct cleanup_message *m, struct cleanup_submit *envelope, int64_t deadline);
MUST_USE int cleanup_message_add(
    struct cleanup_message *m, struct str bytes, int64_t deadline);

/* What the envelope did not say yet. At most once, after all content: for a small message
 * too it goes before the end. */
MUST_USE int cleanup_message_late(
    struct cleanup_message *m, const struct cleanup_late *late, int64_t deadline);

struct cleanup_result {
	enum cleanup_status status;
	char id[64];
	char reason[CLEANUP_REASON_MAX + 1];
	int64_t size;
};
/* 0: cleanup answered (look at status). -errno: nothing is known; callers answer 451. */
MUST_USE int cleanup_message_finish(
    struct cleanup_message *m, int64_t deadline, struct cleanup_result *r);
void cleanup_message_free(struct cleanup_message *m);

/* CLEANUP_DETECT_UTF8 when `classes` (smtputf8_autodetect_classes) names this class of
 * mail or "all", else 0. */
uint32_t cleanup_detect_utf8(const char *classes, const char *mail_class);

/* CLEANUP_EXTERNAL without what receive_override_options switches off. */
uint32_t cleanup_receive_flags(const char *options);

/* What a client is told. A reason that begins with an enhanced status has its own: 4.x.x
 * makes a refusal temporary. `text` points into `r` or is constant. */
struct cleanup_reply {
	int code;
	char dsn[12];
	const char *text;
};
struct cleanup_reply cleanup_result_reply(const struct cleanup_result *r);

/* SMTP code and text of a status. */
int cleanup_status_code(enum cleanup_status status);
const char *cleanup_status_text(enum cleanup_status status);

#endif
