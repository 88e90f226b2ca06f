/* Canonical maps (canonical(5)) and masquerading (masquerade_domains). */
#include "cleanup/mapping.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/panic.h"
#include "mail/address_list.h"
#include "service/service.h"

#define RECURSION_MAX 100
#define TOKENS_MAX    1000

/* One row per table, in the order in which they are asked. */
struct canonical {
	struct address_table table;
	unsigned uses; /* enum address_use */
};

struct mapping {
	struct canonical canonical[3];
	unsigned masquerade_uses;
	struct match_list *exceptions;
	unsigned uses; /* of all */
};

static unsigned parse_uses(const char *title, const char *list)
{
	static const struct {
		const char *name;
		enum address_use use;
	} rows[] = {{"envelope_sender", USE_ENVELOPE_SENDER},
	    {"envelope_recipient", USE_ENVELOPE_RECIPIENT},
	    {"header_sender", USE_HEADER_SENDER},
	    {"header_recipient", USE_HEADER_RECIPIENT}};
	struct str names = str_of(list), name;
	unsigned uses = 0;
	while (str_next(&names, " \t\r\n,", &name)) {
		unsigned use = 0;
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			if (str_is_nocase(name, rows[i].name))
				use = rows[i].use;
		if (use == 0)
			fatal("unknown %s value \"%.*s\"", title, STR_ARG(name));
		uses |= use;
	}
	return uses;
}

struct mapping *mapping_open(void)
{
	const struct cleanup_params *p = &cleanup.params;
	struct mapping *mapping = memory_alloc(sizeof(*mapping));
	const struct {
		const char *title, *list, *classes_title, *classes;
	} rows[ARRAY_SIZE(mapping->canonical)] = {
	    {"sender_canonical_maps", p->sender_canonical_maps,
		"sender_canonical_classes", p->sender_canonical_classes},
	    {"recipient_canonical_maps", p->recipient_canonical_maps,
		"recipient_canonical_classes", p->recipient_canonical_classes},
	    {"canonical_maps", p->canonical_maps, "canonical_classes",
		p->canonical_classes},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct canonical *c = &mapping->canonical[i];
		lookup_open(&c->table, rows[i].title, rows[i].list, "canonical");
		c->uses = parse_uses(rows[i].classes_title, rows[i].classes);
		if (c->table.maps == NULL)
			c->uses = 0;
		mapping->uses |= c->uses;
	}
	if (str_trim(str_of(p->masquerade_domains)).len > 0)
		mapping->masquerade_uses =
		    parse_uses("masquerade_classes", p->masquerade_classes);
	mapping->uses |= mapping->masquerade_uses;
	mapping->exceptions = match_list_open(
	    "masquerade_exceptions", p->masquerade_exceptions, MATCH_STRINGS, 0);
	if (mapping->uses != 0)
		return mapping;
	match_list_close(mapping->exceptions);
	free(mapping);
	return NULL;
}

bool mapping_changed(struct mapping *mapping)
{
	if (mapping == NULL)
		return false;
	bool changed = match_list_changed(mapping->exceptions);
	for (size_t i = 0; i < ARRAY_SIZE(mapping->canonical); i++)
		changed = changed || lookup_changed(&mapping->canonical[i].table);
	return changed;
}

/* The first address of a table's answer. */
struct first {
	struct buf address;
	unsigned count;
};

static bool take_first(void *context, struct str internal, UNUSED struct buf *replacement)
{
	struct first *first = context;
	if (first->count++ == 0)
		buf_add_str(&first->address, internal);
	return first->count < 2;
}

/* What one lookup makes of the address; the same when the table does not know it. */
static struct str map_once(
    struct message *m, struct address_table *table, struct str address)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	if (lookup_address(m, table, address, &value, &extension) != TABLE_FOUND)
		return address;
	struct first first = {.address = BUF_INIT(ADDRESS_MAX)};
	(void)address_list_walk(buf_str(&value), TOKENS_MAX, take_first, &first, NULL);
	if (first.count > 1)
		log_warning("%s: multi-valued %s entry for %.*s", m->id, table->title,
		    STR_ARG(address));
	struct str mapped = address;
	if (first.count > 0)
		mapped = lookup_result(
		    m, buf_str(&first.address), address, buf_str(&extension));
	else
		log_warning(
		    "%s: bad %s entry for %.*s", m->id, table->title, STR_ARG(address));
	buf_free(&first.address);
	return mapped.p != NULL && mapped.len <= ADDRESS_MAX ? mapped : address;
}

/* Results are looked up again until one maps to itself or to nothing. */
static struct str map_canonical(
    struct message *m, struct address_table *table, struct str address)
{
	struct str now = address;
	for (unsigned i = 0; i < RECURSION_MAX && m->status == CLEANUP_OK; i++) {
		struct str mapped = map_once(m, table, now);
		if (str_equal_nocase(mapped, now))
			return mapped;
		now = mapped;
	}
	if (m->status == CLEANUP_OK) /* warned of and accepted, as by Postfix */
		lookup_unreasonable(m, table->title, "map nesting for", address);
	return address;
}

static bool is_exception(struct message *m, struct str local)
{
	enum table_result found = match_list_string(cleanup.mapping->exceptions, local);
	if (found == TABLE_TRY_LATER || found == TABLE_BROKEN)
		lookup_trouble(m, "masquerade_exceptions");
	return found != TABLE_ABSENT;
}

static bool is_inside(struct str domain, struct str parent)
{
	return domain.len > parent.len + 1 && str_ends_nocase(domain, parent) &&
	    domain.p[domain.len - parent.len - 1] == '.';
}

/* The first of masquerade_domains that holds the domain decides; "!domain": no. */
static struct str masquerade(struct message *m, struct str address)
{
	struct address_parts parts = address_split(address);
	struct str domains = str_of(cleanup.params.masquerade_domains), parent;
	if (parts.domain.p == NULL || is_exception(m, parts.local))
		return address;
	while (str_next(&domains, " \t\r\n,", &parent)) {
		bool except = parent.p[0] == '!';
		parent = str_skip(parent, except ? 1 : 0);
		if (str_equal_nocase(parts.domain, parent))
			return address;
		if (!is_inside(parts.domain, parent))
			continue;
		const char *shorter = except ? NULL
					     : arena_printf(m->arena, "%.*s@%.*s",
						   STR_ARG(parts.local), STR_ARG(parent));
		return shorter != NULL ? str_of(shorter) : address;
	}
	return address;
}

struct str mapping_apply(struct message *m, struct str address, enum address_use use)
{
	struct mapping *mapping = cleanup.mapping;
	if (mapping == NULL || (mapping->uses & use) == 0 || address.len == 0 ||
	    (m->envelope.flags & CLEANUP_MAP) == 0)
		return address;
	for (size_t i = 0; i < ARRAY_SIZE(mapping->canonical); i++)
		if ((mapping->canonical[i].uses & use) != 0)
			address = map_canonical(m, &mapping->canonical[i].table, address);
	return (mapping->masquerade_uses & use) != 0 ? masquerade(m, address) : address;
}
