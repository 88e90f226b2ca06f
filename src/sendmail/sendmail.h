/*
 * sendmail's parts:
 *
 *	sendmail.c   main: which of Sendmail's jobs, and who does it
 *	options.c    Sendmail's options
 *	submit.c     the envelope, and the way to postdrop
 *	content.c    the message: lines into records, recipients out of its header
 */
#ifndef SENDMAIL_SENDMAIL_H
#define SENDMAIL_SENDMAIL_H

#include <stdbool.h>
#include "base/buf.h"
#include "sendmail_params.h"

enum sendmail_mode {
	MODE_SUBMIT,
	MODE_LIST,        /* -bp, mailq */
	MODE_FLUSH,       /* -q */
	MODE_FLUSH_SITE,  /* -qRsite */
	MODE_FLUSH_ID,    /* -qIid */
	MODE_DAEMON,      /* -bd, -bl */
	MODE_ALIASES,     /* -bi, -I, newaliases */
	MODE_STAND_ALONE, /* -bs */
	MODE_VERIFY,      /* -bv */
	MODE_NOTHING,     /* -bh, -bH, -q30m: not our business */
};

struct sendmail_options {
	enum sendmail_mode mode;
	const char *argument;                      /* of -qR, -qI */
	const char *alias_file;                    /* -oA, or NULL */
	const char *sender;                        /* -f, -r, or NULL */
	const char *full_name;                     /* -F, or NULL */
	const char *envelope_id, *encoding, *verp; /* or NULL */
	uint32_t notify, ret;
	bool extract;     /* -t */
	bool dot_is_text; /* -i */
	bool remote;      /* -G */
	int verbosity;
	int first_operand; /* in argv */
};

extern struct sendmail_params sendmail_params;

/* Configuration directory (-C, -c) or NULL; sets the verbosity of the log. Before the
 * configuration is read. */
const char *options_directory(int argc, char **argv);
/* Fatal on a bad one. */
void options_parse(struct sendmail_options *o, int argc, char **argv);

/* submit.c: standard input and operands go to postdrop. Returns when all is safe. */
void submit(const struct sendmail_options *o, char *const *operands);

#endif
