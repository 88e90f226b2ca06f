/* What the files of sendmail share: the message as options and standard input give it. */
#ifndef SENDMAIL_SENDMAIL_H
#define SENDMAIL_SENDMAIL_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/buf.h"
#include "sendmail_params.h"

#define RECIPIENTS_MAX 50000

enum sendmail_mode {
	MODE_SUBMIT = 'm',
	MODE_LIST = 'p',
	MODE_DAEMON = 'd',
	MODE_ALIASES = 'i',
	MODE_FLUSH = 'q',
	MODE_SMTP = 's',
	MODE_VERIFY = 'v',
};

struct sendmail {
	enum sendmail_mode mode;
	const char *directory; /* -C, -c */
	const char *sender, *full_name, *envelope_id;
	uint32_t notify, ret;
	bool extract;  /* -t */
	bool dot_ends; /* not -i */
	bool body_8bit;
	int first_operand; /* in argv */
};

struct recipients {
	struct arena *arena;
	struct str *list; /* internal form */
	size_t count;
	bool too_many;
};

/* options.c. Fatal on a bad one. */
void sendmail_options(struct sendmail *s, int argc, char **argv);
extern struct sendmail_params sendmail_params;

/* submit.c. Reads standard input, hands all to postdrop. Exit status. */
int sendmail_submit(struct sendmail *s, char *const *operands);

/* "user(uid): text" and exit status 75. */
NORETURN void sendmail_fatal(const char *format, ...) PRINTF_LIKE(1, 2);
const char *sendmail_user(void);

/* Adds the addresses of a list ("a, Name <b@c>"). */
void recipients_add(struct recipients *r, struct str list);

#endif
