/* Restriction lists, compiled once, before the jail; what is not known is refused when it
 * is reached. */
#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "smtpd/restriction.h"

#define LIST_MAX    1000
#define CLASSES_MAX 200

/* smtpd_restriction_classes: lists with names of the administrator's own. */
struct restriction_class {
	struct str name;
	struct restriction_list *list;
};

static enum verdict run_class(struct evaluation *e, const struct restriction *r)
{
	return restriction_run_list(e, r->list);
}

static const struct restriction_row class_row = {
    "class", run_class, NEEDS_NOTHING, false, false};

static const struct restriction_list *find_class(struct str name)
{
	for (size_t i = 0; i < smtpd.class_count; i++)
		if (str_equal_nocase(smtpd.classes[i].name, name))
			return smtpd.classes[i].list;
	return NULL;
}

static const struct restriction_row *find_row(struct str name)
{
	static const struct {
		const struct restriction_row *rows;
		const size_t *count;
	} groups[] = {
	    {restriction_basic_rows, &restriction_basic_count},
	    {restriction_access_rows, &restriction_access_count},
	    {restriction_verify_rows, &restriction_verify_count},
	};
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
		for (size_t i = 0; i < *groups[g].count; i++)
			if (str_is_nocase(name, groups[g].rows[i].name))
				return &groups[g].rows[i];
	return NULL;
}

struct restriction restriction_named(struct str name)
{
	const struct restriction_list *list = find_class(name);
	return (struct restriction){
	    .row = list != NULL ? &class_row : find_row(name),
	    .argument = name,
	    .list = list,
	};
}

/* A bare "type:table" means the access table of the list's own subject. */
static const char *implied_check(const char *title)
{
	static const struct {
		const char *part, *check;
	} implied[] = {
	    {"client", "check_client_access"},
	    {"helo", "check_helo_access"},
	    {"sender", "check_sender_access"},
	    {"etrn", "check_etrn_access"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(implied); i++)
		if (str_find_str(str_of(title), str_of(implied[i].part)) >= 0)
			return implied[i].check;
	return "check_recipient_access";
}

/* One word (and its table) of a list. */
static struct restriction compile_word(
    struct str word, struct str *rest, const char *title)
{
	struct restriction r = restriction_named(word);
	if (r.row == NULL && str_find(word, ':') >= 0)
		r.row = find_row(str_of(implied_check(title)));
	else if (r.row != NULL && r.row->has_table &&
	    !str_next_braced(rest, " \t\r\n,", &r.argument))
		fatal("parameter %s: %.*s needs a table", title, STR_ARG(word));
	if (r.row != NULL && r.row->has_table)
		r.table = table_open(r.argument, TABLE_FOLD);
	return r;
}

static void compile_list(
    struct restriction_list *list, const char *title, const char *text)
{
	struct str rest = str_of(memory_copy_cstr(text)), word;
	bool warn = false;
	list->items = memory_alloc_array(LIST_MAX, sizeof(*list->items));
	while (str_next_braced(&rest, " \t\r\n,", &word)) {
		if (str_is_nocase(word, "warn_if_reject")) {
			warn = true;
			continue;
		}
		if (list->count == LIST_MAX)
			fatal("parameter %s: more than %d restrictions", title, LIST_MAX);
		struct restriction *r = &list->items[list->count++];
		*r = compile_word(word, &rest, title);
		r->warn_if_reject = warn;
		warn = false;
	}
}

void restriction_compile_classes(void)
{
	struct str rest = str_of(smtpd.params.smtpd_restriction_classes), word;
	smtpd.classes = memory_alloc_array(CLASSES_MAX, sizeof(*smtpd.classes));
	/* All names first: a class may use another one. */
	while (str_next(&rest, " \t\r\n,", &word)) {
		if (smtpd.class_count == CLASSES_MAX)
			fatal("smtpd_restriction_classes: more than %d", CLASSES_MAX);
		smtpd.classes[smtpd.class_count++] = (struct restriction_class){
		    .name = word, .list = memory_alloc(sizeof(struct restriction_list))};
	}
	for (size_t i = 0; i < smtpd.class_count; i++) {
		struct restriction_class *c = &smtpd.classes[i];
		CLEANUP(buf_free) struct buf text = BUF_INIT(CONF_VALUE_MAX);
		CLEANUP(buf_free) struct buf name = BUF_INIT(256);
		buf_add_str(&name, c->name);
		const char *title = memory_copy_cstr(buf_cstr(&name));
		if (!conf_get(service_conf(), c->name, &text))
			log_warning(
			    "smtpd_restriction_classes: %s is not defined", title);
		compile_list(c->list, title, buf_cstr(&text));
	}
}

struct restriction_list *restriction_compile(const char *title, const char *text)
{
	struct restriction_list *list = memory_alloc(sizeof(*list));
	compile_list(list, title, text);
	return list;
}

static bool list_changed(const struct restriction_list *list)
{
	for (size_t i = 0; list != NULL && i < list->count; i++)
		if (list->items[i].table != NULL && table_changed(list->items[i].table))
			return true;
	return false;
}

bool restriction_changed(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(smtpd.restrictions); i++)
		if (list_changed(smtpd.restrictions[i]))
			return true;
	for (size_t i = 0; i < smtpd.class_count; i++)
		if (list_changed(smtpd.classes[i].list))
			return true;
	return false;
}

/* Something that refuses relaying must stand in one of the lists, not behind a plain
 * permit. */
static bool controls_relay(const struct restriction_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct restriction *r = &list->items[i];
		if (r->row == NULL)
			continue;
		if (r->row->controls_relay && !r->warn_if_reject)
			return true;
		if (str_is(str_of(r->row->name), "permit"))
			return false;
	}
	return false;
}

void restriction_require_relay_control(void)
{
	if (controls_relay(smtpd.restrictions[STAGE_RELAY]) ||
	    controls_relay(smtpd.restrictions[STAGE_RECIPIENT]))
		return;
	fatal(
	    "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at "
	    "least one working instance of: reject_unauth_destination, "
	    "defer_unauth_destination, reject, defer, defer_if_permit");
}
