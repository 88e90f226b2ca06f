/* local_header_rewrite_clients: whose headers are completed with our own domains. */
#include "base/memory.h"
#include "base/panic.h"
#include "smtpd/smtpd.h"

enum rewrite_rule {
	RULE_OWN_ADDRESS,
	RULE_MYNETWORKS,
	RULE_NEVER, /* needs what this server does not offer yet */
	RULE_TABLE,
};

struct header_rewriting {
	struct header_rewriting *next;
	enum rewrite_rule rule;
	struct maps *maps; /* RULE_TABLE: of addresses */
};

static bool rule_of(struct str word, enum rewrite_rule *rule_r)
{
	static const struct {
		const char *name;
		enum rewrite_rule rule;
	} rows[] = {
	    {"permit_inet_interfaces", RULE_OWN_ADDRESS},
	    {"permit_mynetworks", RULE_MYNETWORKS},
	    {"permit_sasl_authenticated", RULE_NEVER},
	    {"permit_tls_clientcerts", RULE_NEVER},
	    {"permit_tls_all_clientcerts", RULE_NEVER},
	    {"check_address_map", RULE_TABLE},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!str_is_nocase(word, rows[i].name))
			continue;
		*rule_r = rows[i].rule;
		return true;
	}
	return false;
}

struct header_rewriting *header_rewriting_open(void)
{
	static const char title[] = "local_header_rewrite_clients";
	struct str rest = str_of(smtpd.params.local_header_rewrite_clients), word;
	struct header_rewriting *first = NULL, **end = &first;
	while (str_next_braced(&rest, " \t\r\n,", &word)) {
		enum rewrite_rule rule = RULE_TABLE;
		bool named = rule_of(word, &rule);
		if (named && rule == RULE_TABLE &&
		    !str_next_braced(&rest, " \t\r\n,", &word))
			fatal("%s: check_address_map needs a table", title);
		if (!named && str_find(word, ':') < 0)
			fatal("%s: unknown \"%.*s\"", title, STR_ARG(word));
		struct header_rewriting *r = memory_alloc(sizeof(*r));
		CLEANUP(buf_free) struct buf table = BUF_INIT(word.len + 1);
		buf_add_str(&table, word);
		r->rule = rule;
		if (rule == RULE_TABLE)
			r->maps = maps_open(title, buf_cstr(&table), TABLE_FOLD);
		*end = r;
		end = &r->next;
	}
	return first;
}

/* A table that does not answer does not let strangers in. */
bool header_rewriting_wanted(const struct header_rewriting *r, const struct session *s)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(TABLE_VALUE_MAX);
	for (; r != NULL; r = r->next) {
		if ((r->rule == RULE_OWN_ADDRESS && s->own) ||
		    (r->rule == RULE_MYNETWORKS && s->trusted))
			return true;
		if (r->rule == RULE_TABLE &&
		    maps_lookup(r->maps, s->address, false, &value) == TABLE_FOUND)
			return true;
	}
	return false;
}

bool header_rewriting_changed(const struct header_rewriting *r)
{
	for (; r != NULL; r = r->next)
		if (r->maps != NULL && maps_changed(r->maps))
			return true;
	return false;
}
