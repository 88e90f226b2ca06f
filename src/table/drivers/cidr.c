/* cidr:/file, cidr:{{network result}, ...}: networks, the first match wins. */
#include "base/memory.h"
#include "net/address.h"
#include "table/driver.h"
#include "table/rules.h"

/* A mistake in the words of Postfix, which quotes the pattern. */
static void warn_pattern(
    const struct rules *r, const struct rule *rule, struct str pattern, const char *why)
{
	if (str_is(str_of(why), "bad address pattern"))
		rule_warn(r, rule, "bad address pattern: \"%.*s\": skipping this rule",
		    STR_ARG(pattern));
	else
		rule_warn(
		    r, rule, "%s in \"%.*s\": skipping this rule", why, STR_ARG(pattern));
}

static bool parse(const struct rules *r, struct str text, struct rule *rule)
{
	rule->negate = str_starts(text, STR("!"));
	if (rule->negate)
		text = str_trim(str_skip(text, 1));
	/* What follows an if is all pattern: text behind it makes it a bad one. */
	ptrdiff_t blank = rule->is_if ? -1 : str_find_any(text, " \t\r\n");
	struct str pattern = blank < 0 ? text : str_slice(text, 0, (size_t)blank);
	struct str result = str_trim(str_skip(text, pattern.len));
	if (pattern.len == 0) {
		rule_warn(r, rule, "no address pattern: skipping this rule");
		return false;
	}
	struct net_prefix prefix;
	const char *why = NULL;
	if (!net_prefix_parse(pattern, true, &prefix, &why)) {
		warn_pattern(r, rule, pattern, why);
		return false;
	}
	if (!rule->is_if && result.len == 0) {
		rule_warn(r, rule, "no lookup result: skipping this rule");
		return false;
	}
	rule->pattern = memory_alloc(sizeof(prefix));
	*(struct net_prefix *)rule->pattern = prefix;
	if (!rule->is_if) {
		rule->result = memory_alloc(result.len + 1);
		memcpy(rule->result, result.p, result.len);
	}
	return true;
}

static const struct rule_kind kind = {
    .title = "cidr map",
    .parse = parse,
    .free_pattern = free,
};

static void *open_cidr(struct str name, unsigned flags, struct buf *error)
{
	return rules_load(&kind, name, flags, error);
}

static void close_cidr(void *state)
{
	rules_free(state);
}

/* An address of the other family is in no network, and in no negated one either. */
static bool matches(const struct rule *rule, void *context)
{
	const struct net_prefix *prefix = rule->pattern;
	const struct net_address *address = context;
	if (net_address_family(&prefix->address) != net_address_family(address))
		return rule->negate;
	return net_prefix_match(prefix, address);
}

static enum table_result lookup(
    void *state, struct str key, struct buf *value, UNUSED struct buf *error)
{
	struct net_address address;
	if (!net_address_parse(key, 0, &address))
		return TABLE_ABSENT;
	const struct rule *rule = rules_find(state, matches, &address);
	if (rule == NULL)
		return TABLE_ABSENT;
	buf_add_cstr(value, rule->result);
	return TABLE_FOUND;
}

const struct table_driver table_driver_cidr = {
    .type = "cidr",
    .open = open_cidr,
    .close = close_cidr,
    .lookup = lookup,
};
