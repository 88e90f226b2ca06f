/* Addresses in tables (address_maps.h), with the trouble that tables make. */
#include "base/log.h"
#include "cleanup/mapping.h"
#include "mail/address_maps.h"

void lookup_open(struct address_table *table, const char *title, const char *list,
    const char *propagate_as)
{
	struct str names = str_of(cleanup.params.propagate_unmatched_extensions), name;
	*table = (struct address_table){.title = title};
	table->maps = maps_open(title, list, TABLE_FOLD);
	if (maps_empty(table->maps)) {
		maps_close(table->maps);
		table->maps = NULL;
	}
	while (propagate_as != NULL && str_next(&names, " \t\r\n,", &name))
		table->propagates =
		    table->propagates || str_is_nocase(name, propagate_as);
}

bool lookup_changed(struct address_table *table)
{
	return table->maps != NULL && maps_changed(table->maps);
}

void lookup_trouble(struct message *m, const char *title)
{
	log_warning("%s: %s map lookup problem -- message not accepted, try again later",
	    m->id, title);
	message_fail(m, CLEANUP_TABLE, "");
}

void lookup_unreasonable(
    struct message *m, const char *title, const char *what, struct str address)
{
	log_warning(
	    "%s: unreasonable %s %s %.*s -- message not accepted, try again later", m->id,
	    title, what, STR_ARG(str_slice(address, 0, 1000)));
}

/* Not knowing is trouble: a bare-user entry must not be missed because a table was
 * silent. */
static bool is_local_domain(void *context, struct str domain)
{
	struct message *m = context;
	enum table_result found = match_list_string(cleanup.mydestination, domain);
	if (found == TABLE_TRY_LATER || found == TABLE_BROKEN)
		lookup_trouble(m, "mydestination");
	return found == TABLE_FOUND || str_is_nocase(domain, service_common()->myorigin);
}

enum table_result lookup_address(struct message *m, struct address_table *table,
    struct str address, struct buf *value, struct buf *extension)
{
	if (table->maps == NULL)
		return TABLE_ABSENT;
	struct address_maps_query query = {
	    .maps = table->maps,
	    .rules = service_extension_rules(),
	    .flags = ADDRESS_MAPS_USER | ADDRESS_MAPS_DOMAIN,
	    .is_local = is_local_domain,
	    .context = m,
	};
	enum table_result found = address_maps_lookup(&query, address, value, extension);
	if (!table->propagates)
		buf_clear(extension);
	if (found != TABLE_TRY_LATER && found != TABLE_BROKEN)
		return found;
	lookup_trouble(m, table->title);
	return found;
}

struct str lookup_result(
    struct message *m, struct str said, struct str source, struct str extension)
{
	struct str local = address_split(source).local;
	const char *whole = said.len > 0 && said.p[0] == '@'
	    ? arena_printf(m->arena, "%.*s%.*s", STR_ARG(local), STR_ARG(said))
	    : arena_cstr(m->arena, said);
	if (whole == NULL)
		return (struct str){NULL, 0};
	struct str address = address_complete(m, str_of(whole), REWRITE_LOCAL);
	struct address_parts parts = address_split(address);
	if (extension.len == 0 || parts.domain.p == NULL || said.p[0] == '@')
		return address;
	const char *extended = arena_printf(m->arena, "%.*s%.*s@%.*s",
	    STR_ARG(parts.local), STR_ARG(extension), STR_ARG(parts.domain));
	return extended != NULL ? str_of(extended) : (struct str){NULL, 0};
}
