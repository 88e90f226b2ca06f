#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "conf/computed.h"
#include "conf/conf_private.h"
#include "conf/config_line.h"
#include "conf/expand.h"

/* Bytes of main.cf, of one logical line of it, and of all that a configuration holds. */
#define FILE_MAX_BYTES  (16u << 20)
#define LINE_MAX_BYTES  1000000u
#define ARENA_MAX_BYTES (128u << 20)

struct setting {
	const char *name;
	const char *raw;
	unsigned line;
	struct setting *next; /* file order */
};

struct conf {
	char *directory;
	struct arena *arena;
	struct map *overrides; /* all three: struct setting */
	struct map *file;
	struct map *computed;
	struct setting *first;
	struct setting **last;
	bool computing; /* a computed default asks for another name */
};

enum split { SPLIT_OK, SPLIT_NO_NAME, SPLIT_NO_EQUALS };

/* "name = value": blanks around both are dropped, none is allowed in the name. */
static enum split split_assignment(
    struct str line, struct str *name_r, struct str *value_r)
{
	struct str text = str_trim(line);
	if (text.len > 0 && text.p[0] == '=')
		return SPLIT_NO_NAME;
	ptrdiff_t equals = str_find(text, '=');
	if (equals < 0)
		return SPLIT_NO_EQUALS;
	struct str name = str_trim(str_slice(text, 0, (size_t)equals));
	if (str_find_any(name, " \t\r\n\v\f") >= 0)
		return SPLIT_NO_EQUALS;
	*name_r = name;
	*value_r = str_trim(str_skip(text, (size_t)equals + 1));
	return SPLIT_OK;
}

static struct setting *new_setting(struct conf *c, struct str name, struct str raw)
{
	struct setting *s = arena_alloc(c->arena, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->name = arena_cstr(c->arena, name);
	s->raw = arena_cstr(c->arena, raw);
	return s->name == NULL || s->raw == NULL ? NULL : s;
}

static bool set_from_file(
    struct conf *c, struct str name, struct str raw, const char *path, unsigned line)
{
	struct setting *known = map_get(c->file, name);
	if (known != NULL) {
		if (!str_equal(str_of(known->raw), raw))
			log_warning("%s, line %u: overriding earlier entry: %.*s=%s",
			    path, line, STR_ARG(name), known->raw);
		known->raw = arena_cstr(c->arena, raw);
		known->line = line;
		return known->raw != NULL;
	}
	struct setting *s = new_setting(c, name, raw);
	if (s == NULL)
		return false;
	s->line = line;
	*c->last = s;
	c->last = &s->next;
	(void)map_set(c->file, name, s);
	return true;
}

static bool load_line(
    struct conf *c, struct str line, const char *path, unsigned number, struct buf *error)
{
	struct str name;
	struct str value;
	if (ascii_is_space(line.p[0])) {
		log_warning("%s: logical line must not start with whitespace: \"%.*s\"",
		    path, STR_ARG(str_slice(line, 0, 200)));
		return true;
	}
	switch (split_assignment(line, &name, &value)) {
	case SPLIT_NO_NAME:
		buf_printf(error, "%s, line %u: missing attribute name: \"%.*s\"", path,
		    number, STR_ARG(line));
		return false;
	case SPLIT_NO_EQUALS:
		buf_printf(error,
		    "%s, line %u: missing '=' after attribute name: \"%.*s\"", path,
		    number, STR_ARG(line));
		return false;
	case SPLIT_OK:
		break;
	}
	if (!set_from_file(c, name, value, path, number)) {
		buf_printf(
		    error, "%s, line %u: too much text in this file", path, number);
		return false;
	}
	return true;
}

static bool load_text(
    struct conf *c, struct str text, const char *path, struct buf *error)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(LINE_MAX_BYTES);
	struct config_lines lines;
	unsigned number = 0;
	if (str_find(text, '\0') >= 0) {
		buf_printf(error, "%s: file contains a NUL byte", path);
		return false;
	}
	config_lines_init(&lines, text);
	while (config_lines_next(&lines, &line, &number)) {
		if (!buf_ok(&line)) {
			buf_printf(error, "%s, line %u: line too long", path, number);
			return false;
		}
		if (!load_line(c, buf_str(&line), path, number, error))
			return false;
	}
	return true;
}

static bool load_file(struct conf *c, struct buf *error)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	CLEANUP(buf_free) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	buf_printf(&path, "%s/main.cf", c->directory);
	int status = buf_ok(&path) ? file_read_whole(AT_FDCWD, buf_cstr(&path), &text)
				   : -ENAMETOOLONG;
	if (status < 0) {
		buf_printf(error, "open %s/main.cf: %s", c->directory, strerror(-status));
		return false;
	}
	return load_text(c, buf_str(&text), buf_cstr(&path), error);
}

struct conf *conf_load(const char *directory, struct buf *error)
{
	struct conf *c = memory_alloc(sizeof(*c));
	c->directory = memory_copy_cstr(directory != NULL ? directory : "");
	c->arena = arena_new(ARENA_MAX_BYTES);
	c->overrides = map_new();
	c->file = map_new();
	c->computed = map_new();
	c->last = &c->first;
	if (directory != NULL && !load_file(c, error)) {
		conf_free(c);
		return NULL;
	}
	return c;
}

void conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	map_free(c->overrides);
	map_free(c->file);
	map_free(c->computed);
	arena_free(c->arena);
	free(c->directory);
	free(c);
}

const char *conf_directory(const struct conf *c)
{
	return c->directory;
}

bool conf_override(struct conf *c, struct str assignment)
{
	struct str name;
	struct str value;
	if (split_assignment(assignment, &name, &value) != SPLIT_OK ||
	    str_find(assignment, '\0') >= 0)
		return false;
	struct setting *s = new_setting(c, name, value);
	if (s == NULL)
		return false;
	(void)map_set(c->overrides, name, s);
	return true;
}

void conf_computed(struct conf *c, const char *name, struct str value)
{
	struct setting *s = new_setting(c, str_of(name), value);
	if (s != NULL)
		(void)map_set(c->computed, str_of(name), s);
}

static const char *raw_as_set(struct conf *c, struct str name)
{
	/* Where we read main.cf is a fact; what main.cf says of it is not. */
	if (c->directory[0] != '\0' && str_is(name, "config_directory"))
		return c->directory;
	struct setting *s = map_get(c->overrides, name);
	if (s == NULL)
		s = map_get(c->file, name);
	return s != NULL ? s->raw : NULL;
}

/* Computed defaults may ask for each other's names once: then for the built-in text. */
static const char *raw_computed(struct conf *c, struct str name)
{
	if (c->computing)
		return "localdomain";
	CLEANUP(buf_free) struct buf text = BUF_INIT(CONF_VALUE_MAX);
	c->computing = true;
	bool found = computed_default(c, name, &text);
	c->computing = false;
	return found ? arena_cstr(c->arena, buf_str(&text)) : NULL;
}

const char *conf_raw(struct conf *c, struct str name, bool or_default)
{
	const char *raw = raw_as_set(c, name);
	if (raw != NULL || !or_default)
		return raw;
	const struct setting *s = map_get(c->computed, name);
	if (s != NULL)
		return s->raw;
	const struct param *p = param_find(name);
	if (p == NULL)
		return NULL;
	return p->initial != NULL ? p->initial : raw_computed(c, name);
}

bool conf_is_set(struct conf *c, struct str name)
{
	return map_get(c->overrides, name) != NULL || map_get(c->file, name) != NULL;
}

/* A raw value is a text in another $language: it goes out as it is. */
static bool is_raw(struct str name)
{
	const struct param *p = param_find(name);
	return p != NULL && p->type == PARAM_RAW;
}

static const char *lookup_raw(void *context, struct str name, bool *expand_r)
{
	*expand_r = !is_raw(name);
	return conf_raw(context, name, true);
}

bool conf_expand(struct conf *c, struct str text, struct buf *out, struct buf *error)
{
	return expand_text(text, lookup_raw, c, out, error, NULL);
}

bool conf_get(struct conf *c, struct str name, struct buf *out)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	const char *raw = conf_raw(c, name, true);
	if (raw == NULL)
		return false;
	if (is_raw(name)) {
		buf_add_cstr(out, raw);
		return true;
	}
	if (!conf_expand(c, str_of(raw), out, &error)) {
		log_warning("parameter %.*s: %s", STR_ARG(name), buf_cstr(&error));
		return false;
	}
	return true;
}

/* The expanded text of a name that is set; 1 found, 0 not set, -1 cannot be expanded. */
static int get_if_set(struct conf *c, struct str name, struct buf *out)
{
	if (!conf_is_set(c, name))
		return 0;
	return conf_get(c, name, out) ? 1 : -1;
}

bool conf_get_int(struct conf *c, struct str name, int64_t fallback, int64_t *r)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(100);
	int found = get_if_set(c, name, &text);
	if (found == 0)
		*r = fallback;
	return found == 0 || (found > 0 && str_to_i64(buf_str(&text), r));
}

bool conf_get_time(
    struct conf *c, struct str name, char unit, int64_t fallback, int64_t *seconds_r)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(100);
	int found = get_if_set(c, name, &text);
	if (found == 0)
		*seconds_r = fallback;
	return found == 0 ||
	    (found > 0 && conf_parse_time(buf_str(&text), unit, seconds_r));
}

const char *conf_keep(struct conf *c, struct str text)
{
	return arena_cstr(c->arena, text);
}

void conf_each_set(struct conf *c,
    void (*call)(void *, const char *name, const char *raw, unsigned line),
    void *argument)
{
	for (const struct setting *s = c->first; s != NULL; s = s->next)
		call(argument, s->name, s->raw, s->line);
}
