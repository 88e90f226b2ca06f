/*
 * The texts of notices (bounce_template_file): one template a kind, each a few header
 * fields, an empty line, and a text with $names. The built-in ones are of the same form.
 *
 *	failure_template = <<EOF
 *	Subject: ...
 *
 *	This is the mail system at host $myhostname. ...
 *	EOF
 *
 * The file is an administrator's: what cannot be used in it is told and the built-in
 * template stands. For bounce, and for postconf -t and -b.
 */
#ifndef MAIL_NOTICE_TEMPLATE_H
#define MAIL_NOTICE_TEMPLATE_H

#include "conf/conf.h"

enum notice_template_kind {
	NOTICE_TEMPLATE_FAILURE,
	NOTICE_TEMPLATE_DELAY,
	NOTICE_TEMPLATE_SUCCESS,
	NOTICE_TEMPLATE_VERIFY,
	NOTICE_TEMPLATE_COUNT
};

#define NOTICE_TEMPLATE_FILE_MAX 1000000 /* bytes */

/* Strings live as long as the set. */
struct notice_template {
	const char *kind;   /* "failure" */
	const char *origin; /* the file, or "[built-in]" */
	struct str charset, from, subject;
	struct str postmaster_subject; /* of the postmaster's copy; may be empty */
	struct str text;               /* with $names; ends in a line end */
};

struct notice_templates {
	struct notice_template of[NOTICE_TEMPLATE_COUNT];
	char *source; /* the file */
};

/* What a reader says of a template that it does not take; NULL: nothing. */
typedef void notice_template_warn(const char *text);

/* The built-in templates, and those of the file `path` (NULL or "": none) in place of
 * them. False: `error` ("open PATH: No such file or directory"). */
MUST_USE bool notice_templates_load(struct notice_templates *t, const char *path,
    notice_template_warn *warn, struct buf *error);
/* The same of text in memory, named `path` in messages. */
MUST_USE bool notice_templates_parse(struct notice_templates *t, const char *path,
    struct str text, notice_template_warn *warn, struct buf *error);
void notice_templates_free(struct notice_templates *t);

/* All, as a file of templates. */
void notice_templates_print(const struct notice_templates *t, struct buf *out);

/* The text with its names expanded: those of main.cf, and delay_warning_time_UNIT and
 * maximal_queue_lifetime_UNIT in seconds, minutes, hours, days or weeks. False: `error`.
 */
MUST_USE bool notice_template_expand(const struct notice_template *t, struct conf *conf,
    notice_template_warn *warn, struct buf *out, struct buf *error);

#endif
