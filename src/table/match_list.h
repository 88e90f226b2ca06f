/*
 * Lists that match: domains (mydestination, relay_domains), hosts and networks
 * (mynetworks), plain strings. Elements separated by commas or white space; "/file" reads
 * elements from a file; "type:table" matches when the key is found; "!element" excludes;
 * the first match wins. Parsed before the jail.
 */
#ifndef TABLE_MATCH_LIST_H
#define TABLE_MATCH_LIST_H

#include "net/address.h"
#include "table/table.h"

struct match_list;

enum match_kind {
	MATCH_STRINGS,
	/* "dom" and, for its subdomains, ".dom"; with MATCH_PARENTS "dom" includes them
	 * and ".dom" matches nothing */
	MATCH_DOMAINS,
	MATCH_HOSTS, /* names and network patterns */
};
#define MATCH_PARENTS 1u

struct match_list *match_list_open(
    const char *title, const char *list, enum match_kind kind, unsigned flags);
/* Domains; `with_parents` is the value of parent_domain_matches_subdomains: when `title`
 * stands there, "dom" includes subdomains. */
struct match_list *match_list_open_domains(
    const char *title, const char *list, const char *with_parents);
void match_list_close(struct match_list *l);
bool match_list_changed(struct match_list *l);
/* Nothing in it ever says something else: table_is_constant. */
bool match_list_is_constant(const struct match_list *l);
/* FOUND: matches; ABSENT: not; trouble as tables have it. Case does not count. */
MUST_USE enum table_result match_list_string(struct match_list *l, struct str s);
MUST_USE enum table_result match_list_host(
    struct match_list *l, struct str name, const struct net_address *address);

#endif
