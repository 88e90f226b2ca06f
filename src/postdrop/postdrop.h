/*
 * postdrop's parts:
 *
 *	postdrop.c    main: rights, the dialogue with who called us, waking pickup
 *	input.c       records from standard input, and the signals that may end it
 *	sender.c      local_login_sender_maps: as whom may this user send?
 *	drop.c        the maildrop file: checked records into a commit slot
 */
#ifndef POSTDROP_POSTDROP_H
#define POSTDROP_POSTDROP_H

#include "queue/commit.h"
#include "queue/maildrop.h"

/* Also the exit status: what sendmail turns into words. */
enum drop_status {
	DROP_OK = 0,
	DROP_BAD = 1,
	DROP_WRITE_ERROR = 2,
	DROP_TOO_BIG = 4,
	DROP_DENIED = 512, /* not an exit status: that is DROP_BAD then */
};

/* --- sender.c --- */
struct sender_rules;
/* `null_key` stands for the empty sender in the lists that the tables give. */
struct sender_rules *sender_rules_new(const char *maps, const char *null_key);
void sender_rules_free(struct sender_rules *r);
/* Fatal when a table does not answer. */
MUST_USE bool sender_allowed(struct sender_rules *r, struct str login, struct str sender);

/* --- drop.c --- */
struct drop {
	struct commit_slot *slot;
	struct maildrop_check check;
	int64_t size, size_limit;     /* bytes; limit 0: none */
	struct sender_rules *senders; /* borrowed */
	struct str login;             /* whom they are asked about */
	struct buf reason;
	struct buf record; /* the one that is being written */
};
void drop_init(struct drop *d, struct commit_slot *slot, int64_t size_limit);
void drop_free(struct drop *d); /* removes the file unless drop_finish was called */
enum drop_result {
	DROP_MORE,
	DROP_COMPLETE, /* the end record came: call drop_finish */
	DROP_REFUSED,  /* `reason` says why: nothing is told but that */
	DROP_FAILED,   /* *status_r, which the caller is told */
};
/* The time record that starts the file. */
enum drop_result drop_begin(struct drop *d, enum drop_status *status_r);
enum drop_result drop_record(
    struct drop *d, int type, struct str data, enum drop_status *status_r);
/* The file is safe, or gone. */
enum drop_status drop_finish(struct drop *d);

/* --- input.c --- */
enum input_result {
	INPUT_RECORD,
	INPUT_END,       /* between two records: the caller changed his mind */
	INPUT_MALFORMED, /* a warning was logged */
	INPUT_SIGNAL,    /* HUP, INT, QUIT or TERM */
};
struct input {
	struct buf window;
	size_t used;       /* bytes of the window that were given */
	size_t record_max; /* line_length_limit */
};
/* From here to input_free those signals only end input_next. */
void input_init(struct input *in, size_t record_max);
void input_free(struct input *in);
/* `data_r` is valid until the next call. */
enum input_result input_next(struct input *in, int *type_r, struct str *data_r);
/* The number of the signal that came. */
int input_signal(void);

#endif
