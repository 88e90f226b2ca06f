/*
 * The items of an alias, an :include: file or a .forward file, in their order. Addresses
 * are completed and resolved together, then each goes its way: an alias is expanded here,
 * and a local member of an alias is delivered here; one of a list or of a user's file,
 * one elsewhere, and every member of a list that has an owner, goes on as a new message,
 * so that it has a status of its own.
 *
 * A list is opened where it stands and its items go before those behind it, but by no
 * call within a call: lists in lists are deeper than a fiber's stack.
 */
#include "local/local.h"

/* Aliases that name others twice, 25 deep, are more than anybody can wait for. */
#define ITEMS_MAX 200000

struct item {
	enum alias_kind kind;
	struct str text;
	bool known;            /* resolved */
	struct resolved where; /* of an address */
};

/* In the arena, as are its texts. */
struct items {
	struct items *outer; /* those that this list stands among; NULL: none */
	struct member parent;
	struct str unmatched;
	struct item *list;
	size_t count, room, addresses;
	size_t next; /* to be delivered */
	bool failed;
};

static bool is_address(const struct item *i)
{
	return i->kind == ALIAS_ADDRESS;
}

static struct arena *arena_of(const struct items *s)
{
	return s->parent.tree->delivery->arena;
}

static bool grow(struct items *s)
{
	size_t room = s->room == 0 ? 16 : s->room * 2;
	struct item *list = arena_alloc_array(arena_of(s), room, sizeof(*list));
	if (list == NULL)
		return false;
	for (size_t i = 0; i < s->count; i++)
		list[i] = s->list[i];
	s->list = list;
	s->room = room;
	return true;
}

/* user@domain and "+ext": user+ext@domain. */
static struct str with_extension(const struct items *s, struct str address)
{
	struct address_parts parts = address_split(address);
	if (s->unmatched.len == 0)
		return arena_str(arena_of(s), address);
	return str_of(parts.domain.p == NULL
		? arena_printf(arena_of(s), "%.*s%.*s", STR_ARG(parts.local),
		      STR_ARG(s->unmatched))
		: arena_printf(arena_of(s), "%.*s%.*s@%.*s", STR_ARG(parts.local),
		      STR_ARG(s->unmatched), STR_ARG(parts.domain)));
}

static bool collect(void *context, enum alias_kind kind, struct str text)
{
	struct items *s = context;
	struct item item = {.kind = kind};
	if (s->count == s->room && !grow(s)) {
		s->failed = true;
		return false;
	}
	if (!is_address(&item))
		item.text = arena_str(arena_of(s), text);
	else if (text.len > 0)
		item.text = with_extension(s, text);
	else
		item.text = str_of(arena_printf(
		    arena_of(s), "MAILER-DAEMON@%s", service_common()->myhostname));
	s->failed = item.text.p == NULL;
	s->addresses += is_address(&item);
	s->list[s->count++] = item;
	return !s->failed;
}

static int resolve_all(struct items *s)
{
	struct arena *a = arena_of(s);
	struct str *in = arena_alloc_array(a, s->addresses, sizeof(*in));
	struct str *out = arena_alloc_array(a, s->addresses, sizeof(*out));
	struct resolved *where = arena_alloc_array(a, s->addresses, sizeof(*where));
	size_t at = 0;
	if (in == NULL || out == NULL || where == NULL)
		return -1;
	for (size_t i = 0; i < s->count; i++)
		if (is_address(&s->list[i]))
			in[at++] = s->list[i].text;
	int error = rewrite_addresses(local.rewrite, REWRITE_LOCAL, in, at, a, out);
	if (error == 0)
		error = rewrite_resolve(local.rewrite,
		    (struct resolve_question){.sender = s->parent.sender}, out, at, a,
		    where);
	for (size_t i = 0; error == 0 && i < s->count; i++) {
		if (!is_address(&s->list[i]))
			continue;
		s->list[i].where = *where++;
		s->list[i].text = *out++;
		s->list[i].known = true;
	}
	return error;
}

static bool is_ours(const struct item *i)
{
	return str_is(i->where.transport, service_name());
}

/* The name of the alias among its members, or of the user in his own file. */
static bool is_self(const struct member *parent, const struct member *m)
{
	if (parent->origin == ORIGIN_FORWARD)
		return parent->account != NULL && str_is(m->base, parent->account->name);
	return str_equal(m->base, parent->base) || str_equal(m->name, parent->name);
}

static void address_deliver(const struct member *parent, const struct item *i)
{
	struct member m = *parent;
	m.no_alias = m.no_file = false;
	struct str address = is_ours(i) ? member_direct(&m, i->text) : i->text;
	bool direct = m.no_file;
	if (!member_name(&m, address)) {
		member_later(parent, "4.3.0", "out of memory for this request");
		return;
	}
	bool self = is_ours(i) && is_self(parent, &m);
	if (self && parent->origin == ORIGIN_FORWARD)
		m.no_alias = m.no_file = true;
	else if (self)
		m.no_alias = true;
	bool forwarded = (m.origins & ~(unsigned)ORIGIN_ALIAS) != 0;
	m.elsewhere = !direct && (m.by_owner || (forwarded && !m.no_file));
	if (is_ours(i)) {
		m.account = NULL;
		member_deliver(&m);
	} else {
		resubmit_add(&m);
	}
}

static void deliver_address_item(const struct member *m, const struct item *i)
{
	if (i->where.flags & RESOLVE_ERROR)
		member_never(
		    m, "5.1.3", "bad recipient address syntax: %.*s", STR_ARG(i->text));
	else if (!i->known || (i->where.flags & RESOLVE_TRY_LATER))
		member_later(m, "4.3.0", "address resolver failure");
	else
		address_deliver(m, i);
}

static void deliver_item(const struct member *m, const struct item *i)
{
	switch (i->kind) {
	case ALIAS_ADDRESS:
		deliver_address_item(m, i);
		break;
	case ALIAS_COMMAND:
		if (local.to_commands & m->origin)
			command_deliver(m, m->account, i->text);
		else
			member_never(m, "5.7.1", "mail to command is restricted");
		break;
	case ALIAS_FILE:
		file_deliver(m, i->text);
		break;
	case ALIAS_TOO_LONG:
		member_never(m, "5.1.3", "bad recipient address syntax: %.*s...",
		    STR_ARG(i->text));
		break;
	case ALIAS_INCLUDE: /* see deliver_all */
		break;
	}
}

/* NULL: no memory, and it is told. */
static struct items *items_new(const struct member *m, enum origin origin)
{
	struct items *s = arena_alloc(m->tree->delivery->arena, sizeof(*s));
	if (s == NULL) {
		member_later(m, "4.3.0", "out of memory for this request");
		return NULL;
	}
	*s = (struct items){.parent = *m};
	s->parent.origin = origin;
	s->parent.origins |= origin;
	s->parent.level += origin == ORIGIN_INCLUDE ? LEVEL_INCLUDE : LEVEL_ALIAS;
	return s;
}

/* Whoever answers for it, the mail must wait. True: they can be delivered. */
static bool are_known(struct items *s)
{
	const char *trouble = NULL;
	if (s->failed)
		trouble = "out of memory for this request";
	else if (s->addresses > 0 && resolve_all(s) != 0)
		trouble = "address resolver failure";
	if (trouble != NULL)
		member_later(&s->parent, "4.3.0", "%s", trouble);
	return trouble == NULL;
}

/* The list's items, and behind them the rest of `outer`; where there are none, that. */
static struct items *open_list(struct items *outer, struct str path)
{
	CLEANUP(buf_free) struct buf report = BUF_INIT(USER_FILE_MAX);
	struct str text;
	struct items *s = items_new(&outer->parent, ORIGIN_INCLUDE);
	if (s == NULL ||
	    !include_read(&outer->parent, path, &s->parent.account, &report, &text))
		return outer;
	s->outer = outer;
	if (local.propagate & ORIGIN_INCLUDE)
		s->unmatched = s->parent.unmatched;
	(void)alias_text_walk_file(
	    text, (size_t)service_common()->line_length_limit, collect, s);
	return are_known(s) ? s : outer;
}

static void deliver_all(struct items *s)
{
	while (s != NULL) {
		if (s->next == s->count) {
			s = s->outer;
			continue;
		}
		const struct item *i = &s->list[s->next++];
		if (++s->parent.tree->items > ITEMS_MAX)
			member_later(&s->parent, "4.3.0", "too many members");
		else if (i->kind == ALIAS_INCLUDE)
			s = open_list(s, i->text);
		else
			deliver_item(&s->parent, i);
	}
}

bool items_deliver(
    const struct member *m, enum origin origin, struct str text, struct str unmatched)
{
	struct items *s = items_new(m, origin);
	if (s == NULL)
		return true; /* none that we know of: it is told */
	s->unmatched = unmatched;
	delivery_divide(m->tree->delivery, m->tree->index);
	if (!member_is_probe(m))
		delivery_expanded(
		    m->tree->delivery, m->tree->index, m->address, m->owned);
	if (origin == ORIGIN_ALIAS)
		(void)alias_text_walk(text, collect, s);
	else
		(void)alias_text_walk_file(
		    text, (size_t)service_common()->line_length_limit, collect, s);
	if (are_known(s))
		deliver_all(s);
	return s->count > 0;
}

void items_deliver_address(const struct member *m, struct str address)
{
	struct items *s = items_new(m, ORIGIN_ALIAS);
	if (s == NULL)
		return;
	s->parent.relayed = true;
	(void)collect(s, ALIAS_ADDRESS, address);
	if (are_known(s))
		deliver_all(s);
}
