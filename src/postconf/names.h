/*
 * The names that postconf knows: built-in parameters, those that a delivery service of
 * master.cf brings (relay_destination_rate_delay), and those that the user made up and
 * uses.
 */
#ifndef POSTCONF_NAMES_H
#define POSTCONF_NAMES_H

#include "base/arena.h"
#include "conf/conf.h"
#include "conf/master_cf.h"
#include "conf/references.h"

enum name_class { NAME_BUILTIN = 1, NAME_SERVICE = 2, NAME_USER = 4, NAME_ALL = 7 };

struct name {
	const char *name;
	enum name_class class;
	const char *initial; /* unexpanded default; NULL: computed, or a user's name */
	enum param_status status;
};

struct names {
	struct name *list; /* sorted */
	size_t count;
	size_t room;
};

/* `references`: what main.cf and master.cf refer to; NULL: built-in and service names
 * only. */
void names_collect(struct names *names, struct conf *c, const struct master_cf *rows,
    const struct references *references, struct arena *arena);
void names_free(struct names *names);
const struct name *names_find(const struct names *names, struct str name);

#endif
