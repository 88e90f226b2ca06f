/* Changes of parameters in main.cf. */
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/panic.h"
#include "postconf/edit.h"

struct setting {
	struct str name, value;
	size_t found; /* lines with that name */
};

struct settings {
	struct setting *list;
	size_t count;
	struct map *by_name;
};

static void add_setting(struct settings *s, enum edit_kind kind, const char *request)
{
	struct setting *next = &s->list[s->count];
	if (kind == EDIT_SET)
		edit_split(request, &next->name, &next->value);
	else
		*next = (struct setting){.name = str_trim(str_of(request))};
	struct setting *earlier = map_get(s->by_name, next->name);
	if (earlier == NULL) {
		(void)map_set(s->by_name, next->name, next);
		s->count++;
		return;
	}
	if (kind == EDIT_SET)
		log_warning("ignoring earlier request: '%.*s = %.*s'",
		    STR_ARG(earlier->name), STR_ARG(earlier->value));
	earlier->value = next->value;
}

static void put_setting(struct edit_file *f, const struct setting *s)
{
	buf_printf(&f->out, "%.*s = %.*s\n", STR_ARG(s->name), STR_ARG(s->value));
}

/* The name that a line begins to define. */
static struct str name_of(struct str line)
{
	ptrdiff_t end = str_find_any(line, " \t=");
	return str_slice(line, 0, end < 0 ? line.len : (size_t)end);
}

static void rewrite(struct edit_file *f, enum edit_kind kind, const struct settings *s)
{
	struct str rest = buf_str(&f->text);
	struct str line;
	struct setting *current = NULL; /* what the logical line defines, if asked for */
	while (edit_next_line(&rest, &line)) {
		if (edit_is_comment(line)) {
			edit_put(f, "", line);
			continue;
		}
		bool begins = !edit_is_continuation(line);
		if (begins)
			current = map_get(s->by_name, name_of(line));
		if (current == NULL)
			edit_put(f, "", line);
		else if (kind == EDIT_COMMENT)
			edit_put(f, "#", line);
		else if (kind == EDIT_SET && begins)
			put_setting(f, current);
		if (current != NULL && begins)
			current->found++;
	}
}

void edit_parameters(
    struct edit_file *f, enum edit_kind kind, char **requests, size_t count)
{
	struct settings s = {
	    .list = memory_alloc_array(count, sizeof(*s.list)),
	    .by_name = map_new(),
	};
	for (size_t i = 0; i < count; i++)
		add_setting(&s, kind, requests[i]);
	rewrite(f, kind, &s);
	for (size_t i = 0; i < s.count; i++) {
		if (s.list[i].found > 1)
			log_warning("%s: multiple entries for \"%.*s\"", f->path,
			    STR_ARG(s.list[i].name));
		if (s.list[i].found == 0 && kind == EDIT_SET)
			put_setting(f, &s.list[i]);
	}
	map_free(s.by_name);
	free(s.list);
}
