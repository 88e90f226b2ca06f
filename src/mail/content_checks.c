#include "mail/content_checks.h"

#include "base/memory.h"
#include "table/maps.h"

/* One for each class of fields, then the body's. */
#define BODY    (MIME_HEADER_NESTED + 1)
#define CLASSES (BODY + 1)

struct content_checks {
	struct maps *maps[CLASSES]; /* NULL: not set */
	const char *titles[CLASSES];
	unsigned allowed;
};

struct content_checks *content_checks_open(const struct content_checks_options *options)
{
	struct content_checks *c = memory_alloc(sizeof(*c));
	const struct content_check_table *tables[CLASSES] = {
	    [MIME_HEADER_PRIMARY] = &options->header,
	    [MIME_HEADER_MIME] = &options->mime,
	    [MIME_HEADER_NESTED] = &options->nested,
	    [BODY] = &options->body};
	c->allowed = options->allowed;
	for (size_t i = 0; i < CLASSES; i++) {
		c->titles[i] = tables[i]->title;
		c->maps[i] =
		    maps_open(tables[i]->title, tables[i]->list, TABLE_KEY_IS_LINE);
		if (!maps_empty(c->maps[i]))
			continue;
		maps_close(c->maps[i]);
		c->maps[i] = NULL;
	}
	return c;
}

void content_checks_close(struct content_checks *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < CLASSES; i++)
		if (c->maps[i] != NULL)
			maps_close(c->maps[i]);
	free(c);
}

bool content_checks_empty(const struct content_checks *c)
{
	for (size_t i = 0; i < CLASSES; i++)
		if (c->maps[i] != NULL)
			return false;
	return true;
}

bool content_checks_body_empty(const struct content_checks *c)
{
	return c->maps[BODY] == NULL;
}

bool content_checks_changed(struct content_checks *c)
{
	bool changed = false;
	for (size_t i = 0; i < CLASSES; i++)
		changed = changed || (c->maps[i] != NULL && maps_changed(c->maps[i]));
	return changed;
}

const char *content_checks_title(const struct content_checks *c, enum mime_class class)
{
	return c->titles[class];
}

const char *content_checks_body_title(const struct content_checks *c)
{
	return c->titles[BODY];
}

static bool ask(struct content_checks *c, size_t i, struct str text, struct buf *value,
    struct content_action *action_r)
{
	enum table_result found = TABLE_ABSENT;
	if (c->maps[i] != NULL && text.len > 0)
		found = maps_lookup(c->maps[i], text, false, value);
	switch (found) {
	case TABLE_FOUND:
		*action_r = content_action_parse(
		    buf_str(value), c->allowed, i != BODY, c->titles[i]);
		return true;
	case TABLE_ABSENT:
		*action_r = (struct content_action){CONTENT_DUNNO, STR_EMPTY};
		return true;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		break;
	}
	return false;
}

bool content_checks_header(struct content_checks *c, enum mime_class field_class,
    struct str field, struct buf *value, struct content_action *action_r)
{
	return ask(c, (size_t)field_class, field, value, action_r);
}

bool content_checks_body(struct content_checks *c, struct str line, struct buf *value,
    struct content_action *action_r)
{
	return ask(c, BODY, line, value, action_r);
}
