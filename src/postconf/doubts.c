#include "postconf/doubts.h"

#include "base/log.h"
#include "conf/expand.h"
#include "postconf/rows.h"

struct source {
	const struct doubts *doubts;
	const char *file;
};

static bool is_defined(const struct doubts *d, struct str name)
{
	return conf_raw(d->conf, name, true) != NULL || str_is(name, "stress") ||
	    names_find(d->names, name) != NULL || param_find(name) != NULL;
}

static const char *note_name(void *context, struct str name, bool *expand_r)
{
	struct source *s = context;
	*expand_r = false; /* each value is looked at once, by itself */
	if (!is_defined(s->doubts, name))
		log_warning("%s/%s: undefined parameter: %.*s",
		    conf_directory(s->doubts->conf), s->file, STR_ARG(name));
	const char *raw = conf_raw(s->doubts->conf, name, true);
	return raw != NULL ? raw : "";
}

static void check_value(struct source *s, struct str name, struct str value)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(CONF_VALUE_MAX);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	const struct param *p = param_find(name);
	if (p != NULL && p->type == PARAM_RAW)
		return;
	if (!expand_text(value, note_name, s, &out, &error, NULL))
		log_warning("%s", buf_cstr(&error));
}

static void check_setting(
    void *context, const char *name, const char *raw, UNUSED unsigned line)
{
	check_value(context, str_of(name), str_of(raw));
}

static void check_override(void *context, struct str name, struct str value)
{
	check_value(context, name, value);
}

void doubts_undefined(const struct doubts *d)
{
	struct source master = {.doubts = d, .file = "master.cf"};
	struct source main = {.doubts = d, .file = "main.cf"};
	rows_each_override(d->rows, check_override, &master);
	conf_each_set(d->conf, check_setting, &main);
}

static bool is_used(const struct doubts *d, struct str name)
{
	return names_find(d->names, name) != NULL ||
	    references_has(d->references, name) || param_family_find(name) != NULL;
}

static void judge_setting(
    void *context, const char *name, const char *raw, UNUSED unsigned line)
{
	const struct doubts *d = context;
	if (!is_used(d, str_of(name)))
		log_warning("%s/main.cf: unused parameter: %s=%s",
		    conf_directory(d->conf), name, raw);
}

static void judge_override(void *context, struct str name, struct str value)
{
	const struct doubts *d = context;
	if (!is_used(d, name))
		log_warning("%s/master.cf: unused parameter: %.*s=%.*s",
		    conf_directory(d->conf), STR_ARG(name), STR_ARG(value));
}

void doubts_unused_in_main_cf(const struct doubts *d)
{
	struct doubts copy = *d;
	conf_each_set(d->conf, judge_setting, &copy);
}

void doubts_unused_in_master_cf(const struct doubts *d)
{
	struct doubts copy = *d;
	rows_each_override(d->rows, judge_override, &copy);
}
