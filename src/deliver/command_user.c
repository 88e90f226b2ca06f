#include "deliver/command_user.h"

#include <grp.h>
#include <pwd.h>

#define NAME_ROOM 256

static bool fail(struct buf *error, const char *text, struct str name)
{
	buf_printf(error, "%s%.*s", text, STR_ARG(name));
	return false;
}

static bool find_group(struct str name, gid_t *gid_r, struct buf *error)
{
	char cstring[NAME_ROOM];
	const struct group *entry = NULL;
	if (str_to_cstr(name, cstring, sizeof(cstring)))
		entry = getgrnam(cstring);
	if (entry == NULL)
		return fail(error, "get_service_attr: unknown group: ", name);
	*gid_r = entry->gr_gid;
	return true;
}

static bool find_account(struct str name, uid_t *uid_r, gid_t *gid_r, struct buf *error)
{
	char cstring[NAME_ROOM];
	const struct passwd *entry = NULL;
	if (str_to_cstr(name, cstring, sizeof(cstring)))
		entry = getpwnam(cstring);
	if (entry == NULL)
		return fail(error, "get_service_attr: unknown username: ", name);
	*uid_r = entry->pw_uid;
	*gid_r = entry->pw_gid;
	return true;
}

bool command_user_find(struct str value, const struct command_owner *owner,
    struct as_user *user_r, struct buf *error)
{
	static const char says[] = "user= command-line attribute specifies ";
	struct as_user user = {.switch_ids = !owner->single_user};
	ptrdiff_t colon = str_find(value, ':');
	struct str name = colon < 0 ? value : str_slice(value, 0, (size_t)colon);
	if (owner->single_user) {
		user.uid = owner->uid;
		user.gid = owner->gid;
		*user_r = user;
		return true;
	}
	if (!find_account(name, &user.uid, &user.gid, error) ||
	    (colon >= 0 &&
		!find_group(str_skip(value, (size_t)colon + 1), &user.gid, error)))
		return false;
	if (user.uid == 0 || user.gid == 0) {
		buf_printf(error, "%sroot privileges", says);
		return false;
	}
	if (user.uid == owner->uid || user.gid == owner->gid) {
		buf_printf(error, "%smail system owner %s", says, owner->user);
		return false;
	}
	*user_r = user;
	return true;
}
