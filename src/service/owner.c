#include "service/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>
#include "base/panic.h"

static struct owner caller(const struct common_params *common)
{
	return (struct owner){
	    .single_user = true,
	    .user = common->mail_owner,
	    .uid = getuid(),
	    .gid = getgid(),
	    .setgid_group = getgid(),
	};
}

static struct owner kept; /* .user NULL: none */

void owner_keep(const struct owner *o)
{
	kept = *o;
}

struct owner owner_of(const struct common_params *common)
{
	if (kept.user != NULL)
		return kept;
	if (common->posthouse_single_user)
		return caller(common);
	const struct passwd *user = getpwnam(common->mail_owner);
	if (user == NULL)
		fatal(
		    "file %s/main.cf: parameter mail_owner: unknown user name value: %s",
		    common->config_directory, common->mail_owner);
	struct owner o = {
	    .user = common->mail_owner,
	    .uid = user->pw_uid,
	    .gid = user->pw_gid,
	};
	if (o.uid == 0 || o.gid == 0)
		fatal(
		    "file %s/main.cf: parameter mail_owner: user %s has privileged user or "
		    "group ID",
		    common->config_directory, common->mail_owner);
	const struct group *group = getgrnam(common->setgid_group);
	if (group == NULL)
		fatal("file %s/main.cf: parameter setgid_group: unknown group name: %s",
		    common->config_directory, common->setgid_group);
	o.setgid_group = group->gr_gid;
	if (o.setgid_group == 0 || o.setgid_group == o.gid)
		fatal(
		    "file %s/main.cf: parameter setgid_group: group %s is root's, or that of "
		    "mail_owner",
		    common->config_directory, common->setgid_group);
	return o;
}

void owner_become(const struct owner *o)
{
	if (o->single_user)
		return;
	if (setgroups(1, &o->gid) != 0)
		fatal("setgroups(1, %d): %s", (int)o->gid, strerror(errno));
	if (setgid(o->gid) != 0)
		fatal("setgid(%d): %s", (int)o->gid, strerror(errno));
	if (setuid(o->uid) != 0)
		fatal("setuid(%d): %s", (int)o->uid, strerror(errno));
	if (setuid(0) == 0)
		fatal("user %s could become root again", o->user);
}
