/*
 * What the files of a session offer each other; for session*.c only. What the rest of the
 * program may ask of a session stands in smtpd.h.
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "smtpd/smtpd.h"

#define SESSION_REPLY_MAX 4096

/* --- session.c --- */
/* Writes what waits for company; 0 or the stream's -errno. */
MUST_USE int session_flush(struct session *s);
const char *session_id_or_noqueue(const struct session *s);
/* Which word for the state that a broken session was in. */
const char *session_last_word(const struct session *s);

/* --- session_command.c --- */
/* The command in s->line: its handler, unless something forbids it. */
void session_run_command(struct session *s, const struct smtp_command *c);
/* The client has sent more than was read. */
bool session_has_input(const struct session *s);
/* It spoke before its turn; closes. */
void session_refuse_pipelining(struct session *s);

/* --- session_end.c --- */
/* Reading or writing failed with this -errno: logs it, closes. */
void session_broken(struct session *s, int error);
/* True at smtpd_hard_error_limit: says so to the client and the log, closes. */
bool session_has_too_many_errors(struct session *s);
/* The last line: which commands there were, and how many of them did well. */
void session_log_disconnect(const struct session *s);

#endif
