/* randmap:{one, two, ...}: one of the values, by chance, whatever is asked. */
#include "base/memory.h"
#include "base/random.h"
#include "table/braces.h"
#include "table/driver.h"

#define VALUES_MAX 1000

struct values {
	char *text;
	struct str list[VALUES_MAX];
	uint32_t count;
};

static void close_values(void *state)
{
	struct values *v = state;
	free(v->text);
	free(v);
}

static void *open_randmap(struct str name, UNUSED unsigned flags, struct buf *error)
{
	CLEANUP(buf_free) struct buf copy = BUF_INIT(TABLE_VALUE_MAX);
	struct values *v = memory_alloc(sizeof(*v));
	buf_add_str(&copy, name);
	v->text = memory_copy_cstr(buf_cstr(&copy));
	struct str rest = str_of(v->text);
	struct str word;
	bool good = name.len > 0 && name.p[0] == '{' && braces_strip(&rest) == NULL;
	while (good && str_next_braced(&rest, ", \t\r\n", &word)) {
		good = v->count < VALUES_MAX &&
		    (word.p[0] != '{' || braces_strip(&word) == NULL);
		if (good)
			v->list[v->count++] = word;
	}
	if (good && v->count > 0)
		return v;
	buf_printf(error, "bad syntax: \"randmap:%.*s\"; need \"randmap:{value...}\"",
	    STR_ARG(name));
	close_values(v);
	return NULL;
}

static enum table_result lookup(
    void *state, UNUSED struct str key, struct buf *value, UNUSED struct buf *error)
{
	const struct values *v = state;
	buf_add_str(value, v->list[random_below(v->count)]);
	return TABLE_FOUND;
}

const struct table_driver table_driver_randmap = {
    .type = "randmap",
    .fixed = true,
    .open = open_randmap,
    .close = close_values,
    .lookup = lookup,
};
