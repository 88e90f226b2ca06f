/* The attributes of a pipe service in master.cf that spawn does not have:
 * "flags=DRhu null_sender= user=vmail argv=/usr/bin/x ${recipient}". */
#ifndef PIPE_ATTRIBUTES_H
#define PIPE_ATTRIBUTES_H

#include "base/buf.h"

#define PIPE_EOL_MAX 64

enum pipe_flag {
	PIPE_BLANK_END = 1,    /* B */
	PIPE_DELIVERED_TO = 2, /* D */
	PIPE_FROM_LINE = 4,    /* F */
	PIPE_ORIGINAL_TO = 8,  /* O */
	PIPE_RETURN_PATH = 16, /* R */
	PIPE_FINAL = 32,       /* X */
	PIPE_FOLD_DOMAIN = 64, /* h */
	PIPE_QUOTE = 128,      /* q */
	PIPE_FOLD_LOCAL = 256, /* u */
	PIPE_DOTS = 512,       /* . */
	PIPE_QUOTE_FROM = 1024 /* > */
};

struct pipe_attributes {
	unsigned flags;
	const char *directory, *root; /* may be NULL */
	const char *null_sender;      /* NULL: MAILER-DAEMON */
	char eol[PIPE_EOL_MAX];       /* C escapes undone */
	int64_t size;                 /* most bytes of a message; 0: no limit */
};

/* One word, which stays where it is. False: `error`, in the words of the log; without
 * one, there is no such attribute. */
MUST_USE bool pipe_attributes_take(
    struct pipe_attributes *a, const char *word, struct buf *error);

#endif
