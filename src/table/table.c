#include "table/table.h"

#include "base/log.h"
#include "base/memory.h"
#include "table/driver.h"
#include "table/source.h"

#define ERROR_MAX 1000

struct table {
	char *name;
	unsigned flags;
	const struct table_driver *driver; /* NULL: unknown type */
	void *state;                       /* NULL: not open, a surrogate */
	struct buf error;
	bool said;
};

static void split(struct str whole, struct str *type_r, struct str *name_r)
{
	ptrdiff_t colon = str_find(whole, ':');
	*type_r = str_slice(whole, 0, colon < 0 ? 0 : (size_t)colon);
	*name_r = str_skip(whole, (size_t)(colon + 1));
}

static void open_state(struct table *t, struct str type_and_name)
{
	struct str type;
	struct str name;
	split(type_and_name, &type, &name);
	if (type.len == 0 || name.len == 0) {
		buf_printf(&t->error,
		    "open dictionary: expecting \"type:name\" form instead of \"%.*s\"",
		    STR_ARG(type_and_name));
		return;
	}
	t->driver = table_driver_find(type);
	if (t->driver == NULL)
		buf_printf(&t->error, "unsupported dictionary type: %.*s", STR_ARG(type));
	else
		t->state = t->driver->open(name, t->flags, &t->error);
}

struct table *table_open(struct str type_and_name, unsigned flags)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(TABLE_VALUE_MAX);
	struct table *t = memory_alloc(sizeof(*t));
	buf_add_str(&name, type_and_name);
	t->name = memory_copy_cstr(buf_cstr(&name));
	t->flags = flags;
	t->error = BUF_INIT(ERROR_MAX);
	open_state(t, type_and_name);
	return t;
}

void table_close(struct table *t)
{
	if (t == NULL)
		return;
	if (t->state != NULL && t->driver->close != NULL)
		t->driver->close(t->state);
	buf_free(&t->error);
	free(t->name);
	free(t);
}

const char *table_name(const struct table *t)
{
	return t->name;
}

bool table_is_fixed(const struct table *t)
{
	if (t->state != NULL && t->driver->is_fixed != NULL)
		return t->driver->is_fixed(t->state);
	return t->driver != NULL && t->driver->fixed;
}

bool table_is_constant(const struct table *t)
{
	return t->state != NULL && t->driver->constant;
}

bool table_changed(struct table *t)
{
	return t->state != NULL && t->driver->changed != NULL &&
	    t->driver->changed(t->state);
}

const char *table_error(const struct table *t)
{
	return t->error.len > 0 ? buf_cstr(&t->error) : NULL;
}

/* The reason was found when it was opened; now somebody wants to know. */
static enum table_result surrogate(struct table *t)
{
	if (!t->said)
		log_warning("%s is unavailable. %s", t->name, buf_cstr(&t->error));
	t->said = true;
	return TABLE_BROKEN;
}

static enum table_result cannot(struct table *t, const char *what)
{
	buf_clear(&t->error);
	buf_printf(&t->error, "table %s: %s operation is not supported", t->name, what);
	return TABLE_BROKEN;
}

static bool folds(const struct table *t)
{
	return (t->flags & (TABLE_FOLD | TABLE_KEY_IS_LINE)) == TABLE_FOLD &&
	    t->driver->fixed;
}

static struct str folded(const struct table *t, struct str key, struct buf *buffer)
{
	if (!folds(t))
		return key;
	table_fold(buffer, key);
	return buf_str(buffer);
}

enum table_result table_lookup(struct table *t, struct str key, struct buf *value)
{
	buf_clear(value);
	if (t->state == NULL)
		return surrogate(t);
	if (key.len == 0 || (key.len > TABLE_KEY_MAX && !(t->flags & TABLE_KEY_IS_LINE)))
		return TABLE_ABSENT;
	CLEANUP(buf_free) struct buf buffer = BUF_INIT(TABLE_KEY_MAX * 3 + 16);
	buf_clear(&t->error);
	enum table_result result =
	    t->driver->lookup(t->state, folded(t, key, &buffer), value, &t->error);
	if (result == TABLE_FOUND && !buf_ok(value)) {
		buf_printf(&t->error, "table %s: result is too long", t->name);
		return TABLE_BROKEN;
	}
	return result;
}

enum table_result table_update(struct table *t, struct str key, struct str value)
{
	if (t->state == NULL)
		return surrogate(t);
	if (t->driver->update == NULL || !(t->flags & TABLE_UPDATE))
		return cannot(t, "update");
	CLEANUP(buf_free) struct buf buffer = BUF_INIT(TABLE_KEY_MAX * 3 + 16);
	buf_clear(&t->error);
	return t->driver->update(t->state, folded(t, key, &buffer), value, &t->error);
}

enum table_result table_remove(struct table *t, struct str key)
{
	if (t->state == NULL)
		return surrogate(t);
	if (t->driver->remove == NULL || !(t->flags & TABLE_UPDATE))
		return cannot(t, "delete");
	if (key.len == 0 || key.len > TABLE_KEY_MAX)
		return TABLE_ABSENT;
	CLEANUP(buf_free) struct buf buffer = BUF_INIT(TABLE_KEY_MAX * 3 + 16);
	buf_clear(&t->error);
	return t->driver->remove(t->state, folded(t, key, &buffer), &t->error);
}

bool table_commit(struct table *t)
{
	if (t->state == NULL)
		return false;
	buf_clear(&t->error);
	return t->driver->commit == NULL || t->driver->commit(t->state, &t->error);
}

enum table_result table_next(
    struct table *t, bool first, struct buf *key, struct buf *value)
{
	if (t->state == NULL)
		return surrogate(t);
	if (t->driver->next == NULL)
		return cannot(t, "sequence");
	buf_clear(key);
	buf_clear(value);
	buf_clear(&t->error);
	return t->driver->next(t->state, first, key, value, &t->error);
}
