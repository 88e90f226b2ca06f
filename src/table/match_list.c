#include "table/match_list.h"

#include <fcntl.h>
#include <limits.h>
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "conf/config_line.h"
#include "table/source.h"

#define SEPARATORS     ", \t\r\n"
#define FILE_MAX_BYTES (64u << 20)
#define FILE_DEPTH_MAX 10
#define NAME_MAX_BYTES (TABLE_KEY_MAX * 3 + 16)

enum element_kind { ELEMENT_TEXT, ELEMENT_NETWORK, ELEMENT_TABLE, ELEMENT_BROKEN };

struct element {
	enum element_kind kind;
	bool negate;
	char *text; /* folded; of a broken one: why */
	struct net_prefix network;
	struct table *table;
};

struct match_list {
	char *title;
	enum match_kind kind;
	unsigned flags;
	struct element *elements;
	size_t count;
	size_t room;
};

static struct element *append(struct match_list *l, enum element_kind kind, bool negate)
{
	if (l->count == l->room) {
		l->room = l->room == 0 ? 8 : l->room * 2;
		l->elements = memory_resize(l->elements, l->room * sizeof(*l->elements));
	}
	struct element *e = &l->elements[l->count++];
	*e = (struct element){.kind = kind, .negate = negate};
	return e;
}

static void append_broken(struct match_list *l, const struct buf *why)
{
	log_warning("%s: %s", l->title, buf_cstr(why));
	append(l, ELEMENT_BROKEN, false)->text = memory_copy_cstr(buf_cstr(why));
}

static void append_text(struct match_list *l, struct str text, bool negate)
{
	CLEANUP(buf_free) struct buf folded = BUF_INIT(text.len * 3 + 16);
	table_fold(&folded, text);
	append(l, ELEMENT_TEXT, negate)->text = memory_copy_cstr(buf_cstr(&folded));
}

/* "1.2.3.4", "1.2.3.0/24", "[::1]/128": nothing that could be a host name. */
static bool looks_like_network(struct str text)
{
	if (text.p[0] == '[')
		return true;
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_digit(text.p[i]) && text.p[i] != '.' && text.p[i] != '/')
			return false;
	return true;
}

static void append_network(struct match_list *l, struct str text, bool negate)
{
	struct net_prefix network;
	const char *why = NULL;
	if (net_prefix_parse(text, false, &network, &why)) {
		append(l, ELEMENT_NETWORK, negate)->network = network;
		return;
	}
	CLEANUP(buf_free) struct buf reason = BUF_INIT(500);
	buf_printf(&reason, "%s in \"%.*s\"", why, STR_ARG(text));
	append_broken(l, &reason);
}

static void parse_list(
    struct match_list *l, struct str list, bool negate, unsigned depth);

static void parse_file(struct match_list *l, struct str name, bool negate, unsigned depth)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	CLEANUP(buf_free) struct buf line = BUF_INIT(FILE_MAX_BYTES);
	CLEANUP(buf_free) struct buf why = BUF_INIT(PATH_MAX + 100);
	char path[PATH_MAX];
	struct config_lines lines;
	unsigned number = 0;
	if (depth == FILE_DEPTH_MAX || !str_to_cstr(name, path, sizeof(path))) {
		buf_printf(&why, "open %.*s: too many nested files", STR_ARG(name));
		append_broken(l, &why);
		return;
	}
	int status = file_read_whole(AT_FDCWD, path, &text);
	if (status < 0) {
		buf_printf(&why, "open file %s: %s", path, strerror(-status));
		append_broken(l, &why);
		return;
	}
	config_lines_init(&lines, buf_str(&text));
	while (config_lines_next(&lines, &line, &number))
		parse_list(l, buf_str(&line), negate, depth + 1);
}

static void parse_element(
    struct match_list *l, struct str word, bool negate, unsigned depth)
{
	while (word.len > 0 && word.p[0] == '!') {
		negate = !negate;
		word = str_skip(word, 1);
	}
	if (word.len == 0) {
		CLEANUP(buf_free) struct buf why = BUF_INIT(100);
		buf_add_cstr(&why, "no pattern after '!'");
		append_broken(l, &why);
	} else if (word.p[0] == '/') {
		parse_file(l, word, negate, depth);
	} else if (l->kind == MATCH_HOSTS && looks_like_network(word)) {
		append_network(l, word, negate);
	} else if (str_find(word, ':') >= 0 && word.p[0] != '[') {
		append(l, ELEMENT_TABLE, negate)->table = table_open(word, TABLE_FOLD);
	} else {
		append_text(l, word, negate);
	}
}

static void parse_list(struct match_list *l, struct str list, bool negate, unsigned depth)
{
	struct str word;
	while (str_next_braced(&list, SEPARATORS, &word))
		parse_element(l, word, negate, depth);
}

struct match_list *match_list_open(
    const char *title, const char *list, enum match_kind kind, unsigned flags)
{
	struct match_list *l = memory_alloc(sizeof(*l));
	l->title = memory_copy_cstr(title);
	l->kind = kind;
	l->flags = flags;
	parse_list(l, str_of(list), false, 0);
	return l;
}

struct match_list *match_list_open_domains(
    const char *title, const char *list, const char *with_parents)
{
	return match_list_open(title, list, MATCH_DOMAINS,
	    str_list_has(str_of(with_parents), title) ? MATCH_PARENTS : 0);
}

void match_list_close(struct match_list *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->count; i++) {
		table_close(l->elements[i].table);
		free(l->elements[i].text);
	}
	free(l->elements);
	free(l->title);
	free(l);
}

bool match_list_changed(struct match_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->elements[i].table != NULL && table_changed(l->elements[i].table))
			return true;
	return false;
}

bool match_list_is_constant(const struct match_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->elements[i].table != NULL &&
		    !table_is_constant(l->elements[i].table))
			return false;
	return true;
}

/* "dom" and ".dom" against a folded name. */
static enum table_result match_text(
    const struct match_list *l, const char *pattern, struct str name)
{
	struct str text = str_of(pattern);
	if (str_equal(text, name))
		return TABLE_FOUND;
	if (l->kind == MATCH_STRINGS || name.len <= text.len || !str_ends(name, text))
		return TABLE_ABSENT;
	if (text.len > 0 && text.p[0] == '.')
		return l->flags & MATCH_PARENTS ? TABLE_ABSENT : TABLE_FOUND;
	return l->flags & MATCH_PARENTS && name.p[name.len - text.len - 1] == '.'
	    ? TABLE_FOUND
	    : TABLE_ABSENT;
}

static enum table_result ask(const struct match_list *l, struct table *t, struct str key)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	enum table_result result = table_lookup(t, key, &value);
	if (result != TABLE_FOUND && result != TABLE_ABSENT)
		log_warning("%s: table lookup problem: %s", l->title, table_name(t));
	return result;
}

/* The whole name, then its parents, where partial keys make sense. */
static enum table_result match_table(
    const struct match_list *l, struct table *t, struct str name)
{
	enum table_result result = ask(l, t, name);
	if (l->kind == MATCH_STRINGS || !table_is_fixed(t))
		return result;
	while (result == TABLE_ABSENT) {
		ptrdiff_t dot = str_find(str_skip(name, 1), '.');
		if (dot < 0 || name.len == 0)
			break;
		name = str_skip(name, (size_t)dot + 1);
		struct str key = l->flags & MATCH_PARENTS ? str_skip(name, 1) : name;
		if (key.len > 0)
			result = ask(l, t, key);
	}
	return result;
}

static enum table_result match_name(
    const struct match_list *l, const struct element *e, struct str name)
{
	switch (e->kind) {
	case ELEMENT_TEXT:
		return match_text(l, e->text, name);
	case ELEMENT_TABLE:
		return match_table(l, e->table, name);
	case ELEMENT_BROKEN:
		return TABLE_BROKEN;
	case ELEMENT_NETWORK:
		break;
	}
	return TABLE_ABSENT;
}

static enum table_result match_address(const struct match_list *l,
    const struct element *e, const struct net_address *address)
{
	if (e->kind == ELEMENT_NETWORK)
		return net_prefix_match(&e->network, address) ? TABLE_FOUND
							      : TABLE_ABSENT;
	if (e->kind != ELEMENT_TABLE)
		return TABLE_ABSENT;
	CLEANUP(buf_free) struct buf text = BUF_INIT(NET_ADDRESS_TEXT_MAX);
	net_address_add_text(&text, address);
	return ask(l, e->table, buf_str(&text));
}

static enum table_result verdict(const struct element *e, enum table_result result)
{
	return result == TABLE_FOUND && e->negate ? TABLE_ABSENT : result;
}

enum table_result match_list_string(struct match_list *l, struct str s)
{
	CLEANUP(buf_free) struct buf folded = BUF_INIT(NAME_MAX_BYTES);
	if (s.len > TABLE_KEY_MAX)
		return TABLE_ABSENT;
	table_fold(&folded, s);
	s = buf_str(&folded);
	for (size_t i = 0; i < l->count; i++) {
		const struct element *e = &l->elements[i];
		enum table_result result = match_name(l, e, s);
		if (result != TABLE_ABSENT)
			return verdict(e, result);
	}
	return TABLE_ABSENT;
}

enum table_result match_list_host(
    struct match_list *l, struct str name, const struct net_address *address)
{
	CLEANUP(buf_free) struct buf folded = BUF_INIT(NAME_MAX_BYTES);
	if (name.len <= TABLE_KEY_MAX)
		table_fold(&folded, name);
	name = buf_str(&folded);
	for (size_t i = 0; i < l->count; i++) {
		const struct element *e = &l->elements[i];
		enum table_result result = match_name(l, e, name);
		if (result == TABLE_ABSENT)
			result = match_address(l, e, address);
		if (result != TABLE_ABSENT)
			return verdict(e, result);
	}
	return TABLE_ABSENT;
}
