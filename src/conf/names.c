/* Which names are known, and which of those set have no effect. */
#include "conf/conf.h"

#include "conf/references.h"

const struct param *param_find(struct str name)
{
	size_t low = 0;
	size_t high = param_all_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_compare(name, str_of(param_all[middle].name));
		if (order == 0)
			return &param_all[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct param *param_family_find(struct str name)
{
	for (size_t i = 0; i < param_families_count; i++) {
		struct str suffix = str_of(param_families[i].name);
		if (name.len > suffix.len && str_ends(name, suffix))
			return &param_families[i];
	}
	return NULL;
}

struct walk {
	struct references *references;
	void (*call)(const char *name, bool unknown);
};

static void note(void *argument, const char *name, const char *raw, UNUSED unsigned line)
{
	struct walk *w = argument;
	references_add(w->references, str_of(name), str_of(raw));
}

static void judge(
    void *argument, const char *name, UNUSED const char *raw, UNUSED unsigned line)
{
	struct walk *w = argument;
	struct str s = str_of(name);
	const struct param *p = param_find(s);
	if (p == NULL)
		p = param_family_find(s);
	if (p != NULL && p->status == PARAM_NO_EFFECT)
		w->call(name, false);
	else if (p == NULL && !references_has(w->references, s))
		w->call(name, true);
}

void conf_each_without_effect(
    struct conf *c, void (*call)(const char *name, bool unknown))
{
	struct walk w = {.references = references_new(), .call = call};
	conf_each_set(c, note, &w);
	conf_each_set(c, judge, &w);
	references_free(w.references);
}
