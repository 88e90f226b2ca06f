#include "service/command_rights.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "base/panic.h"
#include "service/owner.h"
#include "service/service.h"

#define NAME_ROOM 256

static void find_account(struct str name, struct command_rights *r)
{
	char cstring[NAME_ROOM];
	const struct passwd *entry = NULL;
	if (str_to_cstr(name, cstring, sizeof(cstring)))
		entry = getpwnam(cstring);
	if (entry == NULL)
		fatal("get_service_attr: unknown username: %.*s", STR_ARG(name));
	r->uid = entry->pw_uid;
	r->gid = entry->pw_gid;
}

static void find_group(const char *name, struct command_rights *r)
{
	const struct group *entry = getgrnam(name);
	if (entry == NULL)
		fatal("get_service_attr: unknown group: %s", name);
	r->gid = entry->gr_gid;
}

static void find_user(const char *user, struct command_rights *r)
{
	static const char says[] = "user= command-line attribute specifies ";
	const struct owner owner = owner_of(service_common());
	const char *colon = strchr(user, ':');
	r->switch_ids = !owner.single_user;
	if (owner.single_user) {
		r->uid = owner.uid;
		r->gid = owner.gid;
		return;
	}
	find_account(
	    colon != NULL ? (struct str){user, (size_t)(colon - user)} : str_of(user), r);
	if (colon != NULL)
		find_group(colon + 1, r);
	if (r->uid == 0 || r->gid == 0)
		fatal("%sroot privileges", says);
	if (r->uid == owner.uid || r->gid == owner.gid)
		fatal("%smail system owner %s", says, owner.user);
}

static int64_t time_limit(int64_t seconds)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(256);
	buf_printf(&name, "%s_time_limit", service_name());
	if (!conf_get_time(service_conf(), buf_str(&name), 's', seconds, &seconds) ||
	    seconds < 1)
		fatal("bad value of parameter %s", buf_cstr(&name));
	return seconds;
}

struct command_rights command_rights_read(const char *user, int64_t seconds)
{
	struct command_rights r;
	find_user(user, &r);
	r.seconds = time_limit(seconds);
	return r;
}
