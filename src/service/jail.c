#include "service/service_private.h"

#include <errno.h>
#include <grp.h>
#include <unistd.h>
#include "base/panic.h"
#include "conf/unicode.h"

static void enter_jail(const char *directory)
{
	(void)unicode_library();
	if (chroot(directory) != 0)
		fatal("chroot(%s): %s", directory, strerror(errno));
	if (chdir("/") != 0)
		fatal("chdir(/): %s", strerror(errno));
}

/*
 * The agents that deliver as their recipients keep root as their real user: it becomes
 * effective again only around fork and setuid. Everything else, the parsing of requests
 * above all, runs with the rights of mail_owner.
 */
static void lend_rights(const struct owner *o)
{
	if (setgroups(1, &o->gid) != 0 || setegid(o->gid) != 0 || seteuid(o->uid) != 0)
		fatal("cannot run as %s: %s", o->user, strerror(errno));
}

void service_jail(const struct service_state *s)
{
	if (s->owner.single_user)
		return;
	if (geteuid() != 0) {
		/* By hand, or standing alone below a user's command: no rights to give
		 * up. */
		if (s->options.stand_alone || s->options.by_hand)
			return;
		fatal(
		    "only root can run %s; a user's own instance has posthouse_single_user = yes",
		    s->service->name);
	}
	if (s->options.chroot)
		enter_jail(s->common.queue_directory);
	if (s->options.stand_alone)
		lend_rights(&s->owner); /* mail is submitted as the real user */
	else if (!s->service->root)
		owner_become(&s->owner);
	else if (s->options.drop)
		fatal(
		    "service %s requires a privileged operation: set the unpriv column of "
		    "its master.cf row to n",
		    s->options.name);
	else
		lend_rights(&s->owner);
}
