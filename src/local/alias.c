/* Aliases (aliases(5)), owner- names, and whose an alias database is. */
#include <sys/stat.h>

#include "base/log.h"
#include "local/local.h"

#define PATH_ROOM 4096

static enum table_result look_up(
    const struct member *m, struct str *matched_r, struct buf *value)
{
	enum table_result found = maps_lookup(local.aliases, m->name, false, value);
	*matched_r = m->name;
	if (found == TABLE_ABSENT && m->extension.len > 0) {
		found = maps_lookup(local.aliases, m->base, false, value);
		*matched_r = m->base;
	}
	return found;
}

/* A database that somebody else than root can write gives no more rights than his. */
static bool owner_of_file(const char *path, const char *suffix, uid_t *uid_r)
{
	char name[PATH_ROOM];
	struct stat status;
	int len = snprintf(name, sizeof(name), "%s%s", path, suffix);
	if (len >= (int)sizeof(name) || stat(name, &status) != 0)
		return true;
	if (status.st_uid == 0 || status.st_uid == *uid_r)
		return true;
	if (*uid_r != 0)
		return false; /* two owners: whose would it be? */
	*uid_r = status.st_uid;
	return true;
}

static bool owner_of_table(const char *name, uid_t *uid_r)
{
	static const char *const suffixes[] = {
	    "", ".db", ".lmdb", ".cdb", ".dbm", ".pag", ".hash.lmdb", ".btree.lmdb"};
	const char *path = strchr(name, ':');
	*uid_r = 0;
	if (path == NULL || path[1] != '/')
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (!owner_of_file(path + 1, suffixes[i], uid_r))
			return false;
	return true;
}

/* False: it is told. *account_r NULL: default_privs. */
static bool find_rights(const struct member *m, const struct account **account_r)
{
	struct arena *a = m->tree->delivery->arena;
	struct account *account = arena_alloc(a, sizeof(*account));
	const char *name = maps_last_name(local.aliases);
	uid_t uid;
	*account_r = NULL;
	if (account == NULL || !owner_of_table(name, &uid)) {
		log_warning("cannot find the owner of alias database %s", name);
		member_later(m, "4.3.0", "cannot find alias database owner");
		return false;
	}
	if (uid == 0 || local.owner.single_user)
		return true;
	if (account_by_uid(a, uid, account, NULL) == TABLE_FOUND) {
		*account_r = account;
		return true;
	}
	log_warning("cannot find alias database owner for %s", name);
	member_later(m, "4.3.0", "cannot find alias database owner");
	return false;
}

static bool take_owner_address(void *context, enum alias_kind kind, struct str text)
{
	struct buf *address = context;
	if (kind != ALIAS_ADDRESS || address->len > 0) {
		buf_clear(address);
		return false;
	}
	buf_add_str(address, text);
	return true;
}

/* With expand_owner_alias what the owner alias leads to, if that is one address. */
static struct str owner_address(
    const struct member *m, const char *name, const struct buf *value)
{
	struct arena *a = m->tree->delivery->arena;
	CLEANUP(buf_free) struct buf one = BUF_INIT(ADDRESS_MAX);
	struct str address = str_of(name), out;
	if (local.params.expand_owner_alias &&
	    alias_text_walk(buf_str(value), take_owner_address, &one) && one.len > 0)
		address = buf_str(&one);
	if (rewrite_addresses(local.rewrite, REWRITE_LOCAL, &address, 1, a, &out) != 0)
		return (struct str){NULL, 0};
	return out;
}

/* owner-NAME takes the bounces of NAME. False: it is told. */
static bool find_owner(const struct member *m, struct str alias, struct member *child)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	struct arena *a = m->tree->delivery->arena;
	const char *name = arena_printf(a, "owner-%.*s", STR_ARG(alias));
	enum table_result found = name == NULL
	    ? TABLE_TRY_LATER
	    : maps_lookup(local.aliases, str_of(name), false, &value);
	if (found == TABLE_ABSENT) {
		if (local.params.reset_owner_alias)
			child->by_owner = false;
		return true;
	}
	if (found == TABLE_FOUND) {
		child->sender = owner_address(m, name, &value);
		child->owned = child->by_owner = child->sender.p != NULL;
	}
	if (found == TABLE_FOUND && child->owned)
		return true;
	member_later(m, "4.3.0", "alias database unavailable");
	return false;
}

static void expand(const struct member *m, struct str alias, struct str value)
{
	struct member child = *m;
	struct str unmatched = STR_EMPTY;
	if (!find_rights(m, &child.account) || !find_owner(m, alias, &child))
		return;
	child.unmatched = str_skip(m->name, alias.len);
	if (local.propagate & ORIGIN_ALIAS)
		unmatched = child.unmatched;
	if (!items_deliver(&child, ORIGIN_ALIAS, value, unmatched)) {
		log_warning(
		    "no recipient in alias lookup result for %.*s", STR_ARG(alias));
		member_later(m, "4.3.0", "alias database unavailable");
	}
}

bool alias_deliver(const struct member *m)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	struct str matched;
	if (maps_empty(local.aliases))
		return false;
	switch (look_up(m, &matched, &value)) {
	case TABLE_FOUND:
		/* Whoever stands behind it: the address that verify asks about exists. */
		if (m->tree->delivery->request.flags & DELIVERY_TELL_VERIFY)
			member_sent(m, "aliased to %s", buf_cstr(&value));
		else
			expand(m, matched, buf_str(&value));
		return true;
	case TABLE_ABSENT:
		return false;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		break;
	}
	member_later(m, "4.3.0", "alias database unavailable");
	return true;
}
