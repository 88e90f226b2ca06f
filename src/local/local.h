/*
 * What the files of local share.
 *
 * Mail for one recipient of a request is a tree: a recipient, or a member that is local
 * too, may be an alias or have a .forward file; its items are addresses, commands, files
 * and lists. Each end of the tree has an outcome of its own (delivery_part) in log and
 * notices. Local members of aliases are delivered at once; others are gathered and handed
 * on as one new message for each sender, at the end. The recipient is marked when all
 * ends are safe.
 */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "base/map.h"
#include "client/cleanup_client.h"
#include "client/rewrite_client.h"
#include "deliver/delivery.h"
#include "deliver/mailbox.h"
#include "deliver/user_file.h"
#include "local_params.h"
#include "mail/alias_text.h"
#include "service/owner.h"
#include "service/service.h"
#include "table/maps.h"

/* Where an item stands; also bits of allow_mail_to_commands and others. */
enum origin {
	ORIGIN_ALIAS = 1,
	ORIGIN_FORWARD = 2,
	ORIGIN_INCLUDE = 4,
};
enum prepend { PREPEND_COMMAND = 1, PREPEND_FILE = 2, PREPEND_FORWARD = 4 };

struct local_state {
	struct local_params params;
	struct owner owner;
	struct maps *aliases, *mailbox_transports, *mailbox_commands,
	    *fallback_transports;
	struct cleanup_client *cleanup;
	struct rewrite_client *rewrite;
	unsigned lock_styles; /* mailbox_delivery_lock */
	int biff;             /* a socket; 0: not opened yet, less: there is none */
	/* Bits of enum origin, and of enum prepend. */
	unsigned propagate, to_commands, to_files, prepend;
};
extern struct local_state local;

/* A user of this machine; strings in the delivery's arena. */
struct account {
	const char *name, *home, *shell;
	struct as_user own; /* who writes his mailbox, and reads his .forward file */
	struct as_user
	    user; /* who runs commands and writes files; default_privs for root */
};

struct batch; /* what goes to others as one new message */

/* The delivery to one recipient of the request. */
struct tree {
	struct delivery *delivery;
	size_t index;
	struct map *seen; /* items met so far; NULL until there are any */
	struct batch *batches;
	size_t items;    /* looked at so far */
	size_t included; /* bytes of lists, so far */
	bool untraced;   /* the message has no Delivered-To field */
};

/* A recipient, or a member on its way. */
struct member {
	struct tree *tree;
	struct str address;   /* internal form; what log lines call it */
	struct str name;      /* its local part in lower case */
	struct str base;      /* without extension */
	struct str extension; /* "" when none */
	struct str unmatched; /* of the alias that led here, "+ext" or "" */
	unsigned level;       /* how deep in the tree, see LEVEL_MAX */
	unsigned origins;     /* of all the items that led here: enum origin */
	enum origin origin;   /* of the last one; 0: the recipient itself */
	bool relayed;         /* by luser_relay, which is done once */
	bool elsewhere;       /* unless it is an alias it goes on as a new message */
	bool no_alias,
	    no_file; /* its own member, or "\name": aliases, .forward are done */
	const struct account *account; /* whose rights commands and files have; NULL:
					* nobody's, default_privs */
	struct str sender;             /* a list's owner, or the request's sender */
	bool owned;                    /* `sender` is a list's owner */
	bool by_owner;                 /* each of its members gets a new message for it */
};

#define LEVEL_MAX 100
/* What one step costs: an alias and the recipient that it leads to, which take room on
 * the stack (some 2 KB); a list, which takes none. */
#define LEVEL_ALIAS   4
#define LEVEL_INCLUDE 1
/* Bytes of all the lists of one tree. */
#define INCLUDED_MAX (2 * (size_t)USER_FILE_MAX)

/* local.c: takes the address apart. False: no memory. */
MUST_USE bool member_name(struct member *m, struct str address);
/* "\\name" of this machine is the mailbox of the name, whatever aliases and the .forward
 * file say. Gives the address without the backslash. */
struct str member_direct(struct member *m, struct str address);
/* Delivery to a name of this machine: alias, user, and what comes after. */
void member_deliver(const struct member *m);

/* outcome.c: an end of the tree. `text`: what the log shows. */
void member_sent(const struct member *m, const char *format, ...) PRINTF_LIKE(2, 3);
void member_failed(const struct member *m, const struct why *why);
void member_later(const struct member *m, const char *code, const char *format, ...)
    PRINTF_LIKE(3, 4);
void member_never(const struct member *m, const char *code, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The index of an outcome to be filled; SIZE_MAX without memory (and that is told). */
MUST_USE size_t member_outcome(const struct member *m);
/* The same for a command or a file: of the failure of those a list's owner hears, of all
 * else (a maildir too) the sender, as in Postfix. */
MUST_USE size_t member_owned_outcome(const struct member *m);
/* True the first time that this tree comes to an end of this kind ('M' mailbox, 'C'
 * command, 'F' file, 'I' list, 'R' resubmission). Beyond duplicate_filter_limit nothing
 * is remembered. */
MUST_USE bool member_is_new(const struct member *m, char kind, struct str text);
/* Was here, by member_is_new. */
bool member_is_known(const struct member *m, char kind, struct str text);
bool member_is_probe(const struct member *m);

/* items.c: the items of an alias, a list or a .forward file that `m` led to. `origin` is
 * where they stand; `unmatched` ("+ext" or "") goes along with addresses. False: there
 * were none. */
bool items_deliver(
    const struct member *m, enum origin origin, struct str text, struct str unmatched);
/* One address in place of `m` (luser_relay). */
void items_deliver_address(const struct member *m, struct str address);

/* alias.c: true: it is an alias, and all is done. */
MUST_USE bool alias_deliver(const struct member *m);
/* look.c: what a user may know of a path. False: `why`. */
struct look {
	int error; /* errno, 0: it is there */
	uid_t uid; /* whose it is */
};
MUST_USE bool look_as(
    const struct as_user *user, const char *path, struct look *look_r, struct why *why);
/* include.c: the list at `path` that `m` led to, `text_r` in `report`. Its commands and
 * files have the rights of *account, which is set where `m` brings none. False: it is
 * told, or the list was here before. */
MUST_USE bool include_read(const struct member *m, struct str path,
    const struct account **account, struct buf *report, struct str *text_r);

/* user.c: true: there is such a user, and all is done. */
MUST_USE bool user_deliver(const struct member *m);
/* The account of this uid or name. ABSENT: none; TRY_LATER: `why`. */
MUST_USE enum table_result account_by_name(
    struct arena *a, struct str name, struct account *account_r, struct why *why);
MUST_USE enum table_result account_by_uid(
    struct arena *a, uid_t uid, struct account *account_r, struct why *why);
/* default_privs. False: `why`. */
MUST_USE bool account_nobody(struct as_user *user_r, struct why *why);

/* destination.c: "|command", /file; and what all mailboxes and files of local share: the
 * caller adds whose and what it is. */
void mailbox_target_fill(const char *path, struct mailbox_target *target);
void command_deliver(
    const struct member *m, const struct account *account, struct str command);
void file_deliver(const struct member *m, struct str path);

/* pass.c: "transport:nexthop" takes the rest of the way; false: `maps` and `plain` have
 * nothing for this name. */
MUST_USE bool pass_deliver(
    const struct member *m, struct maps *maps, const char *title, const char *plain);

/* resubmit.c: one more for the new message from this sender. */
void resubmit_add(const struct member *m);
/* At the end of a tree: all new messages. */
void resubmit_all(struct tree *t);

/* variables.c: $user, $home and others; characters that are not in `filter` become '_'
 * (NULL: all may be). `extension_used_r` may be NULL. False: `error`. */
MUST_USE bool variables_expand(const struct member *m, const struct account *account,
    const char *text, const char *filter, struct buf *out, bool *extension_used_r);
/* The environment of a command ("NAME=value", NULL at the end), or NULL. */
char **variables_environment(const struct member *m, const struct account *account);

#endif
