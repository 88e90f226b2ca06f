#include "postconf/names.h"

#include "base/memory.h"
#include "base/panic.h"

static void add(struct names *names, const struct name *name)
{
	if (names->count == names->room) {
		names->room = names->room == 0 ? 1024 : names->room * 2;
		names->list =
		    memory_resize(names->list, names->room * sizeof(*names->list));
	}
	names->list[names->count++] = *name;
}

static void add_builtin(struct names *names)
{
	for (size_t i = 0; i < param_all_count; i++) {
		const struct param *p = &param_all[i];
		if (p->status == PARAM_OBSOLETE || p->status == PARAM_OLD_NAME)
			continue;
		const struct name name = {
		    .name = p->name,
		    .class = NAME_BUILTIN,
		    .initial = p->initial,
		    .status = p->status,
		};
		add(names, &name);
	}
}

/* Programs that qmgr hands mail to; `spawn` and `pipe` run commands. */
static bool is_agent(const char *command)
{
	static const char *const agents[] = {
	    "error", "lmtp", "local", "pipe", "smtp", "virtual"};
	for (size_t i = 0; i < ARRAY_SIZE(agents); i++)
		if (strcmp(agents[i], command) == 0)
			return true;
	return false;
}

static bool brings(const struct master_row *row, const char *suffix)
{
	if (strcmp(suffix, "_client_limit") == 0)
		return false; /* ours, for any service: known when set, not listed */
	if (strcmp(suffix, "_time_limit") == 0)
		return strcmp(row->command, "pipe") == 0 ||
		    strcmp(row->command, "spawn") == 0;
	return is_agent(row->command);
}

static void add_service(
    struct names *names, const struct master_row *row, struct arena *arena)
{
	for (size_t i = 0; i < param_families_count; i++) {
		const struct param *family = &param_families[i];
		if (!brings(row, family->name))
			continue;
		struct name name = {
		    .name = arena_printf(arena, "%s%s", row->name, family->name),
		    .class = NAME_SERVICE,
		    .initial = family->initial,
		    .status = family->status,
		};
		ENSURE(name.name != NULL);
		if (param_find(str_of(name.name)) == NULL)
			add(names, &name);
	}
}

struct walk {
	struct names *names;
	const struct references *references;
};

static void add_user(
    void *context, const char *name, UNUSED const char *raw, UNUSED unsigned line)
{
	struct walk *w = context;
	const struct param *p = param_find(str_of(name));
	bool builtin =
	    p != NULL && p->status != PARAM_OBSOLETE && p->status != PARAM_OLD_NAME;
	bool used = references_has(w->references, str_of(name)) ||
	    (p != NULL && p->status == PARAM_OLD_NAME);
	const struct name user = {
	    .name = name, .class = NAME_USER, .status = PARAM_HONOURED};
	if (!builtin && used)
		add(w->names, &user);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

static void sort_unique(struct names *names)
{
	size_t kept = 0;
	qsort(names->list, names->count, sizeof(*names->list), by_name);
	for (size_t i = 0; i < names->count; i++)
		if (kept == 0 || by_name(&names->list[kept - 1], &names->list[i]) != 0)
			names->list[kept++] = names->list[i];
	names->count = kept;
}

void names_collect(struct names *names, struct conf *c, const struct master_cf *rows,
    const struct references *references, struct arena *arena)
{
	struct walk w = {.names = names, .references = references};
	*names = (struct names){.count = 0};
	add_builtin(names);
	for (size_t i = 0; i < rows->count; i++)
		add_service(names, &rows->rows[i], arena);
	if (references != NULL)
		conf_each_set(c, add_user, &w);
	sort_unique(names);
}

void names_free(struct names *names)
{
	free(names->list);
}

const struct name *names_find(const struct names *names, struct str name)
{
	size_t low = 0;
	size_t high = names->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_compare(name, str_of(names->list[middle].name));
		if (order == 0)
			return &names->list[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
